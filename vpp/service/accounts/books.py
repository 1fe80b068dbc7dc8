"""The books of a period: its statements, its settlement by interval, and both as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from vpp.account.statements import AccountedInterval
from vpp.model.ids import EnterpriseId
from vpp.model.settlement import Statement
from vpp.service import accounting
from vpp.service.accounts import periods
from vpp.service.accounts.views import (
    MeteredView,
    PeriodStatementsView,
    SettledIntervalView,
    SettlementLineView,
    SettlementRow,
    SettlementView,
    StatementRow,
)
from vpp.service.accounts.waiting import waits
from vpp.service.api.money import view_of
from vpp.service.plant import Plant
from vpp.wire import Span

WH_PER_KWH = 1000


def statements_of(
    plant: Plant, period: str, enterprise_id: EnterpriseId | None, now: datetime
) -> PeriodStatementsView:
    """The statements of what is settled of a period; of one enterprise, or of all.

    Raises:
        DataError: No such period.
    """
    whole = periods.span_of(plant, period)
    span = periods.hull(periods.settled_in(plant, whole))
    made: tuple[Statement, ...] = ()
    if span is not None:
        made = accounting.kept_statements(plant, span)
    shown = [one for one in made if enterprise_id in (None, one.enterprise_id)]
    names = {e.enterprise_id: e.name for e in plant.file.park.enterprises}
    return PeriodStatementsView(
        period=period,
        span=None if span is None else Span(start=span.start, end=span.end),
        currency=plant.file.park.currency,
        total=sum((one.total for one in shown), Decimal(0)),
        statements=[view_of(one, names[one.enterprise_id]) for one in shown],
        waits=waits(plant, whole, now, enterprise_id),
    )


def settlement_of(plant: Plant, period: str, now: datetime) -> SettlementView:
    """Every settled interval of a period, with the venue's lines.

    Raises:
        DataError: No such period.
    """
    whole = periods.span_of(plant, period)
    intervals = [_interval(one) for one in periods.settled_in(plant, whole)]
    return SettlementView(
        period=period,
        currency=plant.file.park.currency,
        amount=sum((one.amount for one in intervals), Decimal(0)),
        intervals=intervals,
        waits=waits(plant, whole, now),
    )


def statement_rows(view: PeriodStatementsView) -> Iterator[StatementRow]:
    """Each line of each statement."""
    for one in view.statements:
        for line in one.lines:
            yield StatementRow(
                period=view.period,
                enterprise_id=one.enterprise_id,
                enterprise=one.name,
                item=line.item,
                detail=line.detail,
                energy_kwh=line.energy_kwh,
                amount=line.amount,
                currency=one.currency,
                provisional="yes" if one.provisional else "no",
            )


def settlement_rows(view: SettlementView) -> Iterator[SettlementRow]:
    """Each line of the venue."""
    for one in view.intervals:
        for line in one.lines:
            yield SettlementRow(
                start=one.start,
                end=one.end,
                kind=line.kind,
                energy_mwh=line.energy_mwh,
                price_per_mwh=line.price_per_mwh,
                amount=line.amount,
                currency=view.currency,
                provisional="yes" if line.provisional else "no",
            )


def _interval(one: AccountedInterval) -> SettledIntervalView:
    return SettledIntervalView(
        start=one.interval.start,
        end=one.interval.end,
        day_ahead_per_mwh=one.day_ahead_per_mwh,
        net_kwh=Decimal(sum(m.net_wh for m in one.metered.values())) / WH_PER_KWH,
        amount=sum((line.amount for line in one.lines), Decimal(0)),
        provisional=periods.is_provisional(one),
        metered=[
            MeteredView(
                enterprise_id=name,
                net_kwh=Decimal(energy.net_wh) / WH_PER_KWH,
                provisional=energy.provisional,
            )
            for name, energy in one.metered.items()
        ],
        lines=[
            SettlementLineView(
                kind=line.kind.value,
                energy_mwh=line.energy_mwh,
                price_per_mwh=line.price_per_mwh,
                amount=line.amount,
                provisional=line.provisional,
            )
            for line in one.lines
        ],
    )
