"""Strategies changed with care: watched, checked, previewed, taken at a plan, on record, taken back."""
