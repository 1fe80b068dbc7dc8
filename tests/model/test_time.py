"""Times as others write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vpp.errors import DataError
from vpp.model.time import parse_utc


def test_a_time_of_another_zone_is_read_as_utc() -> None:
    assert parse_utc("2026-03-01T13:00:00+01:00", where="x") == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["noon", "2026-03-01T12:00:00", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+01:00"],
)
def test_what_is_no_time_or_lies_beyond_the_calendar_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(DataError, match="x"):
        parse_utc(text, where="x")
