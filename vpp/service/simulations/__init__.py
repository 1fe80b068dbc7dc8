"""Simulations on request: the whole service again, each on a clock that moves when it is told to.

    POST …/simulations ─▶ desk ─▶ simulation ── plant, devices, weather, published prices
         …/step {until}            │   └─ time stands between two steps: whoever asks is the market
         …/{id}/markets …          └─ record of requests ─▶ reset, snapshot, branch

Read `simulation.py` first, then `desk.py`.
"""
