"""Imports point one way, the verbs are pure, and three packages alone await.

    model, errors <- ports, clock, wire <- sense | plan | trade | act | account
                  <- adapters, strategies, simulate <- service <- commands <- cli

A file is read with `ast`, never imported. Imports inside functions and under TYPE_CHECKING count
as well: who needs a sibling's type only for an annotation needs a noun in `vpp.model`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("vpp", "adapters", "strategies")
OUTSIDE = ("tests", "benchmarks", "tools")

NOUNS = {"vpp.model", "vpp.errors"}
VERBS = {"vpp.sense", "vpp.plan", "vpp.trade", "vpp.act", "vpp.account"}
EVERYTHING_BELOW_SERVICE = (
    NOUNS
    | VERBS
    | {"vpp.ports", "vpp.clock", "vpp.wire", "vpp.simulate", "vpp.__version__"}
    | {"vpp.wiredr"}
)

ALLOWED: dict[str, set[str]] = {  # the longest name that fits rules; itself is always allowed
    "vpp.__init__": set(),
    "vpp.errors": set(),
    "vpp.model": {"vpp.errors"},
    "vpp.ports": NOUNS | {"vpp.wire"},
    "vpp.clock": NOUNS,
    "vpp.wire": NOUNS,
    "vpp.wiredr": NOUNS | {"vpp.wire"},
    **{verb: NOUNS | {"vpp.wire"} for verb in VERBS},
    # A second opinion: it shares nothing with what it checks.
    "vpp.plan.validate": NOUNS | {"vpp.plan.terms", "vpp.plan.view"},
    "adapters": NOUNS | {"vpp.ports", "vpp.wire"},
    "strategies": NOUNS | {"vpp.plan.part", "vpp.plan.terms", "vpp.plan.view"},
    "vpp.simulate": NOUNS | {"vpp.clock", "vpp.wire"},
    # The venue judges us: it shares no code with what it judges, not even nouns.
    **{
        f"vpp.simulate.{name}": {"vpp.simulate", "vpp.errors"}
        for name in ("ledger", "clearing", "clearinghouse", "hall", "hallrecords", "venuedoor")
    },
    "vpp.service": EVERYTHING_BELOW_SERVICE,
    "vpp.service.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.strategies.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "strategies"},
    "vpp.service.venues.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.links.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.links.sparkplugwiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.links.s2wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.links.mappedwiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.iec104.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.people.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.ocpp.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.vtn.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.window.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.reports.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.livecheck.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.tuning.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.results.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.service.devicetest.wiring": EVERYTHING_BELOW_SERVICE | {"vpp.service", "adapters"},
    "vpp.commands": EVERYTHING_BELOW_SERVICE | {"vpp.service"},
    "vpp.cli": {"vpp.commands", "vpp.errors"},
    "vpp.__main__": {"vpp.cli"},
}

PURE = NOUNS | VERBS | {"strategies"}
IMPURE_MODULES = {
    *("asyncio", "concurrent", "threading", "multiprocessing", "subprocess", "signal"),
    *("socket", "ssl", "select", "http", "urllib", "aiohttp", "aiomqtt", "redis", "iotcore"),
    *("sqlite3", "tempfile", "shutil", "pathlib", "time", "random", "secrets", "uuid"),
    "numpy.random",
}
IMPURE_BUILTINS = {"open", "print", "input", "exec", "eval"}
WALL_CLOCK = {"now", "utcnow", "today"}

BY_NAME = "vpp.service.strategies.wiring"
"""A strategy is found by the name of its file."""

AWAITING = {"vpp.ports", "vpp.clock", "vpp.simulate", "vpp.service", "adapters"}


def inside(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def filed(name: str) -> str:
    """Messages that have a file of their own beside `wire.py` (`vpp.wireposition`) are of the wire."""
    return re.sub(r"^vpp\.wire(?=[a-z])", "vpp.wire.", name)


def rule_of(module: str) -> str | None:
    """The entry of ALLOWED that governs `module`; None where nobody has thought of it yet."""
    fitting = [name for name in ALLOWED if inside(module, {name})]
    return max(fitting, key=len, default=None)


def imported(node: ast.AST, module: str) -> list[str]:
    """The full names that a statement imports: `from a.b import c` gives `a.b.c`."""
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=origin, names=aliases, level=level):
            # A package's own __init__ is named `package.__init__`, so one level up is right for it.
            base = ".".join(module.split(".")[: -level or None]) if level else ""
            start = ".".join(part for part in (base, origin) if part)
            return [f"{start}.{alias.name}" for alias in aliases]
        case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__")):
            return ["importlib.import_module"]
        case _:
            return []


def breaches(source: str, module: str) -> Iterator[str]:
    """Say each rule that the text of `module` breaks, with its line."""
    module = filed(module)
    rule = rule_of(module)
    if rule is None:
        yield f"{module}: no rule says what it may import; add it to ALLOWED"
        return
    for node in ast.walk(ast.parse(source)):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        for name in map(filed, imported(node, module)):
            top = name.split(".")[0]
            if top in OURS and not inside(name, ALLOWED[rule] | {rule}):
                yield f"{where} imports {name}"
            if top in OUTSIDE:
                yield f"{where} imports {name}, which no wheel holds"
            if name == "importlib.import_module" and rule != BY_NAME:
                yield f"{where} imports by name, which only {BY_NAME} may"
            if inside(module, PURE) and inside(name, IMPURE_MODULES):
                yield f"{where} imports {name} into a pure package"
        if inside(module, PURE):
            yield from (f"{where} {what}" for what in impurities(node))
        if not inside(module, AWAITING) and isinstance(
            node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
        ):
            yield f"{where} awaits; only {', '.join(sorted(AWAITING))} may"


def impurities(node: ast.AST) -> Iterator[str]:
    """What a node does with the world outside its arguments."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS:
            yield f"calls {name}()"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name)) if (
            name in WALL_CLOCK
        ):
            yield f"reads the wall clock by {name}()"
        case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
            yield "draws random numbers of its own"
        case ast.Global(names=names):
            yield f"changes the globals {names}"


