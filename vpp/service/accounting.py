"""Money and carbon of what has been delivered: from meters, position and published prices.

Each quarter-hour that the unit trades is settled as soon as its meters are read, with the gap rule
where an imbalance price is still missing, and again when the price comes. Statements are always
made new from what is settled, so a correction needs no second book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from vpp.account.baseline import baseline_kw
from vpp.account.carbon import import_carbon
from vpp.account.meters import MeteredEnergy
from vpp.account.network import demand_charge, network_energy, rise_cost, standing_charge
from vpp.account.peaks import next_month
from vpp.account.settlement import (
    GapRule,
    SettledPrice,
    claw_back_lines,
    gap_rule_on,
    settle_differences,
    settle_interval,
)
from vpp.account.statements import AccountedInterval, Call, statements
from vpp.model.command import Delivery
from vpp.model.horizon import Horizon
from vpp.model.ids import ConnectionPointId, EnterpriseId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.money import exact
from vpp.model.outside import CONTRACTS
from vpp.model.park import ConnectionPoint
from vpp.model.resource import InterruptibleLoad
from vpp.model.settlement import LineKind, SettlementLine, Statement, StatementLine
from vpp.model.tariff import billing_month
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary, local_date, local_moment
from vpp.service.calls import reserves
from vpp.service.demandresponse import money as drmoney
from vpp.service.events import Severity
from vpp.service.feeds import carbonseries
from vpp.service.finality import given_up, tell_given_up
from vpp.service.inputs import reference_product, trading_unit
from vpp.service.plant import Plant

METERS_WHOLE = timedelta(days=2)
"""Older than this, main meters are kept at quarter-hours only."""

METERS_KEPT = timedelta(days=62)
"""Two billing months of main meters: what statements and baselines look back on."""

LINE_KINDS = {
    "energy_da": LineKind.DAY_AHEAD,
    "energy_id": LineKind.QUARTER_HOUR,
    "energy_rt": LineKind.QUARTER_HOUR,
}
"""Of every kind that trades energy."""

SETTLED = frozenset({"exchange_imbalance", "two_settlement"})
"""Formulas whose lines are made of what is metered; what settles otherwise is owed and not billed here."""


def settle_due(plant: Plant, now: datetime) -> list[Interval]:
    """Settle every finished interval that is new or still provisional; returns what was settled.

    What is not metered, or has no day-ahead price, after `trading.unmetered_given_up_after_hours` is given up:
    said once, and no obstacle to what comes after it.
    """
    _reopen_changed(plant, now)
    settled: list[Interval] = []
    newest = latest_boundary(now, QUARTER)
    first = plant.final_until or first_settled(plant, now)
    if newest <= first or not plant.file.gap_rules:  # no product here settles by what is metered
        return settled
    all_final = True
    for interval in Interval(first, newest).split(QUARTER):
        known = plant.accounted.get(interval)
        if not _final(known):
            accounted = _settle(plant, interval, now)
            if accounted is not None and accounted != known:
                plant.accounted[interval] = known = accounted
                note_peaks(plant, interval)  # its meters may have been read after the plan looked
                settled.append(interval)
        waits = known is None and not given_up(plant, interval, now)
        all_final = all_final and not waits and (known is None or _final(known))
        if all_final:
            plant.final_until = interval.end
    for interval in settled:
        plant.book.delivered(interval.end)
    if plant.final_until is not None:
        plant.book.settled(first, plant.final_until)
    tell_given_up(plant, now)
    if settled:
        plant.statements.clear()
        plant.accounted_span = _hull(plant.accounted_span, settled)
    return settled


def first_settled(plant: Plant, now: datetime) -> datetime:
    """Where a service that begins again begins to settle: no meter is kept from before."""
    return max(trading_unit(plant).trades_from, _settled_from(now))


def reopen(plant: Plant, start: datetime) -> None:
    """What was traded from `start` on has changed: what is settled of it is settled again.

    What lies further back than meters are kept stays as it was settled, which is told.
    """
    now = plant.clock.now()
    if start < (oldest := _settled_from(now)):
        start = oldest
        if plant.final_until is not None:
            plant.events.emit(
                "settlement",
                f"a trade of before {isoformat(oldest)} has changed: meters are not kept so long,"
                " and it is not settled again",
                at=now,
                severity=Severity.WARNING,
            )
    if plant.final_until is not None and plant.final_until > start:
        plant.final_until = latest_boundary(start, QUARTER)
    for interval in [one for one in plant.accounted if one.end > start]:
        del plant.accounted[interval]  # also behind one that waits for its meters


def _reopen_changed(plant: Plant, now: datetime) -> None:
    """Settle again what was settled without the readings that have come since, from a buffer."""
    changed_from = plant.meters.take_changed_from()
    if changed_from is None:
        return
    start = max(latest_boundary(changed_from, QUARTER), _settled_from(now))
    if any(interval.end > start for interval in plant.accounted):
        reopen(plant, start)


def _settled_from(now: datetime) -> datetime:
    """Older intervals cannot be settled: their meters are forgotten."""
    return latest_boundary(now - METERS_KEPT, QUARTER)


def _final(accounted: AccountedInterval | None) -> bool:
    return accounted is not None and not any(line.provisional for line in accounted.lines)


def _hull(span: Interval | None, intervals: list[Interval]) -> Interval:
    """The shortest span that covers `span` and all `intervals`."""
    spans = intervals if span is None else [span, *intervals]
    return Interval(min(i.start for i in spans), max(i.end for i in spans))


def _settle(plant: Plant, interval: Interval, now: datetime) -> AccountedInterval | None:
    """One interval; None while a main meter or the day-ahead price is missing."""
    metered = metered_by_enterprise(plant, interval)
    spot = _price(plant, reference_product(plant).price_series_id, interval, now)
    if metered is None or spot is None:
        return None
    sold = _sold(plant, interval)
    rule = gap_rule_on(plant.file.gap_rules, local_date(interval.start, plant.file.park.timezone))
    prices = [
        rule.price(
            interval.start,
            _published(plant, series_id, interval, rule, now),
            QUARTER,
            spot,
        )
        for series_id in imbalance_series(plant)
    ]
    gap = any(price.provisional for price in prices)
    net_wh = sum(energy.net_wh for energy in metered.values())
    owed = plant.sold_mw(interval) * exact(interval.hours) * 1000
    plant.deliveries[interval] = Delivery(
        interval=interval, owed_kwh=float(owed), delivered_kwh=net_wh / 1000
    )
    return AccountedInterval(
        interval=interval,
        metered=metered,
        day_ahead_per_mwh=spot,
        lines=(
            *settle_interval(
                interval,
                sold,
                net_wh,
                prices[0].price_per_mwh,
                prices[1].price_per_mwh,
                plant.file.park.minor_unit,
                gap=gap,
                activated_mwh=reserves.activated_mwh(plant, interval),
            ),
            *_taken_back(plant, interval, sold, net_wh, spot, prices[0].price_per_mwh, gap=gap),
            *_differences(plant, interval, spot, now),
        ),
    )


def _sold(plant: Plant, interval: Interval) -> list[tuple[LineKind, Decimal, Decimal]]:
    """Energy that is traded for an interval, as `settle_interval` takes it."""
    sold = []
    for line in plant.book.position().trades(interval):
        product = plant.products.get(line.product_id)  # the park file may drop one
        if line.product_id == CONTRACTS:
            sold.append((LineKind.CONTRACT, line.sold_mw, line.price_per_mwh))
        elif product is not None and product.settled_by in SETTLED and product.trades_energy:
            sold.append((LINE_KINDS[product.kind], line.sold_mw, line.price_per_mwh))
    return sold


def _differences(
    plant: Plant, interval: Interval, spot: Decimal, now: datetime
) -> tuple[SettlementLine, ...]:
    """Lines of financial contracts; at the day-ahead price until their own reference is published."""
    contracts = []
    for one, sold_mw in plant.book.outside.swaps(interval):
        published = _price(plant, str(one.reference_series_id), interval, now)
        reference = SettledPrice(
            price_per_mwh=spot if published is None else published,
            provisional=published is None,
            origin="day-ahead" if published is None else "published",
        )
        contracts.append((sold_mw, one.price_per_mwh, reference))
    return settle_differences(interval, contracts, plant.file.park.minor_unit)


def _taken_back(
    plant: Plant,
    interval: Interval,
    sold: Sequence[tuple[LineKind, Decimal, Decimal]],
    net_wh: int,
    spot: Decimal,
    real_time: Decimal,
    *,
    gap: bool,
) -> tuple[SettlementLine, ...]:
    """What the market of the reference product takes back for a declaration that lay off what was metered."""
    product = reference_product(plant)
    if product.claw_back is None:
        return ()
    declared_mw = sum((mw for _, mw, _ in sold), Decimal(0))
    return claw_back_lines(
        interval,
        declared_mw * exact(interval.hours),
        net_wh,
        spot,
        real_time,
        product.claw_back,
        plant.file.park.minor_unit,
        gap=gap,
    )


def imbalance_series(plant: Plant) -> tuple[str, str]:
    """Series of the price of what is missing, and of what is too much.

    One and the same, of the real time, where the day-ahead product settles at it.
    """
    real_time = reference_product(plant).real_time_series_id
    if real_time is not None:
        return real_time, real_time
    zone = trading_unit(plant).zone.lower()
    return f"price.imbalance-short.{zone}", f"price.imbalance-long.{zone}"


def metered_by_enterprise(
    plant: Plant, interval: Interval
) -> dict[EnterpriseId, MeteredEnergy] | None:
    """Energy of each enterprise's main meters; None while one of them is unknown."""
    total: dict[EnterpriseId, MeteredEnergy] = {}
    for point in plant.file.park.connection_points:
        energy = plant.meters.energy_wh(point.meter_id, interval)
        if energy is None:
            return None
        before = total.get(point.enterprise_id, MeteredEnergy(0, 0, provisional=False))
        total[point.enterprise_id] = MeteredEnergy(
            before.import_wh + energy.import_wh,
            before.export_wh + energy.export_wh,
            provisional=before.provisional or energy.provisional,
        )
    return total


