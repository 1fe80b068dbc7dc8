"""What holds now, read off the plant itself; and events that tell of something which has no state.

Most alarms are read off: so they are there after a restart too, and are over when they are over, whoever forgot
to say so. What only happens (a gate that passed, an award that fits no bid) is taken from the events, and stands
for a while.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from vpp.act.ladder import SafeState
from vpp.model.alarm import MOST_NAMED, Condition
from vpp.model.ids import ResourceId
from vpp.model.measurement import Unknown
from vpp.model.schedule import Unsolved
from vpp.service import clockwatch
from vpp.service.alarms.desk import AlarmDesk, Happened
from vpp.service.events import Event, Severity
from vpp.service.feeds.watch import prices_missing
from vpp.service.links.health import NATIVE
from vpp.service.plant import Plant

HOLDS = timedelta(minutes=10)
"""So long after it was told last what only happens is taken to be going on."""

MOST_HAPPENED = 200

WIDELY = 4
"""In so many enterprises at once it is not each one's own fault."""

MOST_PLACES = 100
"""Alarms of one kind that are told apart by their place; of thousands nobody reads one, and each is put on record."""

OWN = frozenset({"alarm", "shift"})
"""Events of this desk itself."""

READ_OFF = frozenset(
    {
        *("kill", "journal", "link", "clock", "safe_state", "plan_failed", "venue_latched"),
        *("telemetry_doubted", "award_short", "historian", "openadr", "bid_held", "channel"),
        *("strategies_broken", "strategies_refused"),
    }
)
"""Events of what is read off the plant: they would tell it twice."""

HAPPENS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "gate_missed": ("gate_missed", ()),
    "gate_at_risk": ("gate_at_risk", ("venue", "product")),
    "feed_late": ("feed_late", ("series_id",)),
    "setpoints_unsent": ("setpoints_unsent", ()),
    "skipped": ("cycle_late", ("cycle",)),
    "reader": ("other", ()),
    "award_quarantined": ("bid_in_doubt", ()),
    "award_missing": ("bid_in_doubt", ()),
    "award_gap": ("bid_in_doubt", ("venue",)),
    "bid_unsure": ("bid_in_doubt", ("venue",)),
    "limits_breached": ("limits_breached", ("product",)),
    "nomination_differs": ("nomination_wrong", ("nomination",)),
    "nomination_missing": ("nomination_wrong", ("nomination",)),
    "nomination_late": ("nomination_wrong", ()),
    "orderly_use": ("grid_alert", ("enterprise_id",)),
    "openadr_alert": ("grid_alert", ("utility",)),
    "person_not_reached": ("people_unreached", ("person",)),
    "settlement_given_up": ("money_lost", ()),
    "quota_unreachable": ("money_lost", ("quota",)),
    "venue_certificate": ("certificate_ends", ("venue",)),
}
"""Events that raise an alarm: of which kind, and by which of their data it is told from others."""

LOUD_FROM_WARNING = frozenset({"gate_missed", "feed_late", "setpoints_unsent", "skipped"})
"""Of the others only those that are alarms themselves count."""


def conditions(plant: Plant, desk: AlarmDesk, now: datetime) -> list[Condition]:
    """Everything that holds at `now`."""
    _listen(plant, desk, now)
    return [
        *_service(plant, now),
        *_links(plant),
        *_devices(plant, desk),
        *_markets(plant, now),
        *_outside(plant),
        *(one.condition for one in desk.happened.values()),
        *_lost(desk),
    ]


# ---------------------------------------------------------------- read off


