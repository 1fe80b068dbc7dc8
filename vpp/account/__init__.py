"""VERB: meters become settlement, statements and carbon. Pure; siblings are never imported."""
