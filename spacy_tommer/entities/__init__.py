"""Assign types to mentions."""
