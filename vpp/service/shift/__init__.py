"""What people at the desk write down for each other: the shift log, hand-overs, and who did what."""
