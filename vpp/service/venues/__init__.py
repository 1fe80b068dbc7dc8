"""Markets that bids are sent to and whose awards are fetched."""
