"""What is asked of each device, from the first command to the last answer: one machine for all channels.

    guarded power ─▶ needed? ─▶ numbered, with an end ─▶ sent ▸ acknowledged ▸ read back ▸ effective
                       │ moved by more than the dead band, or half of its life is over, or it never left
                       └ no: what is in force stays

    value   ●───────────────●───────────●──────
            └ ttl ──────┊   │ moved     │
                    refresh ●           refresh

A resource that is wanted no longer is simply not refreshed: its command ends, and the device goes to its
own default. So does every device when this service falls silent, and after a restart nobody is asked for
anything until plan and record agree. The states and their table: `lifetable.py`; whether a device obeys:
`follow.py`. Everything is arrays over the N units of the park; only commands that leave are objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from vpp.act.branches import Places
from vpp.act.follow import Follower, Patience
from vpp.act.guard import Before, Guarded
from vpp.act.lifetable import LIVE, NO_MOVE, REACHED, TABLE, Event, Stage
from vpp.act.units import Bools, Codes, Kind, Seen, Units
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId

WORDS = (Kind.SHIFTABLE_RUN, Kind.INTERRUPTIBLE_LOAD, Kind.CURTAILABLE_LOAD)
"""Hold, start, stop and call are words, not amounts: for them every difference counts."""

MACHINES = (Kind.GENERATOR, Kind.FLEXIBLE_LOAD, Kind.CONVERTER)
"""Starting and stopping are words for these."""

_EVERY_STAGE = np.arange(len(Stage))
_IS_LIVE = np.isin(_EVERY_STAGE, LIVE)
_IS_REACHED = np.isin(_EVERY_STAGE, REACHED)
_IS_UNREAD = np.isin(_EVERY_STAGE, (Stage.ISSUED, Stage.UNSENT, Stage.SENT, Stage.ACKNOWLEDGED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the set-point of one resource stands."""

    stage: Stage
    since: datetime
    reason: str
    """Why, where it is not as it should be; empty otherwise."""

    setpoint: Setpoint | None
    """The newest command; None where none was made since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a look at the devices changed."""

    stray: tuple[ResourceId, ...]
    """Who does not follow since now."""

    back: tuple[ResourceId, ...]
    """Who does what it is asked again."""


