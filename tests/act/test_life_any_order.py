"""Whatever comes, in whatever order: a set-point's life keeps its rules.

A model that is told the same as the machine: commands, links that lose them, devices that answer late, twice,
or no, or take a command that nobody confirmed, telemetry that lags, time that passes, and a restart.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from tests.act.conftest import park, reading, resource, state
from vpp.act.follow import Patience
from vpp.act.guard import guard
from vpp.act.life import Lives
from vpp.act.lifetable import LIVE, MOVES, REACHED, Stage
from vpp.act.units import Seen, Units
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TTL, PERIOD = 60 * SECOND, 10 * SECOND
NAMES = ("one", "two")
WHO = st.sampled_from([ResourceId(name) for name in NAMES])
POWERS = st.one_of(st.none(), st.sampled_from([-500.0, 0.0, 3.0, 500.0]))


class AnyOrder(RuleBasedStateMachine):
    """Two batteries, everything that can happen to their commands, and what must hold all the time."""

    flying = Bundle("flying")
    """Commands of which nobody has said yet whether they left."""

    everywhere = Bundle("everywhere")
    """All commands of all runs: devices may answer any of them at any time."""

    @initialize()
    def begin(self) -> None:
        self.now = NOON
        self.park = park(*(resource("bess", name) for name in NAMES))
        self.units = Units.of(self.park)
        self.power_kw = dict.fromkeys(NAMES, 0.0)
        self.device_seq: dict[str, int | None] = dict.fromkeys(NAMES)
        self.used = dict.fromkeys(NAMES, 0)
        """The highest number of each, over all runs."""
        self.start()

    def start(self) -> None:
        self.lives = Lives(
            self.units, first_seq=max(self.used.values()) + 1, ttl=TTL, control_period=PERIOD, deadband_kw=5.0,
            now=self.now, patience=Patience(settle_s=5.0),
        )  # fmt: skip
        self.newest: dict[str, Setpoint] = {}

    def seen(self) -> Seen:
        """Both are heard, now."""
        heard = [
            reading(
                one,
                self.power_kw[one.resource_id],
                measured_at=self.now,
                setpoint_seq=self.device_seq[one.resource_id],
            )
            for one in self.park.resources
        ]
        return Seen.of(self.units, state(self.park, *heard, taken_at=self.now))

    # ------------------------------------------------------------ what happens

    @rule(target=flying, one=POWERS, two=POWERS)
    def commands(self, one: float | None, two: float | None) -> Any:
        wished = {
            ResourceId(n): kw for n, kw in zip(NAMES, (one, two), strict=True) if kw is not None
        }
        guarded = guard(
            self.units, self.seen(), self.units.powers_kw(wished), now=self.now,
            stopped=np.zeros(2, dtype=np.bool_),
        )  # fmt: skip
        before = dict(zip(NAMES, self.lives.stages, strict=True))
        made = self.lives.commands(guarded, self.now, serves="plan-1")
        for point in made:
            assert point.seq > self.used[point.resource_id]
            assert point.power_kw == wished[point.resource_id]
            assert point.expires_at == self.now + TTL
            self.newest[point.resource_id] = point
            self.used[point.resource_id] = point.seq
        asked = {point.resource_id for point in made}
        for name in NAMES:
            kw = wished.get(ResourceId(name))
            stage = self.lives.standing(ResourceId(name)).stage
            assert (stage is Stage.RELEASED) == (kw is None)
            if kw is not None and name not in asked:  # what is in force is what is wanted
                assert before[name] in (*LIVE, Stage.REFUSED)
                assert abs(self.newest[name].power_kw - kw) <= 5
        return multiple(*made)

    @rule(target=everywhere, point=consumes(flying), left=st.booleans())
    def answer_of_the_link(self, point: Setpoint, left: bool) -> Setpoint:
        if left:
            self.lives.sent([point], self.now)
        else:
            self.lives.unsent([point], self.now, reason="the link is down")
        return point

    @rule(point=everywhere, accepted=st.booleans())
    def answer_of_the_device(self, point: Setpoint, accepted: bool) -> None:
        """To the newest, to an old one, twice, or of the run before."""
        before = self.lives.standing(point.resource_id)
        self.lives.acknowledge(point.resource_id, point.seq, self.now, accepted=accepted)
        newest = self.newest.get(point.resource_id)
        if newest is None or point.power_kw != newest.power_kw:
            assert self.lives.standing(point.resource_id) == before

    @rule(point=everywhere)
    def the_device_takes_it(self, point: Setpoint) -> None:
        taken = self.device_seq[point.resource_id]
        self.device_seq[point.resource_id] = max(point.seq, taken or 0)

    @rule(name=WHO, kw=st.sampled_from([-500.0, 0.0, 500.0]))
    def the_device_moves(self, name: str, kw: float) -> None:
        self.power_kw[name] = kw

    @rule()
    def telemetry(self) -> None:
        self.lives.observe(self.seen(), self.now)

    @rule(seconds=st.sampled_from([1, 5, 20, 61]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule()
    def restart(self) -> None:
        """The record knows the highest number; nothing else is remembered."""
        self.start()
        assert set(self.lives.stages) == {Stage.RELEASED}

    # ------------------------------------------------------------ what holds

    @invariant()
    def what_is_not_in_the_table_did_not_happen(self) -> None:
        """But for a device that says no and yes to one command, or names one of another run."""
        contradictions = {"refused: acknowledge", "answer to a command that nobody made"}
        late_links = {"unsent: sent"}
        assert set(self.lives.odd) <= contradictions | late_links

    @invariant()
    def a_device_that_is_read_back_has_the_value(self) -> None:
        for name in NAMES:
            stands = self.lives.standing(ResourceId(name))
            if stands.stage in REACHED:
                assert stands.setpoint is not None
            if stands.stage in (Stage.UNSENT, Stage.EXPIRED):
                assert stands.reason

    @invariant()
    def only_who_has_taken_a_command_is_said_not_to_follow(self) -> None:
        for name in self.lives.not_following():
            assert self.lives.standing(name).stage is not Stage.RELEASED


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_the_table_is_closed() -> None:
    """Every stage can be reached from the first, and its events lead to stages alone."""
    reached, edge = {Stage.RELEASED}, [Stage.RELEASED]
    while edge:
        for to in MOVES[edge.pop()].values():
            if to not in reached:
                reached.add(to)
                edge.append(to)
    assert reached == set(Stage)
