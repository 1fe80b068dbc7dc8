"""A solver made for fleets: many small, alike blocks, loosely tied (`forest.py` says what it solves)."""
