"""Evaluation: how well mentions agree with gold ones."""
