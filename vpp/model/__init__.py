"""The nouns: frozen values that are valid once they exist. No I/O, no clock, no solver."""
