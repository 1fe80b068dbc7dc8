"""Demand response, from an invitation to the money."""
