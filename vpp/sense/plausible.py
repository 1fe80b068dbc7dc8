"""Second thoughts about a message that may enter: is the value believable beside what came before?

    spike    far from the value before, and neither the device's own register nor the next value bears it out:
             the value before is used, the raw one is kept beside it
    frozen   the same number again on a channel that has shown that it never repeats
    clock    message by message as far behind as the one before: the device's clock, not the line
    sign     a battery fills while it says that it discharges, or the other way round
    unit     a battery fills or empties by far more, or less, than its power can account for

The last four are doubts: nobody may plan with such a reading or command the device (`state.py`) until it
speaks plainly again. What is wrong with one message by itself is refused before (`decode.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement, MeterReading, Reading
from vpp.model.park import Park
from vpp.model.resource import Storage
from vpp.model.resource.series import power_series

HOUR = timedelta(hours=1)

SPIKE_SHARE = 0.25
"""A jump by more than this share of the size must be borne out."""

BORNE_OUT = 0.1
"""A register bears a jump out where it has moved at least by this share of it."""

NEVER_REPEATS_AFTER = 100
"""So many values without one that came twice in a row, and a channel is noisy. Of one that is not nobody can
tell a value that stands still from a load that does."""

FROZEN_AFTER = 4
"""The same value so many times in a row: three sample periods without a change."""

SKEWED_AFTER = 3
STEADY_S = 5.0
"""A lag that changes by no more than this from one message to the next is a clock's."""

LOOK_AT_SOC = 0.02
"""Share of a store that must have moved before its power is held against it."""

LOOK_AT_POWER = 0.2
"""Share of a store that its power must account for before standing still is odd."""

RATIO_LOW, RATIO_HIGH = 0.4, 2.5
"""What is stored over what power accounts for: efficiency, capacity and coarse readings leave this much room."""

CONTRADICTED = 2
"""So many times in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a device's messages are held against."""

    size_kw: float
    max_age_s: float
    noisy: bool = False
    """Nobody decides its power, so that it may be noisy; whether it is, it shows."""

    capacity_kwh: float | None = None
    """Of a battery that tells its state of charge."""


def facts_of(park: Park) -> dict[ResourceId, Facts]:
    """The facts of every resource and main meter."""
    found: dict[ResourceId, Facts] = {}
    for resource in park.resources:
        battery = resource if isinstance(resource, Storage) and not resource.node_id else None
        found[resource.resource_id] = Facts(
            size_kw=max(resource.feed_kw, resource.draw_kw),
            max_age_s=resource.max_age_s,
            noisy=bool(power_series(resource)),
            capacity_kwh=None if battery is None else battery.capacity_kwh,
        )
    for point in park.connection_points:
        behind = [found[name] for name in park.behind_point[point.connection_point_id]]
        found[point.meter_id] = Facts(
            size_kw=sum(one.size_kw for one in behind),
            max_age_s=max((one.max_age_s for one in behind), default=180.0),
        )
    return found


@dataclass(slots=True)
class _Store:
    """How a battery's charge went beside its power since both were last held against each other."""

    soc: float
    drawn_kwh: float = 0.0
    """What its power put into it, as it says."""

    contradicted: int = 0


@dataclass(slots=True)
class _Memory:
    """What is remembered of one device."""

    facts: Facts
    raw: Measurement
    used_kw: float
    same: int = 1
    """The newest value came so many times in a row."""

    unrepeated: int = 0
    """Values without one that came twice, before the newest run of one value began."""

    pending_kw: float | None = None
    """A value that was not believed, and that the next one may bear out."""

    lag_s: float = 0.0
    lagging: int = 0
    store: _Store | None = None
    about_store: str | None = None
    doubt: str | None = None


@dataclass(slots=True)
class Plausibility:
    """What is believed of each device, message by message, in order."""

    facts: Mapping[ResourceId, Facts]
    spikes: int = 0
    """Values that were not believed."""

    _memories: dict[ResourceId, _Memory] = field(default_factory=dict)
    _news: list[tuple[ResourceId, str | None]] = field(default_factory=list)

    def looked_at(self, device_id: ResourceId, measurement: Measurement) -> Measurement:
        """The newest measurement of a device as it is to be used; it rises in time from call to call."""
        memory = self._memories.get(device_id)
        if memory is None:
            facts = self.facts.get(device_id)
            if facts is None:
                return measurement
            memory = self._memories[device_id] = _Memory(facts, measurement, measurement.power_kw)
            memory.lag_s = _lag_s(measurement)
            if isinstance(measurement, Reading) and measurement.soc is not None:
                memory.store = _Store(measurement.soc)
            return measurement
        facts = memory.facts
        used_kw = self._without_spike(memory, measurement, facts)
        doubt = (
            _clock(memory, measurement, facts)
            or _frozen(memory, measurement, facts)
            or _store(memory, measurement, facts)
        )
        if doubt != memory.doubt:
            self._tell(device_id, memory.doubt, doubt)
            memory.doubt = doubt
        memory.raw, memory.used_kw = measurement, used_kw
        if used_kw == measurement.power_kw and doubt is None:
            return measurement
        raw_kw = None if used_kw == measurement.power_kw else measurement.power_kw
        return replace(measurement, power_kw=used_kw, raw_power_kw=raw_kw, doubt=doubt)

    @property
    def has_news(self) -> bool:
        return bool(self._news)

    def news(self) -> Iterator[tuple[ResourceId, str | None]]:
        """Doubts that came up, each once, and None for each that is over; told once."""
        while self._news:
            yield self._news.pop(0)

    def _tell(self, device_id: ResourceId, before: str | None, now: str | None) -> None:
        """Numbers in the words change from message to message: what it is about is news."""
        about = [None if text is None else text.split(":")[0] for text in (before, now)]
        if about[0] != about[1]:
            self._news.append((device_id, now))

    def _without_spike(self, memory: _Memory, new: Measurement, facts: Facts) -> float:
        jump_kw, most_kw = new.power_kw - memory.used_kw, SPIKE_SHARE * facts.size_kw
        if abs(jump_kw) <= most_kw or _seconds(memory.raw, new) > facts.max_age_s:
            memory.pending_kw = None
            return new.power_kw
        again = memory.pending_kw is not None and abs(new.power_kw - memory.pending_kw) <= most_kw
        if again or _register_bears_out(memory, new, jump_kw, facts):
            memory.pending_kw = None
            return new.power_kw
        memory.pending_kw = new.power_kw
        self.spikes += 1
        return memory.used_kw


