"""What others may call for while we run: limits, activations, regulation and reserve."""
