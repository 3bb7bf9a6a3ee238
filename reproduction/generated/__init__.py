"""Text that a language model wrote: generate it, mark its mentions by hand, and compare
what heads find in it with what they find in other text."""
