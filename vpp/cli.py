"""The `vpp` command. `--json` prints one document on stdout; logs go to stderr.

Exit 0: done. Exit 2: bad input, told as `file:line:col: path: what` or in one line. Exit 1: anything else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import structlog
import typer
from rich.console import Console

from vpp.devicecli import FAULTS_HELP, Json, device_app, park_path, simulate_app, wide_console
from vpp.errors import ConfigError, DataError, VppError
from vpp.peoplecli import people_app
from vpp.timelinecli import timeline

if TYPE_CHECKING:
    from vpp.sense.forecast.base import Site

app = typer.Typer(
    name="vpp",
    help="An open virtual power plant for the enterprises of industrial parks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(simulate_app, name="simulate")
app.add_typer(device_app, name="device")
app.command()(timeline)
app.add_typer(people_app, name="people")

_LENGTH = re.compile(r"^(\d+)(m|h|d)$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.command()
def demo(
    park: Annotated[str, typer.Option(help="A shipped park by name, or a park file.")] = "demo",
    length: Annotated[str, typer.Option("--for", help="Length of the scored span.")] = "24h",
    speed: Annotated[str, typer.Option(help="Times as fast as the wall clock, or max.")] = "60",
    port: Annotated[int, typer.Option(help="Port of the page on 127.0.0.1.")] = 8080,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn by chance.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder of the record.")] = None,
    faults: Annotated[str | None, typer.Option(help=FAULTS_HELP)] = None,
    json_: Json = False,
) -> None:
    """Run the whole park with nothing else installed."""
    from vpp.service.demo.demo import DemoOptions
    from vpp.service.demo.faultfile import faults_asked
    from vpp.service.demo.show import demonstrate, show
    from vpp.service.park.parkfile import load_park
    from vpp.simulate.devicefaults import NO_FAULTS

    options = DemoOptions(
        length=_length(length),
        speed=_speed(speed),
        seed=seed,
        port=port,
        data=data,
        faults=NO_FAULTS if faults is None else faults_asked(faults, seed=seed),
    )
    console = Console(stderr=json_)
    summary = asyncio.run(demonstrate(load_park(park_path(park)), options, console))
    if json_:
        print(json.dumps(summary))
    else:
        show(summary, console)


@app.command()
def run(
    park: Annotated[Path, typer.Argument(help="The park file.")],
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of page and API.")] = 8080,
    broker: Annotated[str | None, typer.Option(help="mqtt://user@host:port of a broker.")] = None,
    venue: Annotated[str | None, typer.Option(help="Address of the market's own ledger.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of jitter.")] = 1,
) -> None:
    """Run the daemon for a live park until it is stopped."""
    from vpp.service.daemon import run_daemon
    from vpp.service.park.parkfile import load_park

    asyncio.run(
        run_daemon(
            load_park(park),
            data=data,
            host=host,
            port=port,
            broker_url=broker,
            venue_url=venue,
            seed=seed,
        )
    )


@app.command()
def kill(
    reason: Annotated[str, typer.Option(help="Why; whoever looks reads it.")],
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    market: Annotated[str | None, typer.Option(help="Bids of this product alone.")] = None,
    enterprise: Annotated[str | None, typer.Option(help="This enterprise alone.")] = None,
) -> None:
    """Stop bids and set-points at once, also of a service that does not answer; two persons release it."""
    from vpp.service.kill import ALL, KillSwitch, Scope

    if market is not None and enterprise is not None:
        raise ConfigError("two scopes", where="vpp kill", fix="Give --market or --enterprise")
    scope = ALL if market is None else Scope("market", market)
    if enterprise is not None:
        scope = Scope("enterprise", enterprise)
    try:
        KillSwitch(data).kill(reason, scope)
    except OSError as error:
        raise ConfigError(
            f"cannot be latched: {error}", where=str(data), fix="Name the folder of the record"
        ) from error
    print(f"killed: {scope}")


@app.command()
def check(
    park: Annotated[Path, typer.Argument(help="The park file, or a market file.")],
    diff: Annotated[
        Path | None, typer.Option(help="An older file of the same kind: tell what rules changed.")
    ] = None,
    json_: Json = False,
) -> None:
    """Check a park file and all it names, or a market file; tell every fault at once."""
    from vpp.service.links.unended import unended
    from vpp.service.markets.check import changes, is_market, market_facts
    from vpp.service.park.parkfile import load_park
    from vpp.service.runnable import require_runnable
    from vpp.service.wiring import load_strategies

    changed = None if diff is None else changes(diff, park)
    if is_market(park):
        _tell(park, market_facts(park), changed, json_=json_)
        return
    file = load_park(park)
    for held in unended(file):
        print(f"{park}: warning: {held}", file=sys.stderr)
    load_strategies(file.strategies)
    if warning := file.calendars.warning(date.today()):  # noqa: DTZ011 (as the person who asks)
        print(f"{park}: warning: {warning}", file=sys.stderr)
    try:
        require_runnable(file)
    except ConfigError as error:  # right as a file, and enough for `vpp plan`
        print(f"{park}: warning: `vpp run` refuses it: {error}", file=sys.stderr)
    facts = {
        "park": file.park.park_id,
        "enterprises": len(file.park.enterprises),
        "resources": len(file.park.resources),
        "products": [product.product_id for product in file.products],
        "digest": file.digest,
    }
    waiting = {p.product_id: why for p in file.packs if (why := file.not_biddable(p.product_id))}
    told = (
        f"{facts['enterprises']} enterprises, {facts['resources']} resources,"
        f" {len(file.products)} market products"
    )
    _tell(park, facts | {"not_biddable": waiting}, changed, told, json_=json_)


@app.command()
def plan(
    case: Annotated[Path, typer.Argument(help="The case file.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the plan into this PNG file.")] = None,
    explain: Annotated[
        str | None, typer.Option(help="RESOURCE@HH:MM: why it does what it does then.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="An older plan (from --json): tell what changed.")
    ] = None,
    json_: Json = False,
) -> None:
    """Plan one horizon from files: schedule, costs by cause, prices, limits that bind."""
    from vpp.service.cases.case import plan_case, read_plan
    from vpp.service.cases.show import show_plan, show_reasons
    from vpp.service.planning.picture import draw, require_matplotlib

    asked = None if explain is None else _resource_at(explain)
    older = None if since is None else read_plan(since)
    if plot is not None:
        require_matplotlib()
    ran = plan_case(case, Console(stderr=True))
    if plot is not None:
        draw(ran, plot)
    if asked is not None:
        try:
            reasons = ran.why(*asked)
        except DataError as error:
            raise ConfigError(error.what, where="--explain", fix=error.fix) from error
        if json_:
            print(reasons.model_dump_json())
        else:
            show_reasons(reasons, wide_console())
        return
    document = ran.document(since=older)
    if json_:
        print(document.model_dump_json())
    else:
        show_plan(ran, document, wide_console())


@app.command()
def bid(
    case: Annotated[Path, typer.Argument(help="The case file, as `vpp plan` takes it.")],
    product: Annotated[str, typer.Option(help="Which market product of the park.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the bid into this PNG file.")] = None,
    json_: Json = False,
) -> None:
    """Show the bid that a product would get from a case, and why; nothing leaves."""
    from vpp.service.bids.case import bid_case
    from vpp.service.bids.plot import draw_bids
    from vpp.service.bids.show import show_bids
    from vpp.service.planning.picture import require_matplotlib

    if plot is not None:
        require_matplotlib()
    made = bid_case(case, product, Console(stderr=True))
    if plot is not None:
        draw_bids(made, plot)
    if json_:
        print(made.document().model_dump_json())
    else:
        show_bids(made, wide_console())


@app.command()
def forecast(
    series: Annotated[Path, typer.Argument(help="CSV: interval_start, then NAME [unit] columns.")],
    score: Annotated[bool, typer.Option(help="Tell how good each model was, by lead.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw forecast and coverage as PNG.")] = None,
    model: Annotated[str, typer.Option(help="The model's name; auto takes the best.")] = "auto",
    column: Annotated[
        str | None, typer.Option("--series", help="Which column; the first where left out.")
    ] = None,
    regressor: Annotated[
        list[str] | None, typer.Option(help="A column that explains it; may be given again.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone whose clock the series follows.")] = "UTC",
    country: Annotated[str | None, typer.Option(help="Whose holidays are rest days: DE.")] = None,
    subdivision: Annotated[str | None, typer.Option(help="State or province: BY.")] = None,
    site: Annotated[str | None, typer.Option(help="LAT,LON of a PV plant: 48.1,11.6.")] = None,
    panels: Annotated[
        str | None, typer.Option(help="TILT,AZIMUTH in degrees, as built; needs --site.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(help="HH:MM when prices of the next day are out.")
    ] = None,
    stamps: Annotated[
        str, typer.Option(help="zoned; local: the clock of --zone; sun: PV, offset not trusted.")
    ] = "zoned",
    clean: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, what is a defect; may be given again.")
    ] = None,
    horizon: Annotated[str, typer.Option(help="How far ahead.")] = "48h",
    window: Annotated[
        str, typer.Option(help="The newest part, on which models are tried.")
    ] = "56d",
    json_: Json = False,
) -> None:
    """Forecast a series from a file, with its spread; tell how good its models were on it."""
    from vpp.service.forecasting.command import (
        ForecastOptions,
        cleaning_rules,
        clock_time,
        forecast_file,
    )
    from vpp.service.forecasting.plot import draw_forecast
    from vpp.service.forecasting.show import show_forecast
    from vpp.service.park.rawtable import stamps_named
    from vpp.service.planning.picture import require_matplotlib

    if plot is not None:
        require_matplotlib()
    result = forecast_file(
        ForecastOptions(
            file=series,
            series=column,
            regressors=tuple(regressor or ()),
            model=model,
            zone=zone,
            country=country,
            subdivision=subdivision,
            site=_site(site, panels),
            published_at=None if published is None else clock_time(published),
            stamps=stamps_named(stamps),
            cleaning=cleaning_rules(clean or ()),
            horizon=_length(horizon, "--horizon"),
            window=_length(window, "--window"),
        )
    )
    if plot is not None:
        draw_forecast(result, plot)
    if json_:
        print(json.dumps(result.document(scored=score)))
    else:
        show_forecast(result, wide_console(), scored=score)


def _site(site: str | None, panels: str | None) -> Site | None:
    from vpp.service.forecasting.command import place

    if site is None and panels is not None:
        raise ConfigError("nobody said where they stand", where="--panels", fix="Add --site")
    return None if site is None else place(site, panels)


@app.command()
def backtest(
    park: Annotated[str, typer.Argument(help="A shipped park by name, or a park file.")],
    since: Annotated[str, typer.Option("--from", help="First local day, or a moment.")],
    until: Annotated[str, typer.Option("--to", help="The day after the last one, or a moment.")],
    every: Annotated[str, typer.Option(help="How often a plan is made.")] = "1h",
    scenarios: Annotated[
        int, typer.Option(help="Futures of the scenario plans; below 2 they are left out.")
    ] = 0,
    probability: Annotated[
        float | None,
        typer.Option(help="With what probability scenario plans keep limits in each step."),
    ] = None,
    step: Annotated[str, typer.Option(help="How often devices are steered.")] = "5m",
    foresight: Annotated[bool, typer.Option(help="Whether to solve with foresight.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn by chance.")] = 1,
    json_: Json = False,
) -> None:
    """Play days again with what was known then, beside doing nothing and perfect foresight."""
    from vpp.service.backtest.asked import BacktestOptions, span_of
    from vpp.service.backtest.show import run_backtest, show_backtest
    from vpp.service.park.parkfile import load_park

    file = load_park(park_path(park))
    options = BacktestOptions(
        span=span_of(file, since, until),
        every=_length(every, "--every"),
        period=_length(step, "--step"),
        scenarios=scenarios,
        probability=probability,
        foresight=foresight,
        seed=seed,
    )
    result = asyncio.run(run_backtest(file, options, Console(stderr=True)))
    if json_:
        print(json.dumps(result.document()))
    else:
        show_backtest(result, wide_console())


@simulate_app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    parks: Annotated[
        Path | None,
        typer.Option(help="Folder of park files that can be named beside shipped ones."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8080,
    at_most: Annotated[int, typer.Option(min=1, max=64, help="Simulations at once.")] = 8,
    idle: Annotated[str, typer.Option(help="One that nobody asks for so long is removed.")] = "60m",
) -> None:
    """Serve simulations to those who write markets, without a park of one's own."""
    if context.invoked_subcommand is not None:
        return
    from vpp.service.park.schema import SimulatorSettings
    from vpp.service.simulations.server import serve_simulations

    minutes = _length(idle, "--idle") / timedelta(minutes=1)
    if not minutes:
        raise ConfigError("nothing is kept for no time", where="--idle", fix="Say 60m, or 1d")
    settings = SimulatorSettings(at_most=at_most, idle_minutes=minutes)
    asyncio.run(serve_simulations(settings, parks=parks, host=host, port=port))


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(help="Which one; all names where left out.")] = None,
) -> None:
    """Print the JSON Schema of a file or message."""
    from vpp.service.park.schemas import SCHEMAS

    if name is None:
        print("\n".join(SCHEMAS))
        return
    if name not in SCHEMAS:
        raise ConfigError(
            f"there is no schema {name!r}", where="schema", fix=f"Use one of {list(SCHEMAS)}"
        )
    print(json.dumps(SCHEMAS[name](), indent=2))


