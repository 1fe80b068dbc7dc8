"""Baselines of members from measured days, by the method of the product's market file.

    meters by quarter-hour ──▶ past days, flagged ──▶ like days (`account/daybaseline.py`) ──▶ mean ──▶ same-day correction

A baseline is draw above 0, MWh by quarter-hour of a window. The same function serves the plan of the day before
(the hours that correct it are not measured yet, so it is not corrected) and the evaluation afterwards. A day on
which a member was called, or under an order of orderly use (有序用电), is flagged, so that no baseline learns from
it. Days that are not 24 h long are left out: their quarter-hours do not stand beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

from vpp.account.daybaseline import (
    DayRule,
    PastDay,
    like_days,
    mean_mwh,
    ratio_adjusted,
    shift_adjusted,
)
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.time import QUARTER, Interval, local_date, local_day
from vpp.service.calls.limits import under_orderly_use
from vpp.service.markets.pack import Pack
from vpp.service.markets.schema import Adjustment, Baseline
from vpp.service.plant import Plant
from vpp.trade.drlifecycle import CALLED

QUARTERS = 96
WH_PER_MWH = 1_000_000
LEAST_EXACT = Decimal("0.95")
"""Share of a day's quarter-hours that must be read, not filled in (domain rules: completeness)."""

Course: TypeAlias = tuple[Decimal, ...]
"""MWh by quarter-hour, draw above 0."""


def expected_mwh(
    plant: Plant, pack: Pack, members: Sequence[EnterpriseId], window: Interval, *, now: datetime
) -> Mapping[EnterpriseId, Course]:
    """What each member would draw over `window` by the product's method, as far as it is known `now`.

    Raises:
        DataError: A member has too few like days, or the method is no mean of like days.
    """
    found = {name: _member_mwh(plant, pack, name, window, now=now) for name in members}
    if pack.section.baseline.aggregate == "members_sum" or len(found) < 2:
        return found
    # The curve of all counts; the difference to the members' own is shared, for the split among them.
    whole = _course(
        plant, pack.section.baseline, members, members[0], window, now=now, where=pack.product_id
    )
    gap = [all_ - sum(c, Decimal(0)) for all_, *c in zip(whole, *found.values(), strict=True)]
    return {
        name: tuple(own + more / len(found) for own, more in zip(course, gap, strict=True))
        for name, course in found.items()
    }


def drawn_mwh(
    plant: Plant, members: Sequence[EnterpriseId], interval: Interval
) -> tuple[Decimal, bool] | None:
    """What members draw over an interval, net of what they feed, and whether a meter was interpolated.

    None while one of their meters is not known.
    """
    total, provisional = 0, False
    for name in members:
        for meter_id in _meters(plant, name):
            energy = plant.meters.energy_wh(meter_id, interval)
            if energy is None:
                return None
            total += energy.import_wh - energy.export_wh
            provisional = provisional or energy.provisional
    return Decimal(total) / WH_PER_MWH, provisional


def points_of(plant: Plant, enterprise_id: EnterpriseId) -> tuple[ConnectionPointId, ...]:
    """The connection points of a member."""
    owned = plant.file.park.points_of_enterprise.get(enterprise_id, ())
    return tuple(p.connection_point_id for p in owned)


def _meters(plant: Plant, enterprise_id: EnterpriseId) -> list[ResourceId]:
    return [p.meter_id for p in plant.file.park.points_of_enterprise.get(enterprise_id, ())]


def _member_mwh(
    plant: Plant, pack: Pack, name: EnterpriseId, window: Interval, *, now: datetime
) -> Course:
    where = f"baseline of {name}"
    return _course(plant, pack.section.baseline, [name], name, window, now=now, where=where)


def _course(
    plant: Plant,
    rule: Baseline,
    members: Sequence[EnterpriseId],
    calendar_of: EnterpriseId,
    window: Interval,
    *,
    now: datetime,
    where: str,
) -> Course:
    if rule.n_days is None:
        raise DataError(
            f"the method {rule.method} is no mean of like days",
            where=where,
            fix="Use a market file whose baseline looks back on days",
        )
    zone, calendar = plant.file.park.timezone, plant.file.calendars.of(calendar_of)
    day = local_date(window.start, zone)
    days = DayRule(
        n_days=rule.n_days,
        window_days=rule.window_days or 45,
        exclude=frozenset(rule.exclude)
        | {"low_quality"},  # whatever the file says: they are not measured
        same_type=rule.same_type is not False,
        rank="all" if rule.select is None else rule.select.rank,
        k=None if rule.select is None else rule.select.k,
        min_days=rule.min_days or 1,
    )
    past = _past_days(plant, members, day, days.window_days)
    try:
        like = like_days(days, day, calendar.day_type(day).value, past)
    except DataError as error:
        raise DataError(error.what, where=where, fix=error.fix) from error
    mean = mean_mwh(like)
    inside = [mean[_clock(q.start, zone)] for q in window.split(QUARTER)]
    return _corrected(plant, rule.adjustment, members, mean, inside, window, now)