def _service(plant: Plant, now: datetime) -> Iterator[Condition]:
    """What the service knows of itself."""
    for scope, reason in plant.kill.latched().items():
        yield Condition(kind="killed", subject=str(scope), detail=reason[:300])
    if plant.journal_fault is not None:
        yield Condition(kind="journal_down", detail=plant.journal_fault[:300])
    if (doubt := clockwatch.doubt(plant.drift())) is not None:
        yield Condition(kind="clock_off", detail=doubt)
    if isinstance(plant.outcome, Unsolved):
        reason = plant.outcome.reason[:300]
        if plant.outcome.broke:
            yield Condition(kind="solver_down", detail=reason)
        yield Condition(kind="no_plan", detail=reason)
    if plant.safe_state is not SafeState.NORMAL:
        told = f"{plant.safe_state}: {plant.safe_state_reason}"
        yield Condition(kind="safe_state", detail=told[:300])
    if plant.historian_full:
        yield Condition(kind="historian_full")
    if plant.tuning.seen.faults:
        first, *more = plant.tuning.seen.faults
        beyond = f" (and {len(more)} more)" if more else ""
        yield Condition(kind="strategy_broken", detail=f"{first}{beyond}"[:300])
    if _has_reference(plant) and (why := prices_missing(plant, now)) is not None:
        yield Condition(kind="prices_missing", detail=why)
    for feed in plant.feeds:
        if feed.ill is not None:
            name = feed.section.id
            yield Condition(kind="feed_ill", subject=name, detail=feed.ill[:300])


def _has_reference(plant: Plant) -> bool:
    """Whether the park lists a day-ahead product, whose price everything is planned on."""
    return any(p.kind == "energy_da" and p.trades_energy for p in plant.file.products)


def _links(plant: Plant) -> Iterator[Condition]:
    for link in plant.links():
        place = {"link": link.name}
        if not link.connected:
            told = f"{link.devices} devices behind it: {link.fault or 'no connection'}"
            yield Condition(
                kind="link_down", subject=link.name, detail=told[:300], count=link.devices,
                place=place,
            )  # fmt: skip
        elif link.fault is not None:
            yield Condition(
                kind="link_ill", subject=link.name, detail=link.fault[:300], place=place
            )


def _devices(plant: Plant, desk: AlarmDesk) -> Iterator[Condition]:
    """Devices that are silent or not believed, refuse or do not follow: one condition for each place."""
    down = {link.name for link in plant.links() if not link.connected}
    places = _Places(plant, desk, down)
    silent, doubted = _unheard(plant)
    yield from places.grouped("devices_silent", silent)
    ours = {owner for owner, _ in places.groups(silent) if owner}
    if len(ours) >= WIDELY:
        yield Condition(
            kind="silent_widely",
            detail=f"devices of {len(ours)} enterprises at once",
            members=tuple(sorted(ours)[:MOST_NAMED]),
            count=len(ours),
        )
    yield from places.grouped("devices_doubted", doubted)
    yield from places.grouped("devices_refusing", sorted(plant.refusing))
    yield from places.grouped("devices_not_following", sorted(plant.not_following))


class _Places:
    """Where devices are: all those behind a link that is down are in one place, the others with their owner."""

    def __init__(self, plant: Plant, desk: AlarmDesk, down: set[str]) -> None:
        self._owner = plant.file.park.resource_by_id
        self._carrier = desk.carrier
        self._down = down

    def groups(self, devices: Sequence[ResourceId]) -> dict[tuple[str, str], list[ResourceId]]:
        """Devices by enterprise and link; those behind a link that is down by it alone, under ""."""
        groups: dict[tuple[str, str], list[ResourceId]] = defaultdict(list)
        for name in devices:
            link = self._carrier.get(name, NATIVE)
            enterprise = "" if link in self._down else self._owner[name].enterprise_id
            groups[enterprise, link].append(name)
        return groups

    def grouped(self, kind: str, devices: Sequence[ResourceId]) -> Iterator[Condition]:
        """A condition for each place; one for all of them where they are too many to be looked at."""
        groups = self.groups(devices)
        if len(groups) > MOST_PLACES:
            yield Condition(
                kind=kind,
                subject="everywhere",
                detail=f"in {len(groups)} places",
                members=tuple(devices[:MOST_NAMED]),
                count=len(devices),
            )
            return
        for (enterprise, link), names in groups.items():
            place = {"link": link}
            if enterprise:
                place["enterprise"] = enterprise
            own = enterprise if link == NATIVE else f"{enterprise}/{link}"
            yield Condition(
                kind=kind,
                subject=own if enterprise else f"behind {link}",
                members=tuple(names[:MOST_NAMED]),
                count=len(names),
                place=place,
            )


