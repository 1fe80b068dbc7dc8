"""Series that are fetched or put: prices, weather, carbon."""
