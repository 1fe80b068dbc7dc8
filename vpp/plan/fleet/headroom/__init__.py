"""Trees of the programme in which stores keep reserve: no forest, but solved as exactly, and as little believed."""
