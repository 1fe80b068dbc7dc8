"""Utilities whose OpenADR programmes the park takes part in."""
