"""How a compiled programme becomes a forest: what its rows and columns are, and what hangs on which bus."""
