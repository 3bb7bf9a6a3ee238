"""A language model as the judge of spans (section 4.2 and appendix C)."""
