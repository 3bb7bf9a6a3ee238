"""People who judge the same spans as a language model (appendix C)."""
