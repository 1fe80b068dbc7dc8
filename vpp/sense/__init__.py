"""VERB: telemetry and series become state and forecasts. Pure; siblings are never imported."""
