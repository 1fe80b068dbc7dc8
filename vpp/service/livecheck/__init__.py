"""`vpp check --live`: whether this machine and what it has to reach are ready for a park, and what to do."""