def _clock(moment: datetime, zone: ZoneInfo) -> int:
    """The quarter-hour of the day by the clock on the wall."""
    local = moment.astimezone(zone)
    return local.hour * 4 + local.minute // 15


def _corrected(
    plant: Plant,
    rule: Adjustment | None,
    members: Sequence[EnterpriseId],
    mean: Course,
    inside: Sequence[Decimal],
    window: Interval,
    now: datetime,
) -> Course:
    """By what was drawn in the hours before the window, once all of them are metered."""
    if rule is None or rule.kind == "none" or not rule.window_h:
        return tuple(inside)
    until = window.start - timedelta(hours=float(rule.skip_h or 0))
    before = Interval(until - timedelta(hours=float(rule.window_h)), until)
    zone = plant.file.park.timezone
    midnight = local_day(local_date(window.start, zone), zone).start
    if before.end > now or before.end <= midnight:
        return tuple(inside)
    before = Interval(max(before.start, midnight), before.end)
    actual = [drawn_mwh(plant, members, q) for q in before.split(QUARTER)]
    drawn = [one[0] for one in actual if one is not None]
    if len(drawn) < len(actual):
        return tuple(inside)
    usual = [mean[_clock(q.start, zone)] for q in before.split(QUARTER)]
    actual_before, baseline_before = (sum(c, Decimal(0)) / len(drawn) for c in (drawn, usual))
    if rule.kind == "additive":
        return shift_adjusted(inside, actual_before=actual_before, baseline_before=baseline_before)
    return ratio_adjusted(
        inside,
        actual_before=actual_before,
        baseline_before=baseline_before,
        least=Decimal(0) if rule.min is None else rule.min,
        most=Decimal(1000) if rule.max is None else rule.max,
    )


# ---------------------------------------------------------------- past days


def _past_days(
    plant: Plant, members: Sequence[EnterpriseId], day: date, window_days: int
) -> list[PastDay]:
    """Every day back that is metered for all members, of one or of several together."""
    found = []
    for back in range(1, window_days + 1):
        past = day - timedelta(days=back)
        own = [_day_of(plant, name, past) for name in members]
        known = [one for one in own if one is not None]
        if len(known) < len(own):
            continue
        flags = frozenset[str]().union(*(one.flags for one in known))
        flags |= frozenset(f for name in members for f in _flags(plant, name, past))
        whole = known[0].energy_mwh
        if len(known) > 1:
            columns = zip(*(one.energy_mwh for one in known), strict=True)
            whole = tuple(sum(column, Decimal(0)) for column in columns)
        found.append(PastDay(day=past, kind=known[0].kind, energy_mwh=whole, flags=flags))
    return found


def _day_of(plant: Plant, name: EnterpriseId, day: date) -> PastDay | None:
    """One day of a member's meters; None where a quarter-hour is not known."""
    if (known := plant.dr.days.get((name, day))) is not None:
        return known
    zone = plant.file.park.timezone
    first = [plant.meters.first_read_at(meter) for meter in _meters(plant, name)]
    span = local_day(day, zone)
    if span.end - span.start != timedelta(days=1) or any(
        read is None or read > span.start for read in first
    ):
        return None
    quarters = [drawn_mwh(plant, [name], quarter) for quarter in span.split(QUARTER)]
    energies = [one[0] for one in quarters if one is not None]
    if len(energies) < QUARTERS:
        return None
    exact = Decimal(sum(1 for one in quarters if one is not None and not one[1]))
    found = PastDay(
        day=day,
        kind=plant.file.calendars.of(name).day_type(day).value,
        energy_mwh=tuple(energies),
        flags=frozenset(["low_quality"] if exact < LEAST_EXACT * QUARTERS else []),
    )
    if exact == QUARTERS:
        plant.dr.days[name, day] = found
    return found


def _flags(plant: Plant, name: EnterpriseId, day: date) -> set[str]:
    """What makes a day unlike others for a member."""
    zone, flags = plant.file.park.timezone, set[str]()
    span = local_day(day, zone)
    if day in plant.file.calendars.of(name).rest_days:
        flags.add("holiday")
    for story in plant.dr.book.stories():
        takes_part = story.nomination is not None and name in story.nomination.members
        if takes_part and story.stage in CALLED and story.invitation.window.overlaps(span):
            flags.add("event")
    if under_orderly_use(plant, name, span) is not None:
        flags.add("orderly_use")
    return flags
