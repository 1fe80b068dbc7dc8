"""A window for other processes: the state of the plant in Redis."""
