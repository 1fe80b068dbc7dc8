"""Days played again with what was known then, and how well they went."""
