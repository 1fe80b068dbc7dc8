"""Robust offers held to their word: any part of them is taken and delivered on simulated devices.

    python -m benchmarks.robust_bids --parks 20 --random 1000 --worst 200 --json

For each form of an offer, on random parks planned by our planner: so many random patterns of what is taken
(any step of any interval or not, parts of steps, calls at any moment) and worst cases (all, none, one side
alone, halves of the day, every other interval, called as early as can be). A failure is a device that does not
run as it is told, a store beyond its bounds or below its level at the end, or a limit of the tree. Exit 0, also
where a figure is missed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks._delivering import (
    Offered,
    faults,
    offered,
    products,
    random_taken,
    sold_before,
    worst_taken,
)
from benchmarks._randomparks import Case, random_case
from benchmarks.harness import Benchmark, Figure, machine
from vpp.trade.position import Position


@dataclass(slots=True)
class Tally:
    """What became of one form."""

    patterns: int = 0
    failed: int = 0
    bids: int = 0
    offered_mwh: float = 0.0
    said: Counter[str] = field(default_factory=Counter)

    def plain(self) -> dict[str, object]:
        return {
            "patterns": self.patterns,
            "failed": self.failed,
            "bids": self.bids,
            "offered_mwh": round(self.offered_mwh, 2),
            "faults": dict(self.said.most_common(5)),
        }


def try_form(case: Case, name: str, random: int, worst: int, seed: int, tally: Tally) -> None:
    """Make the offer of one form for one park, and try so many patterns on it."""
    dice = np.random.default_rng([seed, len(name)])
    position = sold_before(case, dice) if "sold before" in name else Position()
    offer = offered(case, products()[name], position)
    tally.bids += len(offer.bids)
    tally.offered_mwh += sum(float(bid.most_mwh) for bid in offer.bids)
    for found in _patterns(offer, random, worst, dice):
        tally.patterns += 1
        tally.failed += bool(found)
        tally.said.update(found)


def _patterns(
    offer: Offered, random: int, worst: int, dice: np.random.Generator
) -> Iterator[Sequence[str]]:
    for _ in range(random):
        yield faults(offer, random_taken(offer, dice), dice)
    for number in range(worst):
        yield faults(offer, worst_taken(offer, number), None)


def run(parks: int, random: int, worst: int) -> dict[str, Tally]:
    """So many patterns of each form, spread over so many parks."""
    tallies = {name: Tally() for name in products()}
    for seed in range(parks):
        case = random_case(seed)
        for name, tally in tallies.items():
            try_form(
                case, name, _share(random, parks, seed), _share(worst, parks, seed), seed, tally
            )
    return tallies


def _share(total: int, parks: int, at: int) -> int:
    return total * (at + 1) // parks - total * at // parks


def measure(small: bool) -> Sequence[Figure]:
    """Failures of each form; the smallest size is one park and two patterns."""
    tallies = run(1, 1, 1) if small else run(20, 1000, 200)
    return [
        Figure(name=f"failures of {name}", measured=float(tally.failed), at_most=0.0)
        for name, tally in tallies.items()
    ]


BENCHMARK = Benchmark(
    about="robust offers: any part of them is delivered on simulated devices", measure=measure
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--parks", type=int, default=20)
    parser.add_argument(
        "--random", type=int, default=1000, help="patterns of each form, over all parks"
    )
    parser.add_argument("--worst", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    tallies = run(asked.parks, asked.random, asked.worst)
    told = {name: tally.plain() for name, tally in tallies.items()}
    if asked.json:
        print(json.dumps({"machine": machine(), "parks": asked.parks, "forms": told}, indent=2))
        return
    for name, tally in told.items():
        print(f"{name:28} {tally['patterns']:>6} patterns {tally['failed']:>4} failed")


if __name__ == "__main__":
    main()
