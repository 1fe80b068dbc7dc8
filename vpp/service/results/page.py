"""A report as one HTML file: the money and why, the day or month drawn, the members."""

from __future__ import annotations

from decimal import Decimal
from math import nan
from pathlib import Path
from zoneinfo import ZoneInfo

from vpp.service.pictures.drawings import Series, bars, bridge, lines
from vpp.service.pictures.paper import paper, write_paper
from vpp.service.results.show import EFFECTS, parts
from vpp.wireresult import PeriodResultView


def write_page(name: str, view: PeriodResultView, path: Path) -> None:
    """Write the page of a park's report; `name` is the park's.

    Raises:
        ConfigError: The file cannot be written.
    """
    write_paper(path, page_of(name, view))


def page_of(name: str, view: PeriodResultView) -> str:
    """The page."""
    effects = []
    if view.split is not None:
        effects = [("planned", f"{view.split.planned:,.2f}", "by the plan that was bid on", "")]
        for effect, words in EFFECTS.items():
            amount: Decimal = getattr(view.split, effect)
            look = "gained" if amount > 0 else "lost" if amount < 0 else ""
            effects.append((effect, f"{amount:+,.2f}", words, look))
    effects += [
        (day.day, f"{day.total:,.2f}", f"not split: {day.reason}", "") for day in view.unsplit
    ]
    return paper(
        "result.html",
        {
            "name": name,
            "view": view,
            "effects": effects,
            "total": f"{view.total:,.2f}",
            "tiles": _tiles(view),
            "why": None if view.split is None else _bridge(view),
            "pictures": list(_pictures(view)),
            "items": [(i.item.replace("_", " "), f"{i.amount:,.2f}") for i in view.items],
            "members": [
                (
                    one.name,
                    f"{one.total:,.2f}",
                    f"{one.import_kwh:,.0f}",
                    f"{one.export_kwh:,.0f}",
                    f"{one.carbon_kgco2:,.0f}",
                    "yes" if one.provisional else "no",
                )
                for one in view.members
            ],
            "days": [
                (
                    one.day,
                    f"{one.total:,.2f}",
                    *(
                        "–" if one.split is None else f"{getattr(one.split, effect):,.2f}"
                        for effect in ("planned", *EFFECTS)
                    ),
                )
                for one in view.days
            ],
            "effect_names": ["planned", *EFFECTS],
        },
    )


def _tiles(view: PeriodResultView) -> list[tuple[str, str]]:
    return [
        (f"came to, {view.currency}", f"{view.total:,.2f}"),
        ("import, MWh", f"{view.import_kwh / 1000:,.1f}"),
        ("export, MWh", f"{view.export_kwh / 1000:,.1f}"),
        ("highest draw, kW", f"{view.highest_draw_kw:,.0f}"),
        ("carbon of the import, kg", f"{view.carbon_kgco2:,.0f}"),
        ("delivered otherwise than sold, MWh", f"{view.imbalance_kwh / 1000:,.1f}"),
        ("plans", f"{view.plans}"),
    ]


def _bridge(view: PeriodResultView) -> str:
    from markupsafe import Markup

    assert view.split is not None
    steps = parts(view.split)
    if view.unsplit:
        steps.append(("not split", float(sum((d.total for d in view.unsplit), Decimal(0)))))
    steps.append(("came to", float(view.total)))
    return Markup(bridge("From the planned result to the settled one", steps, unit=view.currency))


def _pictures(view: PeriodResultView) -> list[tuple[str, str]]:
    from markupsafe import Markup

    zone = ZoneInfo(view.timezone)
    if view.days:
        drawn = bars(
            "What each day came to",
            [one.day[5:] for one in view.days],
            [Series("came to", [float(one.total) for one in view.days])],
            unit=view.currency,
        )
        return [(f"What each day came to, {view.currency}", Markup(drawn))]
    if not view.quarters:
        return []
    labels = [f"{one.start.astimezone(zone):%H:%M}" for one in view.quarters]
    power = lines(
        "Net power of the park",
        labels,
        [
            Series("metered", [one.metered_kw for one in view.quarters]),
            Series(
                "planned when bid",
                [nan if q.planned_kw is None else q.planned_kw for q in view.quarters],
            ),
            Series("sold", [one.sold_kw for one in view.quarters]),
        ],
        unit="kW",
    )
    price = lines(
        "Day-ahead price",
        labels,
        [
            Series(
                "day-ahead",
                [nan if q.spot_per_mwh is None else q.spot_per_mwh for q in view.quarters],
            )
        ],
        unit=f"{view.currency}/MWh",
    )
    return [
        ("Net power of the park, kW; what it draws is below 0", Markup(power)),
        (f"Day-ahead price, {view.currency}/MWh", Markup(price)),
    ]