def _unheard(plant: Plant) -> tuple[list[ResourceId], list[ResourceId]]:
    """Resources that nobody can speak for: those that are not heard, and those that are not believed."""
    silent: list[ResourceId] = []
    doubted: list[ResourceId] = []
    if plant.state is None:
        return silent, doubted
    for state in plant.state.resources:
        if not isinstance(state, Unknown):
            continue
        name = state.resource_id
        reading = plant.intake.newest.get(name)
        most_s = plant.file.park.resource_by_id[name].max_age_s
        heard = reading is not None and (
            (plant.state.taken_at - reading.measured_at).total_seconds() <= most_s
        )
        (doubted if heard else silent).append(name)
    return silent, doubted


def _markets(plant: Plant, now: datetime) -> Iterator[Condition]:
    for venue in plant.venues:
        why = venue.ill or (venue.latch and venue.latch.reason)
        if why:
            yield Condition(kind="venue_down", subject=venue.name, detail=why[:300])
    if plant.venue_silent:
        yield Condition(kind="venue_down", detail="no answer about a bid set in doubt")
    for held in plant.trade.held.values():
        if held.approved_by is None and now < held.delivery.start:
            yield Condition(kind="bid_waits", subject=held.held_id, detail=held.why[:300])
    if plant.acting.short_told:
        told = f"{abs(plant.acting.left_kw):.0f} kW of what is owed find nobody"
        yield Condition(kind="owed_short", detail=told)


def _outside(plant: Plant) -> Iterator[Condition]:
    """Whom we talk to beside devices and markets."""
    for utility in plant.programmes:
        if utility.ill is not None:
            yield Condition(
                kind="utility_down", subject=utility.section.id, detail=utility.ill[:300]
            )
    for platform in plant.reports.platforms:
        if (fault := platform.faults.get(None)) is not None:
            yield Condition(kind="platform_down", subject=platform.name, detail=fault[:300])
    persons = plant.people.persons.values()
    for channel in {a.channel.name: a.channel for p in persons for a in p.addresses}.values():
        if channel.told:
            yield Condition(kind="channel_down", subject=channel.name)


# ---------------------------------------------------------------- what only happens


def _listen(plant: Plant, desk: AlarmDesk, now: datetime) -> None:
    """Take what was told since the last look, and forget what was told long ago."""
    for event in plant.events.recent(desk.heard):
        desk.heard = event.number
        _take(desk, event)
    for key, one in [*desk.happened.items()]:
        if now - one.at >= HOLDS:
            del desk.happened[key]


def _lost(desk: AlarmDesk) -> Iterator[Condition]:
    """That more happened than there is room for: nothing is dropped without a word."""
    if len(desk.happened) < MOST_HAPPENED:
        desk.lost = 0
    if desk.lost:
        told = f"{desk.lost} more things happened than are kept: look at the events"
        yield Condition(kind="other", subject="uncounted", detail=told, count=desk.lost)


def _take(desk: AlarmDesk, event: Event) -> None:
    if event.kind in OWN | READ_OFF or event.severity is Severity.INFO:
        if event.kind in HAPPENS:  # what was told is over
            desk.happened.pop(_condition(event).key, None)
        return
    if event.severity is Severity.WARNING and event.kind not in LOUD_FROM_WARNING:
        return
    condition = _condition(event)
    if condition.key in desk.happened or len(desk.happened) < MOST_HAPPENED:
        desk.happened[condition.key] = Happened(condition=condition, at=event.at)
    else:
        desk.lost += 1


def _condition(event: Event) -> Condition:
    kind, by = HAPPENS.get(event.kind, ("other", ()))
    told = [str(event.data[name])[:80] for name in by if name in event.data]
    return Condition(
        kind=kind,
        subject=event.kind if kind == "other" else " ".join(told),
        detail=event.text[:300],
    )
