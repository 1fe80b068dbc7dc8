"""A back-test as one HTML file: what it comes to in words, in a table, and drawn day by day."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from vpp.service.backtest.backtest import Backtest
from vpp.service.backtest.days import Day
from vpp.service.backtest.living import Lived
from vpp.service.backtest.show import broken, captured, causes_of, cost_of, share, verdicts
from vpp.service.pictures.drawings import Series, bars, lines
from vpp.service.pictures.paper import paper, write_paper


def write_page(result: Backtest, path: Path) -> None:
    """Write the page.

    Raises:
        ConfigError: The file cannot be written.
    """
    write_paper(path, page_of(result))


def page_of(result: Backtest) -> str:
    """The page; nothing of the wall clock in it."""
    from markupsafe import Markup

    options, park, rows, lives = result.options, result.file.park, result.rows, result.lives
    zone, currency = park.timezone, park.currency
    days = [f"{day.day:%m-%d}" for day in lives[0].days]
    costs = [Series(life.name, [day.cost for day in life.days]) for life in lives]
    causes = causes_of(rows)
    content: dict[str, Any] = {
        "park": park.park_id,
        "name": park.name,
        "span": f"{options.span.start.astimezone(zone):%Y-%m-%d %H:%M} to"
        f" {options.span.end.astimezone(zone):%Y-%m-%d %H:%M}",
        "every": f"{options.every.total_seconds() / 3600:g} h",
        "seed": options.seed,
        "currency": currency,
        "verdicts": list(verdicts(result)),
        "titles": [row.title for row in rows],
        "causes": [
            (name.replace("_", " "), [_cost(cost_of(r, name)) for r in rows]) for name in causes
        ],
        "totals": [_cost(row.cost) for row in rows],
        "facts": [
            ("value captured", [captured(row) for row in rows]),
            ("quarter-hours with a limit broken", [share(broken(row)) for row in rows]),
            *_of_lives(result),
        ],
        "first": lives[0].name,
        "days_picture": Markup(bars("Cost by day", days, costs, unit=currency)),
        "saved_picture": Markup(_saved(lives, days, currency)) if len(lives) > 1 else "",
        "causes_picture": Markup(_by_cause(lives, causes, currency)),
        "causes_caption": f"Cost by cause less that of {lives[0].name}"
        if len(lives) > 1
        else "Cost by cause",
        "day_heads": [f"cost, {currency}", "import, MWh", "highest draw, kW", "cycles"],
        "days": [
            (day.day.isoformat(), life.name, _of_day(day))
            for together in zip(*(life.days for life in lives), strict=True)
            for life, day in zip(lives, together, strict=True)
        ],
        "digest": result.file.digest[:12],
    }
    return paper("backtest.html", content)


def _of_lives(result: Backtest) -> Iterator[tuple[str, list[str]]]:
    """What only lives have; nothing and foresight have a dash."""
    by_title = {life.ours.title: life for life in result.lives}

    def told(label: str, text: Any) -> tuple[str, list[str]]:
        lives = (by_title.get(row.title) for row in result.rows)
        return label, ["–" if life is None else text(life) for life in lives]

    yield told("carbon of the import, kg", lambda life: f"{life.carbon_kgco2:,.0f}")
    yield told("full cycles of storages", lambda life: f"{life.cycles:,.2f}")
    yield told("highest draw, kW", lambda life: f"{life.highest_draw_kw:,.0f}")
    yield told("paid for services", lambda life: f"{-life.causes['services'] + 0:,.2f}")
    yield told("plans, failed", lambda life: f"{life.ours.plans}, {life.ours.plans_failed}")


def _saved(lives: tuple[Lived, ...], days: list[str], currency: str) -> str:
    first, *others = lives
    saved = [
        Series(
            life.name,
            [0.0, *accumulate(a.cost - b.cost for a, b in zip(first.days, life.days, strict=True))],
            colour=place,
        )
        for place, life in enumerate(others, start=2)
    ]
    return lines("Saved since the beginning", ["start", *days], saved, unit=currency)


def _by_cause(lives: tuple[Lived, ...], causes: list[str], currency: str) -> str:
    """Of one life what it cost, of several what the others cost more than the first."""
    first = lives[0]
    others = lives[1:] or lives
    base = {name: cost_of(first.ours, name) or 0.0 for name in causes} if lives[1:] else {}
    series = [
        Series(
            life.name,
            [(cost_of(life.ours, name) or 0.0) - base.get(name, 0.0) for name in causes],
            colour=place,
        )
        for place, life in enumerate(others, start=2 if lives[1:] else 1)
    ]
    labels = [name.replace("_", " ") for name in causes]
    return bars("Cost by cause", labels, series, unit=currency)


def _of_day(day: Day) -> list[str]:
    return [
        f"{day.cost:,.2f}",
        f"{day.import_kwh / 1000:,.1f}",
        f"{day.highest_draw_kw:,.0f}",
        f"{day.cycles:.2f}",
    ]


def _cost(cost: float | None) -> str:
    return "–" if cost is None else f"{cost + 0:,.2f}"
