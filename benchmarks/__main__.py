"""Run the benchmarks named, or all, and print what came out beside what was promised.

Exit 0 also where a figure is missed: that is a result. Exit 1 where a benchmark broke, 2 where
there is none of that name.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Mapping, Sequence

from benchmarks.harness import Benchmark, Figure, find_benchmarks, log_to_stderr, machine, show


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all where left out")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--small", action="store_true", help="the smallest sizes that run at all")
    asked = parser.parse_args()
    known = find_benchmarks()
    if asked.list:
        for name, one in known.items():
            print(f"{name:12} {one.about}")
        return 0
    if stray := [name for name in asked.names if name not in known]:
        print(f"no benchmark {', '.join(stray)}: use some of {', '.join(known)}", file=sys.stderr)
        return 2
    log_to_stderr()
    facts = machine()
    figures, broken = _measure({n: known[n] for n in asked.names or known}, small=asked.small)
    if asked.json:
        results = {name: [f.plain() for f in some] for name, some in figures.items()}
        print(json.dumps({"machine": facts, "benchmarks": results, "broken": broken}))
    else:
        show(facts, figures)
    return 1 if broken else 0


def _measure(
    benchmarks: Mapping[str, Benchmark], *, small: bool
) -> tuple[dict[str, Sequence[Figure]], dict[str, str]]:
    """The figures of each, and what went wrong with those that broke."""
    figures: dict[str, Sequence[Figure]] = {}
    broken: dict[str, str] = {}
    for name, one in benchmarks.items():
        print(f"{name}: {one.about}", file=sys.stderr, flush=True)
        try:
            figures[name] = one.measure(small)
        except Exception as error:  # noqa: BLE001  whatever breaks one, the others are measured
            traceback.print_exc()
            broken[name] = f"{type(error).__name__}: {error}"
    return figures, broken


if __name__ == "__main__":
    sys.exit(main())
