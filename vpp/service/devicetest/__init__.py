"""A device read with proof that nothing was written, and stepped under supervision."""
