"""How fast, how large, how good: figures beside what was promised, never a timed test.

    python -m benchmarks [NAME …] [--json] [--list] [--small]

A file of this folder that has a `BENCHMARK` is one; nothing else has to be told of it.
"""