def _tell(
    path: Path,
    facts: dict[str, Any],
    changed: tuple[str, ...] | None,
    told: str = "",
    *,
    json_: bool,
) -> None:
    """What `vpp check` found: one document, or lines for people."""
    if json_:
        print(json.dumps(facts if changed is None else facts | {"changes": changed}))
        return
    print(f"{path}: in order: {told or facts['told']}")
    for name, why in facts["not_biddable"].items():
        print(f"{name}: nothing is bid: {why}")
    for line in changed or ():
        print(line)
    if changed == ():
        print("no market rule changes")


def _resource_at(text: str) -> tuple[str, str]:
    resource, _, clock = text.rpartition("@")
    if not resource or not clock:
        raise ConfigError(f"{text!r} names no time", where="--explain", fix="Say bess-1@03:15")
    return resource, clock


def _length(text: str, where: str = "--for") -> timedelta:
    match = _LENGTH.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no length", where=where, fix="Say 24h, 7d or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 3600:
        raise ConfigError(f"{text!r} is no speed", where="--speed", fix="Say 60, or max")
    return speed


def main() -> NoReturn:
    """Run the command and turn what it raises into one line and an exit code."""
    # One thread a process: those of OpenMP spin while they wait for each other, and beside other work
    # on the machine models then take ten times as long to learn. Read when scikit-learn is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # without the values, some of which are secret
            structlog.processors.JSONRenderer(),
        ],
    )
    try:
        code = app(
            standalone_mode=False
        )  # where a command says how it ended, it is given back here
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except VppError as error:
        print(f"vpp: {error}", file=sys.stderr)
        sys.exit(1)
    except typer.TyperException as error:  # an unknown flag, a missing argument; or the help
        print(error, file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        print("vpp: stopped", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
