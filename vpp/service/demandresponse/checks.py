"""Demand response in a park file: what must fit together, and what the simulated platform is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from vpp.model.gate import DayMoment
from vpp.model.ids import EnterpriseId
from vpp.model.park import Park
from vpp.model.time import local_moment
from vpp.service.demandresponse.schema import SimulatedInvitation, SimulatedPlatformSection
from vpp.service.markets.markettime import gate_moment
from vpp.service.markets.pack import Pack
from vpp.service.park.calendars import ParkCalendars
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.park.schema import SimulationSection
from vpp.simulate.spec import EvaluationRules, Event, PlatformRules


def check_demand_response(parts: Parts) -> None:
    """The platform invites to what is traded by invitation."""
    platform = parts.simulation and parts.simulation.demand_response
    if not platform:
        return
    where = ("simulation", "demand_response", "product")
    packs = {pack.section.id: pack for _, pack in parts.packs}
    if require(parts, where, platform.product, packs, "product"):
        if not packs[platform.product].by_invitation:
            parts.fault(where, f"{platform.product} is not called by invitation")
        if not any(platform.product in unit.products for _, unit in parts.units):
            parts.fault(where, f"no bidding unit is registered for {platform.product}")
    _check_order(parts, platform)


def _check_order(parts: Parts, platform: SimulatedPlatformSection) -> None:
    """Invited, then answered, then confirmed, then called."""
    root: KeyPath = ("simulation", "demand_response", "invitations")
    names: set[str] = set()
    for place, one in enumerate(platform.invitations):
        invited, reply_by = _minutes(one.invited), _minutes(one.reply_by)
        starts = one.start.hour * 60 + one.start.minute
        confirmed = reply_by + platform.confirms_after_minutes
        if not invited < reply_by < confirmed < starts:
            what = "is not invited, answered and confirmed in this order before it begins"
            parts.fault((*root, place, "reply_by"), what)
        for key, at in (("start", one.start), ("end", one.end)):
            if at.minute % 15:
                parts.fault((*root, place, key), f"{at:%H:%M} is no quarter-hour")
        if one.id in names:
            parts.fault((*root, place, "id"), f"{one.id} stands there already")
        names.add(one.id)


def _minutes(text: str) -> int:
    """From midnight of the day of the event."""
    moment = gate_moment(text)
    assert isinstance(moment, DayMoment)  # the pattern of the schema
    return moment.at.hour * 60 + moment.at.minute - moment.days_before * 1440


def platform_rules(
    section: SimulationSection, packs: Sequence[Pack], park: Park, days: ParkCalendars
) -> PlatformRules | None:
    """The simulated platform; None where nobody invites."""
    platform = section.demand_response
    if platform is None:
        return None
    pack = next(pack for pack in packs if pack.product_id == platform.product)
    return PlatformRules(
        product=platform.product,
        direction=pack.section.direction,
        step_mw=pack.section.offer.quantity.step,
        confirm_share=platform.confirm_share,
        clears_at_share=platform.clears_at_share,
        confirms_after=timedelta(minutes=platform.confirms_after_minutes),
        reminds_before=timedelta(minutes=platform.reminds_before_minutes),
        history_days=platform.history_days,
        evaluation=_evaluation(pack, days, [e.enterprise_id for e in park.enterprises]),
        events=tuple(_event(one, section, park.timezone) for one in platform.invitations),
    )


def _evaluation(pack: Pack, days: ParkCalendars, names: Sequence[EnterpriseId]) -> EvaluationRules:
    """The published numbers; what the platform makes of them is its own."""
    baseline, validity = pack.section.baseline, pack.section.performance.validity
    adjustment = baseline.adjustment
    corrects = adjustment is not None and adjustment.kind == "ratio"
    return EvaluationRules(
        days=baseline.n_days or 1,
        window_days=baseline.window_days or 45,
        outlier=Decimal("0.25") if "energy_outlier_25pct" in baseline.exclude else None,
        no_holidays="holiday" in baseline.exclude,
        correct_h=(adjustment.window_h or Decimal(0), adjustment.skip_h or Decimal(0))
        if adjustment is not None and corrects
        else None,
        correct_within=(Decimal(0), Decimal(1000))
        if adjustment is None
        else (
            Decimal(0) if adjustment.min is None else adjustment.min,
            Decimal(1000) if adjustment.max is None else adjustment.max,
        ),
        below_baseline="max_load_below_baseline" in validity,
        shortfall=next(
            (
                (penalty.ratio or Decimal(0), penalty.multiplier or Decimal(1))
                for penalty in pack.section.settlement.penalties
                if penalty.rule == "shortfall"
            ),
            None,
        ),
        bands=tuple((b.start, b.end, b.factor, b.cap_ratio) for b in pack.bands()),
        rest_days={name: days.of(name).rest_days for name in names},
        work_days={name: days.of(name).work_days for name in names},
    )


def _event(one: SimulatedInvitation, section: SimulationSection, zone: ZoneInfo) -> Event:
    day = section.first_delivery_day + timedelta(days=one.day - 1)
    invited, reply_by = gate_moment(one.invited), gate_moment(one.reply_by)
    assert isinstance(invited, DayMoment)  # the pattern of the schema
    assert isinstance(reply_by, DayMoment)
    return Event(
        event_id=one.id,
        start=local_moment(day, one.start, zone),
        end=local_moment(day, one.end, zone),
        invited_at=invited.of(day, zone),
        reply_by=reply_by.of(day, zone),
        wanted_mw=one.wanted_mw,
        price_cap_per_mwh=one.price_cap_per_mwh,
        area=one.area,
    )
