"""Other tools on the problems of `_families.py`, each in a process of its own (`run.py`).

One module a tool: `solve(case, gap)` builds the problem as the tool's own users would (in whole arrays
where it has them), solves it with HiGHS and says how long each took. They need `make peers`, and nothing of
ours but `_families.py`.
"""
