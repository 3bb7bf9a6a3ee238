"""Evaluate predicted mentions against gold mentions."""
