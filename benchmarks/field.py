"""The field side under load: sharing, guard, ingest, the way of a command, tracking.

    python benchmarks/field.py --json                 all parts, one JSON document on stdout
    python benchmarks/field.py --json --part ingest   one of them
    python benchmarks/field.py --part tracking --plot FILE.png   and a picture of one tracked hour

Each part is a file `_field_NAME.py` with `figures(*, small)`, measured after the other in a process
of its own: what one part leaves in memory is not paid for by the next. Exit 0 also where a figure is
missed: that is a result. Exit 1 where a part broke, 2 where there is none of that name.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.field`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import _field_tracking
from benchmarks._fieldplot import plot_hour
from benchmarks.harness import Benchmark, Figure, log_to_stderr, machine, show

PREFIX = "_field_"
"""Of parts; helpers are `_fieldNAME.py`."""
Part = Callable[..., Sequence[Figure]]


def find_parts() -> dict[str, Part]:
    """Every part of this folder by the name of its file without prefix, in order of name."""
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    return {
        name.removeprefix(PREFIX): importlib.import_module(f"benchmarks.{name}").figures
        for name in names
        if name.startswith(PREFIX)
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/field.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", action="append", metavar="NAME", help="which; all where left out")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--small", action="store_true", help="the smallest sizes that run at all")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw one tracked hour")
    asked = parser.parse_args()
    known = find_parts()
    if stray := [name for name in asked.part or () if name not in known]:
        print(f"no part {', '.join(stray)}: use some of {', '.join(known)}", file=sys.stderr)
        return 2
    if asked.plot is not None:
        log_to_stderr()
        plot_hour(asked.plot, seed=_field_tracking.SEED, failing_share=_field_tracking.FAILING)
    facts = machine()
    found: dict[str, Sequence[Figure]] = {}
    broken: dict[str, str] = {}
    for name in asked.part or known:
        print(f"field: {name}", file=sys.stderr, flush=True)
        try:
            found[name] = _apart(known[name], small=asked.small)
        except Exception as error:  # noqa: BLE001  whatever breaks one, the others are measured
            traceback.print_exc()
            broken[name] = f"{type(error).__name__}: {error}"
    if asked.json:
        parts = {name: [figure.plain() for figure in some] for name, some in found.items()}
        print(json.dumps({"machine": facts, "parts": parts, "broken": broken}))
    else:
        show(facts, found)
    return 1 if broken else 0


def measure(small: bool) -> Sequence[Figure]:
    """All parts, as the harness asks for them. Raises what a part raises."""
    return [figure for part in find_parts().values() for figure in _apart(part, small=small)]


def _apart(part: Part, *, small: bool) -> Sequence[Figure]:
    """One part in a process of its own."""
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=log_to_stderr
    ) as process:
        return process.submit(part, small=small).result()


BENCHMARK = Benchmark(about="field: share, guard, ingest, act, tracking", measure=measure)


if __name__ == "__main__":
    sys.exit(main())
