"""Market products as data: files that say how something is traded, checked and compared."""
