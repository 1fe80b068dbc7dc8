"""Accounts as people read them: by day, month and enterprise, by interval, and what they still wait for."""
