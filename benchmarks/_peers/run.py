"""One tool, one problem, one process: what it took as one JSON document on stdout.

    python -m benchmarks._peers.run TOOL FAMILY BATTERIES --seed 1 --gap 1e-3

Exit 0 where it ran, 3 with the reason on stderr where the tool is not here or does not do this.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from benchmarks._families import make_case
from benchmarks._peers.answer import Asked, NotRunError

TOOLS = (
    *("vpp", "fleet", "scipy", "highspy", "hipo", "split"),
    *("linopy", "pypsa", "pyomo", "oemof", "cvxpy", "flexmeasures"),
)
NOT_RUN = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("family")
    parser.add_argument("batteries", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kernels", default="numpy")
    given = parser.parse_args()
    asked = Asked(gap=given.gap, threads=given.threads, kernels=given.kernels)
    try:
        module = importlib.import_module(f"benchmarks._peers.with_{given.tool}")
        versions = {name: version(name) for name in module.DISTRIBUTIONS}
        case = make_case(given.family, given.batteries, seed=given.seed)
        answer = module.solve(case, asked)
    except (ImportError, PackageNotFoundError, NotRunError) as error:
        print(f"{error}", file=sys.stderr)
        return NOT_RUN
    peak_kib = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps({**asdict(answer), "peak_mib": peak_kib / 1024, "versions": versions}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
