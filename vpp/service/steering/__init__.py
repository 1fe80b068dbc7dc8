"""How the park is steered: from what is owed to set-points on their way, and what came of them."""
