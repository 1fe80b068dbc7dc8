"""Members: what one enterprise sees of itself and of nobody else, and what it asks for."""
