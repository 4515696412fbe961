"""Asking a reasoner, in the middle of its reasoning, what it would answer now."""

PROBE = "\n\nThe final answer is"
"""What a side branch writes after unfinished reasoning."""