def note_peaks(plant: Plant, interval: Interval) -> None:
    """Hand the mean imports of a finished interval to the peaks the demand charge is paid on."""
    for point in plant.file.park.connection_points:
        import_kw = plant.meters.peak_import_kw(point.meter_id, interval)
        if import_kw is not None:
            plant.peaks.add(point.connection_point_id, interval, import_kw)


def note_calls(plant: Plant) -> None:
    """Remember each interruption that has begun, for its owner is paid for it."""
    for resource in plant.file.park.resources:
        if not isinstance(resource, InterruptibleLoad):
            continue
        reading = plant.intake.newest.get(resource.resource_id)
        if _called(reading) and reading is not None and reading.phase_since is not None:
            # To the millisecond, as the historian keeps it: after a restart it is the same call.
            began = reading.phase_since
            began = began.replace(microsecond=began.microsecond // 1000 * 1000)
            call = call_of(resource, began, reading.measured_at)
            plant.calls[resource.resource_id, began] = call


def call_of(resource: InterruptibleLoad, began: datetime, seen_at: datetime) -> Call:
    """What the owner of an interruption is paid for that began then and was last told of at `seen_at`.

    At least its shortest length. Plans choose lengths in quarter-hours, so the nearest one is meant.
    """
    lasted = round((seen_at - began) / QUARTER) * QUARTER
    longest = resource.longest_call or resource.call_length
    hours = min(max(lasted, resource.call_length), longest) / timedelta(hours=1)
    return Call(
        enterprise_id=resource.enterprise_id,
        detail=f"{resource.resource_id} {began:%Y-%m-%d %H:%M}Z",
        energy_kwh=exact(resource.rated_draw_kw) * exact(hours),
        price_per_kwh=exact(resource.call_cost_per_kwh),
    )


def _called(reading: Reading | None) -> bool:
    return reading is not None and reading.phase is RunPhase.CALLED


def current_statements(plant: Plant) -> tuple[Statement, ...]:
    """One statement for each enterprise, from the first traded interval to the newest settled.

    Made once after each settlement, then kept.
    """
    return () if plant.accounted_span is None else kept_statements(plant, plant.accounted_span)


def kept_statements(plant: Plant, span: Interval) -> tuple[Statement, ...]:
    """`statements_of`, made once after each settlement: many pages ask for the same few spans."""
    if span not in plant.statements:
        plant.statements[span] = statements_of(plant, span)
    return plant.statements[span]


def statements_of(plant: Plant, span: Interval) -> tuple[Statement, ...]:
    """One statement for each enterprise over `span`, from what is settled of it."""
    park, unit = plant.file.park, trading_unit(plant)
    intervals = [
        accounted
        for interval, accounted in sorted(plant.accounted.items())
        if span.covers(interval)
    ]
    grid = carbonseries.measured(plant, span, plant.clock.now())
    return statements(
        span,
        currency=park.currency,
        minor_unit=park.minor_unit,
        trading_share=dict(unit.trading_share),
        intervals=intervals,
        tariff_lines=_tariff_lines(plant, span, [one.interval for one in intervals]),
        service_lines=_service_lines(plant, span),
        calls=[call for (_, began), call in plant.calls.items() if began in span],
        baseline_kwh=_baseline_kwh(plant, [one.interval for one in intervals]),
        carbon=import_carbon(
            (
                ({e: m.import_wh for e, m in one.metered.items()}, grid.get(one.interval.start))
                for one in intervals
            ),
            figure_kgco2_per_kwh=park.grid_kgco2_per_kwh,
        ),
    )


def _service_lines(plant: Plant, span: Interval) -> Mapping[EnterpriseId, list[StatementLine]]:
    """What demand response and reserve came to."""
    lines: dict[EnterpriseId, list[StatementLine]] = {}
    for source in (drmoney, reserves):
        for name, own in source.statement_lines(plant, span).items():
            lines.setdefault(name, []).extend(own)
    return lines


def _tariff_lines(
    plant: Plant, span: Interval, intervals: list[Interval]
) -> Mapping[EnterpriseId, list[StatementLine]]:
    park = plant.file.park
    lines: dict[EnterpriseId, list[StatementLine]] = {}
    for point in park.connection_points:
        tariff = park.tariff_by_id[point.tariff_id]
        metered = ((i, plant.meters.energy_wh(point.meter_id, i)) for i in intervals)
        imports = [(i, energy.import_wh) for i, energy in metered if energy is not None]
        rises = plant.peaks.increases(point.connection_point_id, span)
        month_kwh = _kwh_of_months_over(plant, point, span)
        lines.setdefault(point.enterprise_id, []).extend(
            [
                *network_energy(
                    point.connection_point_id, tariff, park.timezone, imports, park.minor_unit
                ),
                *demand_charge(point, tariff, rises, park.minor_unit, month_kwh),
                *standing_charge(point, tariff, span, park.timezone, park.minor_unit, month_kwh),
            ]
        )
    return lines


def _kwh_of_months_over(
    plant: Plant, point: ConnectionPoint, span: Interval
) -> dict[date, Decimal]:
    """Imports of the billing months that end within `span`, where the meter knows the whole month."""
    zone = plant.file.park.timezone
    known: dict[date, Decimal] = {}
    month = billing_month(span.start, zone)
    while (end := local_moment(next_month(month), time(), zone)) <= span.end:
        whole = Interval(local_moment(month, time(), zone), end)
        energy = plant.meters.energy_wh(point.meter_id, whole)
        if energy is not None:
            known[month] = Decimal(energy.import_wh) / 1000
        month = next_month(month)
    return known


def _baseline_kwh(plant: Plant, intervals: list[Interval]) -> dict[EnterpriseId, Decimal]:
    """Net injection expected without steering, where meters have history enough."""
    park = plant.file.park
    total: dict[EnterpriseId, Decimal] = {}

    def history(point_id: ConnectionPointId, moment: datetime) -> float | None:
        interval = Interval(moment, moment + QUARTER)
        energy = plant.meters.energy_wh(park.point_by_id[point_id].meter_id, interval)
        return None if energy is None else energy.net_wh / 1000 / interval.hours

    for point in park.connection_points:
        first = plant.meters.first_read_at(point.meter_id)
        if first is None or not intervals or intervals[0].start - first < timedelta(days=1):
            continue  # no day to compare with: the statement says nothing of a baseline
        expected: list[float | None] = []
        for interval in intervals:
            key = point.connection_point_id, interval.start
            if key not in plant.baselines_kw:  # days before an interval do not change any more
                plant.baselines_kw[key] = baseline_kw(
                    history,
                    point.connection_point_id,
                    interval.start,
                    calendar=plant.file.calendars.of(point.enterprise_id),
                    window_days=min((interval.start - first).days + 1, 45),
                )
            expected.append(plant.baselines_kw[key])
        known = [kw * QUARTER / timedelta(hours=1) for kw in expected if kw is not None]
        if len(known) == len(intervals):
            before = total.get(point.enterprise_id, Decimal(0))
            total[point.enterprise_id] = before + round(exact(sum(known)), 3)
    return total


def money_of(plant: Plant, interval: Interval) -> Decimal:
    """What a settled interval came to in market and network, credit positive.

    For the running display: statements round network energy once a month's band, not here.
    """
    park = plant.file.park
    total = sum((line.amount for line in plant.accounted[interval].lines), Decimal(0))
    for point in park.connection_points:
        energy = plant.meters.energy_wh(point.meter_id, interval)
        band = park.tariff_by_id[point.tariff_id].band_at(interval.start, park.timezone)
        if energy is not None:
            total -= Decimal(energy.import_wh) / 1000 * band.price_per_kwh
    return total


def demand_charge_so_far(plant: Plant, span: Interval) -> Decimal:
    """What the peaks of `span` have added to the demand charges, a size."""
    park = plant.file.park
    return sum(
        (
            rise_cost(point, park.tariff_by_id[point.tariff_id], rise, month_kwh=None)
            for point in park.connection_points
            for rise in plant.peaks.increases(point.connection_point_id, span)
        ),
        Decimal(0),
    )


def _price(plant: Plant, series_id: str, interval: Interval, now: datetime) -> Decimal | None:
    """The published price of an interval, as the decimal the venue wrote."""
    if not plant.series.has(series_id):
        return None
    value = plant.series.known(series_id, Horizon.over(interval, QUARTER), now).values[0]
    return exact(float(value)) if np.isfinite(value) else None


def _published(
    plant: Plant, series_id: str, interval: Interval, rule: GapRule, now: datetime
) -> dict[datetime, Decimal]:
    """The published prices of an interval and of as many before as the gap rule may look at."""
    if not plant.series.has(series_id):
        return {}
    horizon = Horizon.over(Interval(interval.start - rule.max_age, interval.end), QUARTER)
    values = plant.series.known(series_id, horizon, now).values
    return {
        start: exact(float(value))
        for start, value in zip(horizon.starts(), values, strict=True)
        if np.isfinite(value)
    }
