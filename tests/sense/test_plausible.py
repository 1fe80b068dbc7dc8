"""Messages of a battery of 100 kW and 200 kWh, of a load and of its meter, one a minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading, Quality, Reading
from vpp.sense.plausible import Facts, Plausibility

NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DEVICE = ResourceId("device")
ACME = EnterpriseId("acme")
BATTERY = Facts(size_kw=100, max_age_s=180, capacity_kwh=200)
LOAD = Facts(size_kw=100, max_age_s=180, noisy=True)


def a_reading(
    seq: int,
    power_kw: float,
    *,
    lag: timedelta = timedelta(0),
    every: timedelta = MINUTE,
    energy_kwh: float | None = None,
    soc: float | None = None,
) -> Reading:
    at = NOON + seq * every
    return Reading(
        resource_id=DEVICE,
        enterprise_id=ACME,
        measured_at=at,
        received_at=at + lag,
        seq=seq,
        quality=Quality.GOOD,
        power_kw=power_kw,
        energy_kwh=energy_kwh,
        soc=soc,
    )


def seen(facts: Facts, readings: Iterable[Reading]) -> list[Reading]:
    plausibility = Plausibility({DEVICE: facts})
    out = [plausibility.looked_at(DEVICE, reading) for reading in readings]
    return [one for one in out if isinstance(one, Reading)]


def used(facts: Facts, *powers_kw: float) -> list[float]:
    return [r.power_kw for r in seen(facts, (a_reading(n, kw) for n, kw in enumerate(powers_kw)))]


# ---------------------------------------------------------------- spikes


def test_a_spike_is_not_used_and_what_was_told_stands_beside_it() -> None:
    readings = seen(BATTERY, (a_reading(n, kw) for n, kw in enumerate((20, 21, 95, 22))))
    assert [r.power_kw for r in readings] == [20, 21, 21, 22]
    assert [r.raw_power_kw for r in readings] == [None, None, 95, None]


def test_a_step_that_the_next_value_bears_out_is_used_one_value_late() -> None:
    assert used(BATTERY, 0, 0, 80, 82, 81) == [0, 0, 0, 82, 81]


def test_two_spikes_the_other_way_are_two_spikes() -> None:
    assert used(BATTERY, 0, 80, -80, 1) == [0, 0, 0, 1]


def test_a_step_that_the_register_bears_out_is_used_at_once() -> None:
    powers, energies = (0, 0, 80, 80), (10.0, 10.0, 10 + 40 / 60, 10 + 120 / 60)
    readings = [
        a_reading(n, kw, energy_kwh=kwh)
        for n, (kw, kwh) in enumerate(zip(powers, energies, strict=True))
    ]
    assert [r.power_kw for r in seen(BATTERY, readings)] == [0, 0, 80, 80]


def test_a_meter_is_held_against_its_registers() -> None:
    def meter(seq: int, power_kw: float, import_wh: int) -> MeterReading:
        at = NOON + seq * MINUTE
        return MeterReading(
            meter_id=DEVICE,
            enterprise_id=ACME,
            measured_at=at,
            received_at=at,
            seq=seq,
            import_wh=import_wh,
            export_wh=0,
            power_kw=power_kw,
        )

    plausibility = Plausibility({DEVICE: Facts(size_kw=100, max_age_s=180)})
    # 60 kW draw 1 000 Wh a minute.
    told = [meter(0, -60, 0), meter(1, 30, 1000), meter(2, -60, 2000), meter(3, 0, 2000)]
    got = [plausibility.looked_at(DEVICE, one) for one in told]
    assert [one.power_kw for one in got] == [-60, -60, -60, 0]
    assert [one.raw_power_kw for one in got] == [None, 30, None, None]


def test_after_a_gap_nobody_knows_better() -> None:
    readings = [a_reading(0, 0.0), a_reading(10, 90.0)]
    assert [r.power_kw for r in seen(BATTERY, readings)] == [0, 90]


@given(st.lists(st.floats(-12, 12), min_size=2, max_size=40), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_one_spike_moves_what_is_used_by_less_than_the_band(noise: list[float], at: int) -> None:
    """Reliability A5: of a channel that varies by less than a quarter of the size."""
    spiked = [*noise[:at], 85.0, *noise[at:]]
    clean = [*noise[:at], noise[min(at, len(noise)) - 1], *noise[at:]]
    got = used(BATTERY, *spiked)
    assert max(abs(a - b) for a, b in zip(got, clean, strict=True)) == 0


# ---------------------------------------------------------------- frozen


def noisy(count: int) -> list[float]:
    return [-50 + (n * 7 % 11) / 10 + n / 1e4 for n in range(count)]


def test_a_noisy_channel_that_stands_still_is_doubted_after_three_sample_periods() -> None:
    """Reliability A2."""
    powers = [*noisy(110), *[-50.5] * 4, -50.7]
    readings = seen(LOAD, (a_reading(n, kw) for n, kw in enumerate(powers)))
    doubted = [n for n, r in enumerate(readings) if r.doubt is not None]
    assert doubted == [113]  # 110 is the value, 111, 112, 113 repeat it
    assert readings[113].doubt == "its value stands still: -50.5 kW, 4 times in a row"


@pytest.mark.parametrize(
    ("facts", "powers"),
    [
        pytest.param(LOAD, [*noisy(50), *[-50.5] * 40], id="nobody knows yet whether it is noisy"),
        pytest.param(LOAD, [n // 2 for n in range(300)] + [9.0] * 40, id="it repeats at times"),
        pytest.param(LOAD, [*noisy(110), *[0.0] * 40], id="it is off"),
        pytest.param(BATTERY, [*noisy(110), *[-50.5] * 40], id="somebody commands it"),
    ],
)
def test_what_may_stand_still_is_not_doubted(facts: Facts, powers: list[float]) -> None:
    readings = seen(facts, (a_reading(n, kw) for n, kw in enumerate(powers)))
    assert all(r.doubt is None for r in readings)


# ---------------------------------------------------------------- clock


def test_a_clock_that_is_ten_minutes_behind_is_told_from_a_buffer_that_is_sent_late() -> None:
    """Reliability A9: what lies ahead, or a year behind, is refused before it comes here."""
    behind = seen(LOAD, (a_reading(n, n, lag=10 * MINUTE) for n in range(5)))
    assert [r.doubt is not None for r in behind] == [False, False, True, True, True]
    assert behind[-1].doubt == "its clock is behind: 600 s, message by message"

    # A buffer of ten minutes comes in a second: each message is a minute less late.
    buffer = seen(LOAD, (a_reading(n, n, lag=(10 - n) * MINUTE) for n in range(10)))
    assert all(r.doubt is None for r in buffer)


def test_ten_seconds_are_a_line() -> None:
    assert all(
        r.doubt is None for r in seen(LOAD, (a_reading(n, n, lag=MINUTE / 6) for n in range(9)))
    )


# ---------------------------------------------------------------- sign and unit


def charging(power_kw: float, stored_kw: float, minutes: int = 20) -> list[Reading]:
    """A battery that fills by `stored_kw` and says `power_kw`."""
    return [a_reading(n, power_kw, soc=0.2 + stored_kw * n / 60 / 200) for n in range(minutes + 1)]


@pytest.mark.parametrize(
    ("power_kw", "stored_kw", "about"),
    [
        pytest.param(-60, 57, None, id="sound, 95 % efficient"),
        pytest.param(60, -63, None, id="sound, discharging"),
        pytest.param(60, 57, "its sign is wrong", id="draw counted as positive"),
        pytest.param(-0.06, 57, "its unit or capacity is wrong", id="MW for kW"),
        pytest.param(-60, 5, "its unit or capacity is wrong", id="a tenth of the capacity"),
    ],
)
def test_a_battery_fills_as_its_power_says_or_is_doubted(
    power_kw: float, stored_kw: float, about: str | None
) -> None:
    """Reliability A4, of what no single message can show."""
    readings = seen(BATTERY, charging(power_kw, stored_kw, minutes=120 if stored_kw == 5 else 20))
    doubt = readings[-1].doubt
    assert (None if doubt is None else doubt.split(":")[0]) == about


def test_one_contradiction_is_not_enough_and_a_doubt_ends_with_the_next_agreement() -> None:
    plausibility = Plausibility({DEVICE: BATTERY})
    soc, doubts = 0.5, []
    for n, (power_kw, filled_kw) in enumerate([(60.0, 60.0)] * 13 + [(-60.0, 60.0)] * 6):
        soc += filled_kw / 60 / 200
        got = plausibility.looked_at(DEVICE, a_reading(n, power_kw, soc=soc))
        doubts.append(got.doubt is not None)
    assert doubts.index(True) == 8  # 2 % of 200 kWh at 60 kW take four messages, twice
    assert doubts[-1] is False
    assert [text is None for _, text in plausibility.news()] == [False, True]


def test_a_doubt_is_news_once() -> None:
    plausibility = Plausibility({DEVICE: LOAD})
    for n in range(20):
        plausibility.looked_at(DEVICE, a_reading(n, n, lag=10 * MINUTE + n * MINUTE / 60))
    assert len(list(plausibility.news())) == 1
    assert not plausibility.has_news