class Lives:
    """Remembers what is asked of each unit of one park."""

    def __init__(
        self,
        units: Units,
        *,
        first_seq: int,
        ttl: timedelta,
        control_period: timedelta,
        deadband_kw: float,
        now: datetime,
        patience: Patience | None = None,
    ) -> None:
        """Start numbering at `first_seq` on every device; nothing is asked of anybody.

        `first_seq` must lie above every number used before a restart.

        Raises:
            DataError: Commands would end before they can be refreshed.
        """
        if ttl <= 2 * control_period:
            raise DataError(
                f"ttl {ttl}, control period {control_period}",
                where="Lives",
                fix="Let a command live longer than two control periods",
            )
        n = len(units)
        self._units, self._ttl = units, ttl
        self._ttl_s, self._period_s = ttl.total_seconds(), control_period.total_seconds()
        self._deadband_kw = np.where(np.isin(units.kind, WORDS), 0.0, deadband_kw)
        self._machines = np.isin(units.kind, MACHINES)
        self._seq = np.full(n, first_seq - 1, dtype=np.int64)
        """The newest number used."""
        self._value_seq = self._seq.copy()
        """The first command with the value; later ones only refreshed it."""
        self._taken_seq = np.full(n, -1, dtype=np.int64)
        """The newest command that each is known to have."""
        self._value_kw = np.full(n, np.nan)
        self._issued_s = np.full(n, -np.inf)
        self._ends_s = np.full(n, -np.inf)
        """When the newest command ends that left, or may have."""
        self._due = np.zeros(n, dtype=np.bool_)
        """Whose refresh did not leave."""
        self._told_kw = np.full(n, np.nan)
        """What the newest command says; a refresh may differ from the value by the dead band."""
        self._allowed_kw, self._allowed_s = np.full(n, np.nan), -np.inf
        self._switched_s = np.full(n, np.nan)
        self._stage = np.zeros(n, dtype=np.int8)
        self._since_s = np.full(n, now.timestamp())
        self._reason: dict[int, str] = {}
        self._newest: dict[int, Setpoint] = {}
        self._stray = np.zeros(n, dtype=np.bool_)
        self._follower = Follower(units, patience or Patience())
        self.superseded = 0
        """Values that gave way to a newer one while they lived."""
        self.late = 0
        """Answers about values that had given way already."""
        self.odd: Counter[str] = Counter()
        """Events that cannot happen where they did, as `refused: acknowledge`; they changed nothing."""

    # ------------------------------------------------------------ out

    def commands(
        self, guarded: Guarded, now: datetime, *, serves: str, strategy_version: str = ""
    ) -> tuple[Setpoint, ...]:
        """What must be sent now so that each device does what the guard let through, in park order.

        Who is wanted no longer is released: not refreshed any more.
        """
        now_s, kw = now.timestamp(), guarded.power_kw
        self.expire(now)
        wanted = kw == kw
        self._release(np.flatnonzero(~wanted & (self._stage != Stage.RELEASED)), now_s)
        live = _IS_LIVE[self._stage]
        refused = self._stage == Stage.REFUSED  # asked again, but not at every call
        age_s = now_s - self._issued_s
        due = self._due | (age_s >= self._ttl_s / 2) | (self._ttl_s - age_s <= 2 * self._period_s)
        begins = ~(live | refused) | self._moved(kw) | (refused & due)
        at = np.flatnonzero(wanted & (begins | due))
        self._note_allowed(kw, now_s)
        first = begins[at]
        self.superseded += int(live[at[first]].sum())
        self._seq[at] += 1
        self._issued_s[at], self._due[at], self._told_kw[at] = now_s, False, kw[at]
        self._begin(at[first], kw, now_s, fresh=~live[at[first]])
        self._step(at[~first], Event.REFRESH, now_s)
        return self._made(at, kw, now, serves, strategy_version)

    def release(self, now: datetime, *, reason: str) -> None:
        """Nothing is asked of anybody any more; what is in force ends by itself."""
        self.expire(now)
        at = np.flatnonzero(self._stage != Stage.RELEASED)
        self._release(at, now.timestamp(), reason)
        self._note_allowed(np.full(len(self._units), np.nan), now.timestamp())

    def sent(self, setpoints: Iterable[Setpoint], now: datetime) -> None:
        """These are on their way."""
        at = self._newest_of(setpoints)
        self._lengthen(at)
        self._step(at, Event.SENT, now.timestamp())

    def unsent(self, setpoints: Iterable[Setpoint], now: datetime, *, reason: str) -> None:
        """These did not leave, or nobody can say: they are issued anew if they are wanted still."""
        at = self._newest_of(setpoints)
        self._step(at, Event.UNSENT, now.timestamp(), reason)
        self._due[at] = True

    # ------------------------------------------------------------ answers

    def acknowledge(
        self, name: ResourceId, seq: int, now: datetime, *, accepted: bool, reason: str = ""
    ) -> None:
        """A device answers one of its commands. Answers about values that gave way change nothing."""
        number = self._units.index.get(name)
        if number is None or seq > self._seq[number]:
            self.odd["answer to a command that nobody made"] += 1
            return
        overtaken = seq < self._taken_seq[number] and not accepted
        if seq < self._value_seq[number] or overtaken:
            self.late += 1
            return
        at = np.array([number], dtype=np.intp)
        event = Event.ACKNOWLEDGE if accepted else Event.REFUSE
        if self._step(at, event, now.timestamp(), reason) and accepted:
            self._taken_seq[at] = np.maximum(self._taken_seq[at], seq)
            self._lengthen(at[self._seq[at] == seq])

    def observe(self, seen: Seen, now: datetime) -> Observed:
        """What telemetry says: who has read the command, who does it, and who does not."""
        now_s = now.timestamp()
        self.expire(now)
        named = (seen.acknowledged_seq >= self._value_seq) & (seen.acknowledged_seq <= self._seq)
        read = np.flatnonzero(named & _IS_UNREAD[self._stage])
        self._step(read, Event.READ_BACK, now_s)
        self._lengthen(np.flatnonzero(named & (seen.acknowledged_seq == self._seq)))
        np.maximum(self._taken_seq, seen.acknowledged_seq, out=self._taken_seq, where=named)
        look = self._follower.look(seen, self._taken_seq, _IS_REACHED[self._stage])
        there, stray = look.at[look.there], look.at[look.stray & ~look.there]
        back, new = there[self._stray[there]], stray[~self._stray[stray]]
        self._step(there, Event.EFFECT, now_s)
        self._step(stray, Event.STRAY, now_s)
        for at in new.tolist():
            self._reason[at] = (
                f"asked for {self._value_kw[at]:g} kW, it does {seen.power_kw[at]:g} kW"
            )
        self._stray[there], self._stray[stray] = False, True
        names = self._units.names
        return Observed(
            stray=tuple(names[at] for at in new.tolist()),
            back=tuple(names[at] for at in back.tolist()),
        )

    def expire(self, now: datetime) -> None:
        """Commands whose time is over have ended."""
        now_s = now.timestamp()
        unresolved = self._stage == Stage.ISSUED
        ends_s = np.where(unresolved, self._issued_s + self._ttl_s, self._ends_s)
        over = np.flatnonzero(_IS_LIVE[self._stage] & (ends_s <= now_s))
        self._step(over, Event.EXPIRE, now_s, "it was not refreshed in time")
        self._stray[over] = False

    # ------------------------------------------------------------ what is known

    @property
    def stages(self) -> Codes:
        """`Stage` of each; shape (N,)."""
        return self._stage.copy()

    @property
    def told_kw(self) -> Floats:
        """What the newest command that is asked of each says, NaN where nothing is; shape (N,)."""
        return np.where(_IS_LIVE[self._stage], self._told_kw, np.nan)

    def told_kw_of(self, at: int) -> float:
        """The same of resource number `at` alone."""
        return float(self._told_kw[at]) if _IS_LIVE[self._stage[at]] else np.nan

    def not_following(self) -> frozenset[ResourceId]:
        """Who has taken a command and does not obey; until it is seen to, or released."""
        return frozenset(self._units.names[at] for at in np.flatnonzero(self._stray).tolist())

    def standing(self, name: ResourceId) -> Standing:
        """Where the set-point of a resource of the park stands."""
        at = self._units.index[name]
        newest = self._newest.get(at)
        reason = "nothing was asked since the start" if newest is None else ""
        return Standing(
            stage=Stage(self._stage[at]),
            since=datetime.fromtimestamp(self._since_s[at], UTC),
            reason=self._reason.get(at, reason),
            setpoint=newest,
        )

    def before(self, now: datetime) -> Before:
        """What is in force, for the guard."""
        n, live = len(self._units), _IS_LIVE[self._stage]
        now_s = now.timestamp()
        # It may have arrived, whatever the link said.
        lingers = (self._stage == Stage.RELEASED) & (self._issued_s + self._ttl_s > now_s)
        return Before(
            period_s=self._period_s,
            power_kw=np.where(live, self._allowed_kw, np.nan),
            age_s=np.full(n, now_s - self._allowed_s),
            switched_s=now_s - self._switched_s,
            lingers_kw=np.where(lingers & self._units.steered, self._told_kw, np.nan),
        )

    # ------------------------------------------------------------ hands

    def _moved(self, kw: Floats) -> Bools:
        switched = self._machines & ((kw == 0) != (self._value_kw == 0))
        moved: Bools = switched | (np.abs(kw - self._value_kw) > self._deadband_kw)
        return moved

    def _note_allowed(self, kw: Floats, now_s: float) -> None:
        """What the guard allows, and when that last meant a start or a stop."""
        was = self._allowed_kw
        turned = (kw == kw) & (was == was) & ((kw == 0) != (was == 0))
        self._switched_s[turned] = now_s
        self._switched_s[kw != kw] = np.nan
        self._allowed_kw, self._allowed_s = kw, now_s

    def _begin(self, at: Places, kw: Floats, now_s: float, *, fresh: Bools) -> None:
        """New values; `fresh` are those whose device was asked for nothing before."""
        self._value_seq[at], self._value_kw[at] = self._seq[at], kw[at]
        self._step(at, Event.ISSUE, now_s)
        self._follower.ask(at, kw[at], self._seq[at], now_s, fresh)

    def _made(
        self, at: Places, kw: Floats, now: datetime, serves: str, strategy_version: str
    ) -> tuple[Setpoint, ...]:
        units, ends = self._units, now + self._ttl
        numbers = at.tolist()
        made = tuple(
            Setpoint(
                command_id=f"{units.names[number]}-{seq}",
                seq=seq,
                resource_id=units.names[number],
                enterprise_id=units.enterprises[owner],
                issued_at=now,
                expires_at=ends,
                power_kw=power_kw,
                serves=serves,
                strategy_version=strategy_version,
            )
            for number, seq, owner, power_kw in zip(
                numbers,
                self._seq[at].tolist(),
                units.enterprise[at].tolist(),
                kw[at].tolist(),
                strict=True,
            )
        )
        self._newest.update(zip(numbers, made, strict=True))
        return made

    def _release(self, at: Places, now_s: float, reason: str = "") -> None:
        self._step(at, Event.RELEASE, now_s, reason)
        self._stray[at] = False

    def _newest_of(self, setpoints: Iterable[Setpoint]) -> Places:
        """Whose they are; a command that gave way to a newer one is left out."""
        index, every = self._units.index, list(setpoints)
        at = np.array([index[one.resource_id] for one in every], dtype=np.intp)
        newest = self._seq[at] == np.array([one.seq for one in every], dtype=np.int64)
        self.late += int((~newest).sum())
        return np.asarray(at[newest], dtype=np.intp)

    def _lengthen(self, at: Places) -> None:
        """Their newest command is at the device, or on the way: its end counts."""
        self._ends_s[at] = np.maximum(self._ends_s[at], self._issued_s[at] + self._ttl_s)

    def _step(self, at: Places, event: Event, now_s: float, reason: str = "") -> bool:
        """Let `event` happen to units `at`; whether the table allows it for all of them."""
        before = self._stage[at]
        after = TABLE[before, event]
        allowed = after != NO_MOVE
        for stage, count in zip(*np.unique(before[~allowed], return_counts=True), strict=True):
            self.odd[f"{Stage(stage).name.lower()}: {event.name.lower()}"] += int(count)
        moved = allowed & (after != before)
        self._stage[at[moved]], self._since_s[at[moved]] = after[moved], now_s
        if self._reason:
            for number in at[moved].tolist():
                self._reason.pop(number, None)
        if reason:
            self._reason.update(dict.fromkeys(at[moved].tolist(), reason))
        return bool(allowed.all())
