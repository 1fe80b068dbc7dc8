"""Strategies of a park: their file, what it means for this park, and the terms that they ask together."""
