"""Mentions become entities with types."""
