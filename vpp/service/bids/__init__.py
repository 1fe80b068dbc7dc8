"""How a bid is made of a plan, and shown to people."""
