"""Alarms: what needs a person, first cause first, few at a time, on record."""
