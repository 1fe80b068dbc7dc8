"""INTENT: one file a strategy: a dataclass of settings with terms(view)."""
