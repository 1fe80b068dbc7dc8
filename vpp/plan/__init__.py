"""VERB: state, forecasts and terms become a schedule. Pure; siblings are never imported."""
