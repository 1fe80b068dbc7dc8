"""One statement for each enterprise; together they are the venue's ledger plus the tariff, exactly.

    energy_spot         own metered net energy of each interval at its day-ahead price
    trading_share       what the venue paid beyond all energy_spot, split by the agreed weights
    network_energy      by band of the tariff         )  made by `network.py`,
    demand_charge       increase of the monthly peak  )  one connection point at a time
    call_compensation   to whom was called, from all by the same weights: adds up to 0
    services            what demand response and reserve paid, by who brought it (`response.py`)

Per interval: venue lines = Σ energy_spot + Σ trading_share, to the last minor unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from vpp.account.carbon import ImportCarbon
from vpp.account.meters import MeteredEnergy
from vpp.errors import DataError
from vpp.model.ids import EnterpriseId
from vpp.model.money import split_exactly, to_minor
from vpp.model.settlement import SettlementLine, Statement, StatementLine
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountedInterval:
    """One settled interval of the unit."""

    interval: Interval
    metered: Mapping[EnterpriseId, MeteredEnergy]
    """Sum of the main meters of each enterprise."""

    day_ahead_per_mwh: Decimal | None
    """None where the unit does not trade yet: then there are no venue lines either."""

    lines: tuple[SettlementLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An interruption that its owner is paid for."""

    enterprise_id: EnterpriseId
    detail: str
    """Which load, and when."""

    energy_kwh: Decimal
    """Not drawn, a size."""

    price_per_kwh: Decimal


def statements(
    span: Interval,
    *,
    currency: str,
    minor_unit: Decimal,
    trading_share: Mapping[EnterpriseId, Decimal],
    intervals: Sequence[AccountedInterval],
    tariff_lines: Mapping[EnterpriseId, Sequence[StatementLine]],
    calls: Sequence[Call],
    baseline_kwh: Mapping[EnterpriseId, Decimal],
    carbon: Mapping[EnterpriseId, ImportCarbon],
    service_lines: Mapping[EnterpriseId, Sequence[StatementLine]] = MappingProxyType({}),
) -> tuple[Statement, ...]:
    """The statements of a span, one for each enterprise of `trading_share`, in that order.

    `trading_share` names every enterprise of the unit with its weight (0 for who does not take
    part). A statement is provisional where a venue line or one of its own meters is.

    Raises:
        DataError: No weight is above 0, an enterprise without a weight is named elsewhere, an
            interval lies outside `span`, or venue lines came without a day-ahead price.
    """
    named = {
        *tariff_lines,
        *service_lines,
        *baseline_kwh,
        *carbon,
        *(call.enterprise_id for call in calls),
    }
    for one in intervals:
        named |= set(one.metered)
        _require_settled(one, span)
    if strangers := sorted(named - set(trading_share)):
        raise DataError(
            f"{strangers} have no trading share",
            where="statements",
            fix="Name every enterprise of the unit, with weight 0 where it takes no part",
        )
    spot, trading = _spot_and_trading(intervals, trading_share, minor_unit)
    compensation = _compensation(calls, trading_share, minor_unit)
    venue_provisional = any(line.provisional for one in intervals for line in one.lines)
    made = []
    for enterprise_id in trading_share:
        metered = [m for one in intervals if (m := one.metered.get(enterprise_id)) is not None]
        net_kwh = Decimal(sum(m.net_wh for m in metered)) / 1000
        drawn = carbon.get(enterprise_id, ImportCarbon(kgco2=0.0, by_figure_wh=0))
        made.append(
            Statement(
                enterprise_id=enterprise_id,
                span=span,
                currency=currency,
                lines=(
                    _statement_line("energy_spot", "metered net", net_kwh, spot[enterprise_id]),
                    _statement_line(
                        "trading_share",
                        "venue less energy_spot",
                        Decimal(0),
                        trading[enterprise_id],
                    ),
                    *tariff_lines.get(enterprise_id, ()),
                    *compensation[enterprise_id],
                    *service_lines.get(enterprise_id, ()),
                ),
                import_kwh=Decimal(sum(m.import_wh for m in metered)) / 1000,
                export_kwh=Decimal(sum(m.export_wh for m in metered)) / 1000,
                baseline_kwh=baseline_kwh.get(enterprise_id, Decimal(0)),
                carbon_kgco2=drawn.kgco2,
                carbon_by_figure_kwh=Decimal(drawn.by_figure_wh) / 1000,
                provisional=venue_provisional or any(m.provisional for m in metered),
            )
        )
    return tuple(made)


def _require_settled(one: AccountedInterval, span: Interval) -> None:
    if not span.covers(one.interval):
        raise DataError(
            f"interval {one.interval.start} lies outside {span.start} … {span.end}",
            where="statements",
            fix="Give the intervals of the span only",
        )
    if one.day_ahead_per_mwh is None and one.lines:
        raise DataError(
            f"interval {one.interval.start} has venue lines but no day-ahead price",
            where="statements",
            fix="Settle by the gap rule first",
        )


def _spot_and_trading(
    intervals: Sequence[AccountedInterval],
    trading_share: Mapping[EnterpriseId, Decimal],
    minor_unit: Decimal,
) -> tuple[dict[EnterpriseId, Decimal], dict[EnterpriseId, Decimal]]:
    """Both sums by enterprise; rounded and split in every interval, so that each one adds up."""
    spot = dict.fromkeys(trading_share, Decimal(0))
    trading = dict.fromkeys(trading_share, Decimal(0))
    for one in intervals:
        if one.day_ahead_per_mwh is None:
            continue
        left = sum((line.amount for line in one.lines), Decimal(0))
        for enterprise_id, metered in one.metered.items():
            amount = to_minor(
                Decimal(metered.net_wh) * one.day_ahead_per_mwh / 1_000_000, minor_unit
            )
            spot[enterprise_id] += amount
            left -= amount
        for enterprise_id, share in split_exactly(left, trading_share, minor_unit).items():
            trading[enterprise_id] += share
    return spot, trading


def _compensation(
    calls: Sequence[Call], trading_share: Mapping[EnterpriseId, Decimal], minor_unit: Decimal
) -> dict[EnterpriseId, list[StatementLine]]:
    """Credits to those called and each enterprise's part of them, adding up to 0."""
    lines: dict[EnterpriseId, list[StatementLine]] = {one: [] for one in trading_share}
    total = Decimal(0)
    for call in calls:
        amount = to_minor(call.energy_kwh * call.price_per_kwh, minor_unit)
        total += amount
        lines[call.enterprise_id].append(
            _statement_line("call_compensation", call.detail, call.energy_kwh, amount)
        )
    if total:
        for enterprise_id, share in split_exactly(total, trading_share, minor_unit).items():
            lines[enterprise_id].append(
                _statement_line("call_compensation", "share of all calls", Decimal(0), -share)
            )
    return lines


def _statement_line(item: str, detail: str, energy_kwh: Decimal, amount: Decimal) -> StatementLine:
    return StatementLine(item=item, detail=detail, energy_kwh=energy_kwh, amount=amount)
