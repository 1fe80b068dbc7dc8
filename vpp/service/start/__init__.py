"""A park of one's own from a table of what stands in it: `vpp init`."""
