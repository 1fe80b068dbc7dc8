"""A month played hourly with two strategy files side by side, and again from the plans on record.

    python benchmarks/backtest_month.py [--days 30] [--json]

Run by hand: it takes minutes. The demo's park from 2025-11-20 on; the candidate asks a wider spread of the quarter-hour auction. Two processes, so two
cores. Promised: ten minutes for 30 days. The second pass has every plan on record, as after an interruption at the very end: it must
give the same document, byte for byte.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.backtest_month`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Figure
from vpp.service.backtest.asked import BacktestOptions, span_of
from vpp.service.backtest.compare import compare
from vpp.service.backtest.living import Variant
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.strategies.reading import parse_strategies

FIRST = date(2025, 11, 20)
MOST_S = 600.0

CANDIDATE = b"""\
strategies:
  - name: trading
    use: price_arbitrage
    with: {quarter_hour_spread_per_mwh: 12.0, imbalance_spread_per_mwh: 40.0}
"""


def variants_of(file: ParkFile) -> list[Variant]:
    """The park as it is, and with the candidate."""
    other = parse_strategies(CANDIDATE, file.strategies.ground, name="candidate")
    return [
        Variant(name="current", file=file),
        Variant(name="candidate", file=replace(file, strategies=other)),
    ]


def figures_of(days: int) -> list[Figure]:
    """Play `days` twice."""
    file = load_park(shipped_park("demo"))
    span = span_of(file, FIRST.isoformat(), (FIRST + timedelta(days=days)).isoformat())
    options = BacktestOptions(span=span, every=timedelta(hours=1), foresight=False)
    with tempfile.TemporaryDirectory(prefix="vpp-month-") as folder:
        kept = Path(folder) / "kept"
        took, documents = [], []
        for _ in range(2):
            began = perf_counter()
            result = asyncio.run(compare(variants_of(file), options, folder=kept))
            took.append(perf_counter() - began)
            documents.append(json.dumps(result.document()).encode())
            for life in kept.glob("*.lived.json"):
                life.unlink()
        kept_mb = sum(one.stat().st_size for one in kept.glob("*.plans")) / 1e6
    promised = MOST_S if days >= 30 else None
    return [
        Figure(
            name=f"{days} days hourly, two strategy files",
            measured=took[0],
            unit="s",
            at_most=promised,
        ),
        Figure(name="again, from the plans on record", measured=took[1], unit="s"),
        Figure(
            name="documents that differ",
            measured=float(documents[0] != documents[1]),
            at_least=0,
            at_most=0,
        ),
        Figure(name="plans on record", measured=kept_mb, unit="MB"),
    ]


def main() -> int:
    """Exit 0, or 1 where a promise was missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = figures_of(asked.days)
    if asked.json:
        print(json.dumps([figure.plain() for figure in figures]))
    else:
        for one in figures:
            print(f"{one.name}: {one.measured:.1f} {one.unit} {one.promised} {one.verdict}")
    return int(any(figure.verdict == "missed" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