def modules() -> dict[str, Path]:
    """Every module of ours by its name; a package's own file as `package.__init__`."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for package in OURS
        for file in sorted((ROOT / package).rglob("*.py"))
    }


@pytest.mark.parametrize("module", modules())
def test_a_module_keeps_the_rules_of_its_layer(module: str) -> None:
    found = list(breaches(modules()[module].read_text(encoding="utf-8"), module))
    assert not found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("vpp.plan.solve", "import vpp.trade.offering", id="a sibling"),
        pytest.param("vpp.plan.solve", "from vpp import trade", id="a sibling from the root"),
        pytest.param("vpp.plan.solve", "from ..trade import offers", id="a sibling, relatively"),
        pytest.param("vpp.plan.__init__", "from ..trade import x", id="a sibling, from __init__"),
        pytest.param(
            "vpp.act.share",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vpp.plan.view import V",
            id="a sibling for typing only",
        ),
        pytest.param(
            "vpp.act.share", "def f():\n    import vpp.plan.view", id="a sibling inside a function"
        ),
        pytest.param("vpp.model.park", "from vpp.wire import topic", id="a noun imports upwards"),
        pytest.param("vpp.errors", "from vpp.model.time import QUARTER", id="errors import a noun"),
        pytest.param("vpp.clock", "import vpp.ports", id="two files of one layer"),
        pytest.param("vpp.sense.state", "from vpp.clock import Clock", id="a verb with a clock"),
        pytest.param("vpp.simulate.market", "import vpp.service.cycle", id="market knows service"),
        pytest.param("vpp.simulate.market", "from vpp.trade import x", id="market knows a verb"),
        pytest.param("strategies.peak", "from vpp.plan.solve import x", id="strategy knows solver"),
        pytest.param("adapters.mqtt", "from vpp.sense.state import x", id="adapter knows a verb"),
        pytest.param("vpp.service.cycle", "import adapters.mqtt", id="adapters beside wiring"),
        pytest.param(
            "vpp.commands.run", "from strategies.peak import x", id="a command names a strategy"
        ),
        pytest.param("vpp.service.run", "from vpp.cli import main", id="service knows the command"),
        pytest.param("vpp.newcomer", "", id="a module without a rule"),
        pytest.param("vpp.service.run", "import tests.helpers", id="product code needs tests"),
        pytest.param(
            "vpp.service.run",
            "import importlib\nimportlib.import_module('strategies.peak')",
            id="by name beside wiring",
        ),
        pytest.param("vpp.plan.solve", "import time", id="a verb reads time"),
        pytest.param("vpp.trade.gates", "from asyncio import sleep", id="a verb sleeps"),
        pytest.param("vpp.account.meter", "import sqlite3 as db", id="a verb opens a database"),
        pytest.param(
            "vpp.sense.forecast.seasonal", "from numpy.random import normal", id="a verb rolls"
        ),
        pytest.param(
            "vpp.sense.forecast.seasonal", "x = np.random.normal()", id="a verb rolls by np"
        ),
        pytest.param("vpp.model.park", "x = datetime.now(UTC)", id="a noun reads the clock"),
        pytest.param("strategies.peak", "x = date.today()", id="a strategy reads the clock"),
        pytest.param("vpp.account.meter", "x = open('meter.csv')", id="a verb opens a file"),
        pytest.param("vpp.plan.solve", "async def solve(): ...", id="a verb is asynchronous"),
        pytest.param("vpp.commands.run", "async def f(): ...", id="a command is asynchronous"),
        pytest.param("vpp.wire", "async def send(x):\n    await x", id="the wire awaits"),
    ],
)
def test_the_checker_finds(module: str, source: str) -> None:
    assert list(breaches(source, module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("vpp.model.park", "from vpp.errors import DataError", id="noun, error"),
        pytest.param("vpp.model.park", "from .time import QUARTER", id="noun, noun, relatively"),
        pytest.param("vpp.model.park", "from datetime import datetime, time", id="datetime.time"),
        pytest.param("vpp.clock", "from vpp.model.time import require_utc", id="clock, noun"),
        pytest.param("vpp.clock", "x = datetime.now(UTC)", id="the wall clock itself"),
        pytest.param("vpp.sense.intake", "from vpp.wire import TelemetryMessage", id="verb, wire"),
        pytest.param(
            "vpp.trade.x", "from vpp.wireposition import Why", id="verb, part of the wire"
        ),
        pytest.param("strategies.peak", "from vpp.plan import terms", id="strategy, terms"),
        pytest.param("vpp.service.wiring", "import adapters.x", id="wiring, adapters"),
        pytest.param("vpp.service.strategies.wiring", "import strategies.peak", id="wiring, all"),
        pytest.param("vpp.service.api.routes", "from vpp import __version__", id="the version"),
        pytest.param("vpp.commands.run", "from vpp.service.x import y", id="command, service"),
        pytest.param("adapters.mqtt", "async def f(x):\n    await x", id="an adapter awaits"),
    ],
)
def test_the_checker_accepts(module: str, source: str) -> None:
    assert not list(breaches(source, module))


def test_the_table_has_no_circle() -> None:
    for name, may in ALLOWED.items():
        for other in may & ALLOWED.keys():
            assert not inside(name, ALLOWED[other]) or inside(name, {other}), (name, other)


# ---------------------------------------------------------------- no way around the guard

MADE_ONLY_IN = {"Guarded": {"vpp.act.guard"}, "Setpoint": {"vpp.act.life"}}
"""What the guard lets through is made by the guard; a command is made of that alone."""

MAY_SEND = {"vpp.service.steering.setpoints"}
"""Who reads `.sink`, where commands go."""

KNOW_SINKS = {
    "vpp.ports", "vpp.service.plant", "vpp.service.wiring", "vpp.service.links.wiring",
    "vpp.service.links.channels",
}  # fmt: skip
"""Who carries a sink from where it is built to where it is used; channels are sinks themselves."""


def ways_around(source: str, module: str) -> Iterator[str]:
    """Say each way by which the text of `module` gets to devices without the guard."""
    for node in ast.walk(ast.parse(source)):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in MADE_ONLY_IN and module not in MADE_ONLY_IN[name]
            ):
                yield f"{where} makes a {name}"
            case ast.Attribute(attr="sink", ctx=ast.Load()) if module not in MAY_SEND:
                yield f"{where} reaches for the sink"
            case ast.Constant(value="sink") if module not in MAY_SEND:
                yield f"{where} names the sink"
            case ast.ImportFrom() | ast.Import():
                names = imported(node, module)
                if "vpp.ports.SetpointSink" in names and module not in KNOW_SINKS:
                    yield f"{where} imports the port of commands"


@pytest.mark.parametrize("module", modules())
def test_a_module_knows_no_way_around_the_guard(module: str) -> None:
    assert not list(ways_around(modules()[module].read_text(encoding="utf-8"), module))


def test_what_is_sent_is_what_the_guard_let_through() -> None:
    """The one function that sends takes a `Guarded` and hands on only what is made of it."""
    tree = ast.parse(modules()["vpp.service.steering.setpoints"].read_text(encoding="utf-8"))
    senders = [
        function
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef)
        and any(isinstance(n, ast.Attribute) and n.attr == "sink" for n in ast.walk(function))
    ]
    assert [sender.name for sender in senders] == ["send"]
    kinds = [ast.unparse(a.annotation) for a in senders[0].args.args if a.annotation is not None]
    assert "Guarded" in kinds
    assert not {"Setpoint", "Sequence[Setpoint]", "tuple[Setpoint, ...]"} & set(kinds)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("vpp.service.cycle", "Guarded(power_kw=x)", id="a Guarded of its own"),
        pytest.param("vpp.act.share", "guard.Guarded(power_kw=x)", id="by its module"),
        pytest.param(
            "vpp.service.steering.setpoints", "Setpoint(power_kw=1e9)", id="a command by hand"
        ),
        pytest.param("vpp.service.cycle", "await plant.sink.send([])", id="straight to the sink"),
        pytest.param("vpp.service.cycle", "s = plant.sink", id="takes the sink aside"),
        pytest.param("vpp.service.cycle", "getattr(plant, 'sink')", id="by its name"),
        pytest.param("vpp.service.kill", "from vpp.ports import SetpointSink", id="the port"),
    ],
)
def test_the_checker_finds_ways_around_the_guard(module: str, source: str) -> None:
    assert list(ways_around(source, module))
