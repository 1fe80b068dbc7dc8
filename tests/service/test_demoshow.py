"""What the demo says in words: a length that cannot be scored, and a span that says little."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from vpp.errors import ConfigError
from vpp.service.demo.demo import scored_span
from vpp.service.demo.show import show
from vpp.service.park.parkfile import load_park, shipped_park


@pytest.mark.parametrize(
    ("minutes", "fix"),
    [
        (20, "Say 15m or 30m; 24h shows a whole day"),
        (7, "Say 15m; 24h shows a whole day"),
        (0, "Say 15m; 24h shows a whole day"),
    ],
)
def test_a_length_of_no_whole_quarter_hours_is_refused_with_the_nearest(
    minutes: int, fix: str
) -> None:
    file = load_park(shipped_park("demo"))
    assert file.simulation is not None

    with pytest.raises(ConfigError) as refused:
        scored_span(file.simulation, file.park.timezone, timedelta(minutes=minutes))

    assert refused.value.fix == fix
    assert refused.value.what.startswith(f"{minutes} minutes are")


@pytest.mark.parametrize(
    ("until", "little"), [("2025-12-03T00:00:00Z", True), ("2025-12-03T23:00:00Z", False)]
)
def test_a_span_of_less_than_a_day_is_said_to_say_little(until: str, little: bool) -> None:
    told = StringIO()

    show(summary(span_end=until), Console(width=200, file=told))

    assert ("A span of less than a day says little" in told.getvalue()) == little


def summary(**said: Any) -> dict[str, Any]:
    """Of a run that came out below doing nothing, from the evening of the 2nd on."""
    counts = dict.fromkeys(
        ("telemetry_messages", "messages_lost", "plans", "plans_fallback", "plan_s_median", "plan_s_max",
         "bids", "awards", "setpoints", "energy_owed_kwh", "energy_delivered_kwh", "carbon_kgco2"), 1,
    )  # fmt: skip
    money = {"cost_nothing": 10.0, "cost_ours": 12.0, "saved": -2.0, "cost_foresight": 9.0}
    return {
        "park": "demo", "currency": "EUR", "span_start": "2025-12-02T23:00:00Z",
        "bill_nothing": {"market": 10.0}, "bill_ours": {"market": 12.0}, "value_captured": -2.0,
        "device_faults": {}, "statements": {"mill": "-12.00"}, **counts, **money, **said,
    }  # fmt: skip
