"""The report of a day or a month: money, why, carbon, members, and what the park did."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import TypeAlias

from vpp.account.attribution import Attribution
from vpp.account.statements import AccountedInterval
from vpp.errors import DataError
from vpp.model.settlement import LineKind, Statement
from vpp.model.time import Interval, local_date, local_day
from vpp.service import accounting
from vpp.service.accounts import periods
from vpp.service.plant import Plant
from vpp.service.record import PLAN
from vpp.service.results.splitting import SplitDay, expected_of, planned_kw, split_day
from vpp.wire import Span
from vpp.wireresult import (
    AttributionView,
    MemberResult,
    PeriodResultView,
    ResultDay,
    ResultItemView,
    ResultQuarterView,
    UnsplitDay,
)

DAY = len("2025-12-03")


async def report_of(plant: Plant, period: str) -> PeriodResultView:
    """What is settled of a local day, `2025-12-03`, or of a month, `2025-12`.

    Others get their turn after each day: a month takes seconds.

    Raises:
        DataError: No such period.
    """
    whole = periods.span_of(plant, period)
    settled = periods.settled_in(plant, whole)
    span = periods.hull(settled)
    made = () if span is None else accounting.statements_of(plant, span)
    total = sum((one.total for one in made), Decimal(0))
    days = []
    for day in _days(plant, settled):
        days.append(day)
        await asyncio.sleep(0)
    split, unsplit = _split(days, total)
    draws_kw = [_net_kw(one) * -1 for one in settled]
    return PeriodResultView(
        period=period,
        span=Span(start=whole.start, end=whole.end),
        settled=None if span is None else Span(start=span.start, end=span.end),
        timezone=plant.file.park.timezone.key,
        currency=plant.file.park.currency,
        total=total,
        provisional=any(one.provisional for one in made),
        split=None if split is None else _view(split),
        unsplit=unsplit,
        items=_items(made),
        members=_members(plant, made),
        import_kwh=sum((one.import_kwh for one in made), Decimal(0)),
        export_kwh=sum((one.export_kwh for one in made), Decimal(0)),
        highest_draw_kw=max([0.0, *draws_kw]),
        carbon_kgco2=sum(one.carbon_kgco2 for one in made),
        carbon_by_figure_kwh=sum((one.carbon_by_figure_kwh for one in made), Decimal(0)),
        imbalance_kwh=_imbalance_kwh(settled),
        plans=_plans(plant, whole),
        days=[_day_view(*day) for day in days] if len(period) < DAY else [],
        quarters=list(_quarters(plant, whole, settled)) if len(period) == DAY else [],
    )


_Day: TypeAlias = tuple[date, list[AccountedInterval], Decimal, SplitDay | str]
"""A local day, what is settled of it, what its statements come to, and how that is split, or why it is not."""


def _days(plant: Plant, settled: list[AccountedInterval]) -> Iterator[_Day]:
    zone = plant.file.park.timezone
    for day, some in groupby(settled, key=lambda one: local_date(one.interval.start, zone)):
        own = list(some)
        span = Interval(own[0].interval.start, own[-1].interval.end)
        total = sum((one.total for one in accounting.statements_of(plant, span)), Decimal(0))
        try:
            yield day, own, total, split_day(plant, local_day(day, zone), own, total)
        except DataError as error:
            yield day, own, total, error.what


def _split(days: list[_Day], total: Decimal) -> tuple[Attribution | None, list[UnsplitDay]]:
    """All days that are split together, and those that are not: `total` between them, to the cent.

    Statements of a month round once where those of its days round daily: cents of that are in `model`.
    """
    found: Attribution | None = None
    unsplit = []
    for day, _, of_day, split in days:
        if isinstance(split, SplitDay):
            found = split.attribution if found is None else found + split.attribution
        else:
            unsplit.append(UnsplitDay(day=day.isoformat(), total=of_day, reason=split))
    if found is not None:
        left = total - found.total - sum((one.total for one in unsplit), Decimal(0))
        zero = Decimal(0)
        found += Attribution(
            planned=zero, price=zero, forecast=zero, override=zero, delivery=zero, model=left
        )
    return found, unsplit


def _view(split: Attribution) -> AttributionView:
    return AttributionView(planned=split.planned, **split.effects)


def _items(made: tuple[Statement, ...]) -> list[ResultItemView]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in made:
        for line in one.lines:
            sums[line.item] += line.amount
    return [ResultItemView(item=item, amount=amount) for item, amount in sums.items()]


def _members(plant: Plant, made: tuple[Statement, ...]) -> list[MemberResult]:
    names = {e.enterprise_id: e.name for e in plant.file.park.enterprises}
    return [
        MemberResult(
            enterprise_id=one.enterprise_id,
            name=names[one.enterprise_id],
            total=one.total,
            import_kwh=one.import_kwh,
            export_kwh=one.export_kwh,
            carbon_kgco2=one.carbon_kgco2,
            provisional=one.provisional,
        )
        for one in made
    ]


def _day_view(
    day: date, own: list[AccountedInterval], total: Decimal, split: SplitDay | str
) -> ResultDay:
    metered = [one.metered.values() for one in own]
    return ResultDay(
        day=day.isoformat(),
        total=total,
        split=_view(split.attribution) if isinstance(split, SplitDay) else None,
        import_kwh=Decimal(sum(m.import_wh for some in metered for m in some)) / 1000,
        export_kwh=Decimal(sum(m.export_wh for some in metered for m in some)) / 1000,
        highest_draw_kw=max([0.0, *(-_net_kw(one) for one in own)]),
    )


def _quarters(
    plant: Plant, day: Interval, settled: list[AccountedInterval]
) -> Iterator[ResultQuarterView]:
    expected = expected_of(plant, day)
    planned = [] if expected is None else planned_kw(plant, expected)
    for one in settled:
        step = (one.interval.start - day.start) // (one.interval.end - one.interval.start)
        spot = one.day_ahead_per_mwh
        yield ResultQuarterView(
            start=one.interval.start,
            metered_kw=_net_kw(one),
            planned_kw=planned[step] if step < len(planned) else None,
            sold_kw=float(plant.sold_mw(one.interval)) * 1000,
            spot_per_mwh=None if spot is None else float(spot),
        )


def _net_kw(one: AccountedInterval) -> float:
    net_wh = sum(energy.net_wh for energy in one.metered.values())
    return net_wh / 1000 / one.interval.hours


def _imbalance_kwh(settled: list[AccountedInterval]) -> float:
    lines = (line for one in settled for line in one.lines if line.kind is LineKind.IMBALANCE)
    return float(sum((abs(line.energy_mwh) for line in lines), Decimal(0)) * 1000)


def _plans(plant: Plant, span: Interval) -> int:
    return sum(entry.recorded_at in span for entry in plant.journal.entries(PLAN))
