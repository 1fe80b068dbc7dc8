"""VERB: a schedule becomes bids, awards become a position. Pure; siblings are never imported."""
