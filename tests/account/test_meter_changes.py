"""Row A8: a register that rolls over, is reset or belongs to another meter is right, or is flagged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from vpp.account.meters import MeterBook
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import QUARTER, Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
METER = ResourceId("meter-1")
MOST_KW = 600.0
MINUTES = 60
CARRIED_WH = int(MOST_KW * 1000 / 60)
"""The most that the connection carries between two readings, a minute apart."""
ROUNDING_WH = 10
"""Forgiven to registers that round."""


def readings(wh_per_minute: int, begun_wh: int, changed_at: int, anew_wh: int) -> MeterBook:
    """An hour, read each minute; from `changed_at` on the register shows what it would less a jump."""
    book = MeterBook({METER: MOST_KW})
    for minute in range(MINUTES + 1):
        moment = NOON + timedelta(minutes=minute)
        if minute < changed_at:
            register = begun_wh + minute * wh_per_minute
        else:
            register = anew_wh + (minute - changed_at) * wh_per_minute
        book.add(
            MeterReading(
                meter_id=METER,
                enterprise_id=EnterpriseId("steel"),
                measured_at=moment,
                received_at=moment,
                seq=minute,
                import_wh=register,
                export_wh=0,
                power_kw=0.0,
            )
        )
    return book


@settings(max_examples=200, deadline=None)
@given(
    wh_per_minute=st.integers(0, CARRIED_WH),
    begun_wh=st.integers(0, 10**9),
    changed_at=st.integers(1, MINUTES),
    anew_wh=st.integers(0, 10**9),
)
@example(wh_per_minute=1000, begun_wh=999_990_000, changed_at=20, anew_wh=0)  # rolls over
@example(wh_per_minute=1000, begun_wh=500_000, changed_at=31, anew_wh=0)  # reset
@example(wh_per_minute=1000, begun_wh=500_000, changed_at=15, anew_wh=7_000_000)  # replaced
@example(wh_per_minute=0, begun_wh=5, changed_at=1, anew_wh=0)
def test_a_register_that_begins_anew_is_right_or_flagged(
    wh_per_minute: int, begun_wh: int, changed_at: int, anew_wh: int
) -> None:
    book = readings(wh_per_minute, begun_wh, changed_at, anew_wh)
    truth_wh = 15 * wh_per_minute
    jumped_wh = anew_wh - (begun_wh + (changed_at - 1) * wh_per_minute)
    believable = (
        0 <= jumped_wh <= CARRIED_WH + ROUNDING_WH
    )  # no book of registers can tell such a change

    for number in range(4):
        interval = Interval(NOON + number * QUARTER, NOON + (number + 1) * QUARTER)
        energy = book.energy_wh(METER, interval)
        meets = 15 * number < changed_at <= 15 * (number + 1)
        if not meets:
            assert energy == (truth_wh, 0, False)
        elif believable:
            assert energy is not None
            assert abs(energy.import_wh - truth_wh) <= CARRIED_WH + ROUNDING_WH
        else:
            assert energy is None or energy.provisional
    assert bool(book.epochs(METER)) == (not believable)
