"""What `benchmarks/forecast.py` is made of.

data.py      the series, and what of each may be looked at when
rolling.py   one model on every day of a window; scores.py says how good that was
peers.py     the same questions as arrays on disk, for peer_run.py in another interpreter
"""
