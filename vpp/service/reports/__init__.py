"""What the plant reports of itself to dispatch centres and platforms."""