def _register_bears_out(memory: _Memory, new: Measurement, jump_kw: float, facts: Facts) -> bool:
    mean_kw = _mean_kw(memory.raw, new)
    if mean_kw is None or abs(mean_kw) > 1.5 * facts.size_kw:
        return False
    moved_kw = mean_kw - memory.used_kw
    return moved_kw * jump_kw > 0 and abs(moved_kw) >= BORNE_OUT * abs(jump_kw)


def _mean_kw(before: Measurement, new: Measurement) -> float | None:
    """Mean net injection between two messages by the device's register; None where it has none."""
    hours = (new.measured_at - before.measured_at) / HOUR
    if hours <= 0:
        return None
    if isinstance(before, MeterReading) and isinstance(new, MeterReading):
        wh = (new.export_wh - before.export_wh) - (new.import_wh - before.import_wh)
        return wh / 1000 / hours
    if isinstance(before, Reading) and isinstance(new, Reading):
        if before.energy_kwh is None or new.energy_kwh is None:
            return None
        return (new.energy_kwh - before.energy_kwh) / hours
    return None


def _clock(memory: _Memory, new: Measurement, facts: Facts) -> str | None:
    lag_s = _lag_s(new)
    steady = abs(lag_s - memory.lag_s) <= STEADY_S
    memory.lagging = memory.lagging + 1 if steady and lag_s > facts.max_age_s else 0
    memory.lag_s = lag_s
    if memory.lagging < SKEWED_AFTER - 1:
        return None
    return f"its clock is behind: {lag_s:.0f} s, message by message"


def _frozen(memory: _Memory, new: Measurement, facts: Facts) -> str | None:
    if new.power_kw == memory.raw.power_kw:
        memory.same += 1
    else:
        memory.unrepeated = memory.unrepeated + 1 if memory.same == 1 else 0
        memory.same = 1
    if not facts.noisy or new.power_kw == 0:
        return None
    if memory.unrepeated < NEVER_REPEATS_AFTER or memory.same < FROZEN_AFTER:
        return None
    return f"its value stands still: {new.power_kw:g} kW, {memory.same} times in a row"


def _store(memory: _Memory, new: Measurement, facts: Facts) -> str | None:
    """Hold a battery's power against its charge, whenever enough of either has moved."""
    capacity_kwh = facts.capacity_kwh
    if capacity_kwh is None or not isinstance(new, Reading) or new.soc is None:
        return None
    store = memory.store
    if store is None or _seconds(memory.raw, new) > facts.max_age_s:
        memory.store = _Store(new.soc, contradicted=store.contradicted if store else 0)
        return memory.about_store
    mean_kw = _mean_kw(memory.raw, new)
    drawn_kw = new.power_kw if mean_kw is None else mean_kw
    store.drawn_kwh -= drawn_kw * ((new.measured_at - memory.raw.measured_at) / HOUR)
    filled_kwh = (new.soc - store.soc) * capacity_kwh
    moved = abs(filled_kwh) >= LOOK_AT_SOC * capacity_kwh
    if not moved and abs(store.drawn_kwh) < LOOK_AT_POWER * capacity_kwh:
        return memory.about_store
    found = _contradiction(filled_kwh, store.drawn_kwh)
    contradicted = 0 if found is None else store.contradicted + 1
    memory.store = _Store(new.soc, contradicted=contradicted)
    memory.about_store = found if contradicted >= CONTRADICTED else None
    return memory.about_store


def _contradiction(filled_kwh: float, drawn_kwh: float) -> str | None:
    low, high = RATIO_LOW * abs(drawn_kwh), RATIO_HIGH * abs(drawn_kwh)
    told = f"{filled_kwh:+.1f} kWh in store, {drawn_kwh:+.1f} kWh by its power"
    if low <= abs(filled_kwh) <= high:
        return f"its sign is wrong: {told}" if filled_kwh * drawn_kwh < 0 else None
    return f"its unit or capacity is wrong: {told}"


def _seconds(before: Measurement, new: Measurement) -> float:
    return (new.measured_at - before.measured_at).total_seconds()


def _lag_s(measurement: Measurement) -> float:
    return (measurement.received_at - measurement.measured_at).total_seconds()
