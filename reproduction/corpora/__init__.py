"""Corpora: readers, one file a format, and the sets that are read with them."""
