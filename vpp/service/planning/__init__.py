"""What a plan is told beside its inputs, and how it is shown."""
