"""The links to devices, each in its own words, behind one source and one sink."""
