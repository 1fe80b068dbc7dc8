"""VERB: position and schedule become set-points, and delivery is tracked. Pure."""
