"""Budgets that reach beyond the horizon: counted, kept on record, priced."""
