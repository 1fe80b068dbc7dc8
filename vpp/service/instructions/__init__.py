"""Loads that people turn down by hand: what is asked of them, and what came of it."""
