"""Bids out and awards in, by what they are judged, and what the plant has sold and bought."""
