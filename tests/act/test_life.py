"""A set-point from the first command to the last answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.guard import Guarded, guard
from vpp.act.life import Lives
from vpp.act.lifetable import MOVES, Event, Stage
from vpp.act.units import Seen, Units
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
BESS, OVEN = ResourceId("bess"), ResourceId("oven")
Builder = Callable[..., Any]


class Field:
    """A battery, an oven that waits, a shop and a boiler; what is wished is guarded and then sent."""

    def __init__(self, park: Any, state: Builder, reading: Builder, **settings: Any) -> None:
        self.park, self._state, self._reading = park, state, reading
        self.units = Units.of(park)
        told: dict[str, Any] = {
            "first_seq": 1000, "ttl": 5 * MINUTE, "control_period": MINUTE, "deadband_kw": 5.0,
            "now": NOON,
        }  # fmt: skip
        self.lives = Lives(self.units, **(told | settings))

    def seen(self, at: datetime, **power_kw: tuple[float, int | None]) -> Seen:
        """Everybody is heard; those named with a power and the command that they name."""
        readings = []
        for one in self.park.resources:
            kw, seq = power_kw.get(str(one.resource_id), (0.0, None))
            phase = RunPhase.WAITING if one.resource_id == OVEN else None
            readings.append(self._reading(one, kw, setpoint_seq=seq, phase=phase, measured_at=at))
        return Seen.of(self.units, self._state(self.park, *readings, taken_at=at))

    def guarded(self, now: datetime, **power_kw: float) -> Guarded:
        wished = {ResourceId(name): kw for name, kw in power_kw.items()}
        nobody = np.zeros(len(self.units), dtype=np.bool_)
        seen, wanted = self.seen(now), self.units.powers_kw(wished)
        return guard(self.units, seen, wanted, now=now, stopped=nobody)

    def made(self, minute: float, **power_kw: float) -> tuple[Setpoint, ...]:
        now = NOON + minute * MINUTE
        return self.lives.commands(self.guarded(now, **power_kw), now, serves="plan-1")

    def sent(self, minute: float, **power_kw: float) -> list[tuple[str, float]]:
        """What left, and arrived."""
        made = self.made(minute, **power_kw)
        self.lives.sent(made, NOON + minute * MINUTE)
        return [(one.command_id, one.power_kw) for one in made]

    def stage(self, name: ResourceId = BESS) -> Stage:
        return self.lives.standing(name).stage


@pytest.fixture(scope="session")
def a_field(
    a_park: Builder, a_resource: Builder, a_state: Builder, a_reading: Builder
) -> Callable[..., Field]:
    def build(**settings: Any) -> Field:
        bess = a_resource("bess", **settings.pop("bess", {}))
        others = (a_resource(kind) for kind in ("oven", "shop", "boiler"))
        return Field(a_park(bess, *others), a_state, a_reading, **settings)

    return build


@pytest.fixture
def field(a_field: Callable[..., Field]) -> Field:
    return a_field()


def test_a_value_is_sent_when_it_moves_and_refreshed_before_it_ends(field: Field) -> None:
    assert field.sent(0, bess=100) == [("bess-1000", 100)]
    assert field.sent(1, bess=104) == []
    assert field.sent(2, bess=106) == [("bess-1001", 106)]
    assert field.sent(3, bess=106) == []
    assert field.sent(4, bess=106) == []
    assert field.sent(5, bess=107) == [("bess-1002", 107)]  # half of its life is over


def test_every_command_ends(field: Field) -> None:
    (point,) = field.made(0, bess=100)
    assert point.expires_at == NOON + 5 * MINUTE
    assert (point.serves, point.enterprise_id) == ("plan-1", "mill")


def test_who_is_wanted_no_longer_is_left_to_expire(field: Field) -> None:
    field.sent(0, bess=100, oven=0)
    assert field.sent(4, oven=0) == [("oven-1001", 0)]
    assert (field.stage(BESS), field.stage(OVEN)) == (Stage.RELEASED, Stage.SENT)
    assert field.sent(9, bess=100) == [("bess-1001", 100)]


def test_a_command_that_never_left_is_sent_anew_under_a_new_number(field: Field) -> None:
    (lost,) = field.made(0, bess=100)
    field.lives.unsent([lost], NOON, reason="the broker is down")

    stands = field.lives.standing(BESS)
    assert (stands.stage, stands.reason) == (Stage.UNSENT, "the broker is down")
    assert field.sent(1, bess=100) == [("bess-1001", 100)]
    assert field.lives.standing(BESS).reason == ""


def test_a_refresh_that_did_not_leave_is_tried_at_once_and_what_is_in_force_stays(
    field: Field,
) -> None:
    field.sent(0, bess=100)
    (lost,) = field.made(3, bess=100)
    field.lives.unsent([lost], NOON + 3 * MINUTE, reason="slow")

    assert field.stage() is Stage.SENT
    assert field.sent(4, bess=100) == [("bess-1002", 100)]


def test_nothing_of_a_value_that_gave_way_is_tried_again(field: Field) -> None:
    (old,) = field.made(0, bess=100)
    field.sent(1, bess=200)
    field.lives.unsent([old], NOON + MINUTE, reason="no answer in time")

    assert field.stage() is Stage.SENT
    assert field.sent(2, bess=200) == []
    assert (field.lives.superseded, field.lives.late) == (1, 1)


def test_hold_and_start_are_words_that_no_deadband_swallows(field: Field) -> None:
    field.sent(0, oven=0)
    assert field.sent(1, oven=-0.5) == [("oven-1001", -0.5)]


@pytest.mark.parametrize(
    ("kind", "powers_kw", "sent_kw"),
    [
        pytest.param("boiler", (0, -3, -4, 0), [0, -3, 0], id="a small machine starts and stops"),
        pytest.param("shop", (-97, -100), [-97, -100], id="the end of a call"),
        pytest.param("bess", (0, -3), [0], id="a store trickles"),
    ],
)
def test_start_stop_and_the_end_of_a_call_are_words_too(
    field: Field, kind: str, powers_kw: tuple[float, ...], sent_kw: list[float]
) -> None:
    every = [field.sent(minute / 4, **{kind: kw}) for minute, kw in enumerate(powers_kw)]

    assert [kw for some in every for _, kw in some] == sent_kw


def test_a_life_too_short_to_refresh_is_refused(a_field: Callable[..., Field]) -> None:
    with pytest.raises(DataError, match="two control periods"):
        a_field(ttl=2 * MINUTE)


@given(st.lists(st.floats(-1000, 1000, allow_subnormal=False), min_size=1, max_size=60))
def test_while_wanted_a_command_is_always_in_force_and_numbers_rise(
    a_field: Callable[..., Field], wishes: list[float]
) -> None:
    field, numbers, newest = a_field(first_seq=7), [6], None
    for minute, kw in enumerate(wishes):
        for point in field.made(minute, bess=kw):
            numbers.append(point.seq)
            newest = point
        field.lives.sent([] if newest is None else [newest], NOON + minute * MINUTE)
        assert newest is not None
        assert newest.expires_at > NOON + (minute + 1) * MINUTE
        assert abs(newest.power_kw - kw) <= 5
    assert numbers == list(range(6, 6 + len(numbers)))


def test_a_hold_of_two_hours_with_a_timer_of_a_minute_never_dips(
    a_field: Callable[..., Field],
) -> None:
    """C8: the device falls back 60 s after the newest command, and one in ten commands is lost."""
    field = a_field(ttl=MINUTE, control_period=10 * SECOND)
    falls_back_at, lost = NOON + MINUTE, 0
    for second in range(0, 7200, 10):
        now = NOON + second * SECOND
        assert now < falls_back_at or second == 0
        for one in field.made(second / 60, bess=100):
            if one.seq % 10 == 3:
                lost += 1
                field.lives.unsent([one], now, reason="lost")
                continue
            field.lives.sent([one], now)
            falls_back_at = one.expires_at
    assert lost > 10
    assert field.lives.odd == {}


def test_a_value_is_refreshed_when_half_of_its_life_is_over(a_field: Callable[..., Field]) -> None:
    field = a_field(ttl=60 * MINUTE)
    sent_at = [minute for minute in range(121) if field.sent(minute, bess=100)]

    assert sent_at == [0, 30, 60, 90, 120]


def test_the_life_of_a_value_from_issued_to_effective_and_released(field: Field) -> None:
    (one,) = field.made(0, bess=100)
    course = [field.stage()]

    def note(minute: float, *, kw: float | None = None, seq: int = 1000) -> None:
        now = NOON + minute * MINUTE
        if kw is not None:
            field.lives.observe(field.seen(now, bess=(kw, seq)), now)
        course.append(field.stage())

    field.lives.sent([one], NOON)
    note(0)
    field.lives.acknowledge(BESS, 1000, NOON, accepted=True)
    note(0)
    note(0.1, kw=0)
    note(0.5, kw=98)
    note(1, kw=100)
    field.made(2)
    note(2)

    assert course == [
        *(Stage.ISSUED, Stage.SENT, Stage.ACKNOWLEDGED, Stage.READ_BACK),
        *(Stage.EFFECTIVE, Stage.EFFECTIVE, Stage.RELEASED),
    ]
    assert field.lives.odd == {}


def test_what_was_told_lingers_until_its_command_ends(field: Field) -> None:
    field.sent(0, bess=100, shop=-50)
    field.made(1)

    assert field.units.by_name(field.lives.before(NOON + MINUTE).lingers_kw) == {BESS: 100}
    assert field.units.by_name(field.lives.before(NOON + 5 * MINUTE).lingers_kw) == {}


def test_when_nobody_may_command_everybody_is_released_and_says_why(field: Field) -> None:
    field.sent(0, bess=100, oven=0)
    field.lives.release(NOON + MINUTE, reason="killed: a drill")

    stands = field.lives.standing(BESS)
    assert (stands.stage, stands.reason) == (Stage.RELEASED, "killed: a drill")
    assert np.isnan(field.lives.before(NOON + MINUTE).power_kw).all()
    assert field.sent(2, bess=100) == [("bess-1001", 100)]
    assert field.lives.standing(BESS).reason == ""


def test_a_command_that_nobody_refreshes_expires_and_says_why(field: Field) -> None:
    field.sent(0, bess=100)
    field.lives.expire(NOON + 5 * MINUTE - SECOND)
    assert field.stage() is Stage.SENT
    field.lives.expire(NOON + 5 * MINUTE)

    stands = field.lives.standing(BESS)
    assert (stands.stage, stands.reason) == (Stage.EXPIRED, "it was not refreshed in time")
    assert stands.since == NOON + 5 * MINUTE


def test_a_device_that_refuses_is_asked_again_at_half_of_a_life_and_not_before(
    field: Field,
) -> None:
    field.sent(0, bess=100)
    field.lives.acknowledge(BESS, 1000, NOON, accepted=False, reason="local control")
    stands = field.lives.standing(BESS)
    assert (stands.stage, stands.reason) == (Stage.REFUSED, "local control")

    assert field.sent(1, bess=100) == []
    assert field.sent(2, bess=102) == []
    assert field.sent(3, bess=100) == [("bess-1001", 100)]


def test_answers_come_late_twice_or_from_nowhere_and_change_nothing(field: Field) -> None:
    field.sent(0, bess=100)
    field.sent(1, bess=200)
    lives = field.lives
    lives.acknowledge(BESS, 1001, NOON, accepted=True)
    for seq, accepted in ((1001, True), (1000, True), (1000, False)):
        lives.acknowledge(BESS, seq, NOON, accepted=accepted)
    assert field.stage() is Stage.ACKNOWLEDGED
    assert (lives.late, dict(lives.odd)) == (2, {})

    lives.acknowledge(BESS, 1002, NOON, accepted=True)
    lives.acknowledge(ResourceId("stranger"), 1, NOON, accepted=True)
    assert lives.odd == {"answer to a command that nobody made": 2}


def test_an_answer_that_cannot_be_is_counted_and_changes_nothing(field: Field) -> None:
    field.sent(0, bess=100)
    field.lives.acknowledge(BESS, 1000, NOON, accepted=False)
    field.lives.acknowledge(BESS, 1000, NOON, accepted=True)

    assert field.stage() is Stage.REFUSED
    assert field.lives.odd == {"refused: acknowledge": 1}


def test_after_a_restart_nobody_is_asked_for_anything_and_numbers_go_on(
    a_field: Callable[..., Field],
) -> None:
    field = a_field(first_seq=5000)
    assert set(field.lives.stages) == {Stage.RELEASED}
    assert field.lives.standing(BESS).reason == "nothing was asked since the start"

    field.lives.observe(field.seen(NOON, bess=(300, 4999)), NOON)
    assert field.stage() is Stage.RELEASED  # of the run before: not ours to judge
    assert field.sent(1, bess=100) == [("bess-5000", 100)]


def test_every_stage_can_be_left_by_a_new_value_and_by_release() -> None:
    for stage in Stage:
        assert MOVES[stage][Event.ISSUE] is Stage.ISSUED
        assert MOVES[stage][Event.RELEASE] is Stage.RELEASED
