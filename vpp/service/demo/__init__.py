"""A whole park with nothing else installed: broker, devices, market, service."""
