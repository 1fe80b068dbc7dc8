"""A profile read on another horizon: what it knows there, and nothing beyond its ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vpp.model.horizon import Horizon, Profile

HOUR = timedelta(hours=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
NAN = np.nan


@pytest.mark.parametrize(
    ("first_hour", "hours", "read"),
    [
        pytest.param(-1, 3, [NAN, 1, 2], id="begins before it"),
        pytest.param(1, 3, [2, 3, NAN], id="ends behind it"),
        pytest.param(-1, 5, [NAN, 1, 2, 3, NAN], id="around it"),
        pytest.param(1, 1, [2], id="within it"),
        pytest.param(-3, 2, [NAN, NAN], id="all before it"),
        pytest.param(4, 2, [NAN, NAN], id="all behind it"),
    ],
)
def test_values_outside_a_profile_are_not_known(
    first_hour: int, hours: int, read: list[float]
) -> None:
    profile = Profile(Horizon(START, HOUR, 3), np.array([1.0, 2.0, 3.0]))

    on = profile.on(Horizon(START + first_hour * HOUR, HOUR, hours))

    np.testing.assert_array_equal(on, read)
