"""Before a run is scored its books are held against those of venue and tariff."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.service.test_accounts import MIDNIGHT, settled
from vpp.errors import DataError
from vpp.model.time import QUARTER, Interval
from vpp.service.backtest import scoring
from vpp.service.plant import Plant


def test_books_that_differ_say_how_many_intervals_lack_or_wait_for_a_reading(plant: Plant) -> None:
    for number in range(2):
        one = settled(MIDNIGHT + number * QUARTER, provisional=number == 1)
        plant.accounted[one.interval] = one
    span = Interval(MIDNIGHT, MIDNIGHT + timedelta(hours=1))

    with pytest.raises(DataError) as refused:
        scoring._require_equal_books(plant, (), Decimal("8.60"), span)

    assert refused.value.what == (
        "statements come to 0 over 2 of 4 intervals, venue and tariff to -8.60; 1 intervals are provisional"
    )


def test_equal_sums_over_too_few_intervals_are_refused_too(plant: Plant) -> None:
    one = settled(MIDNIGHT)
    plant.accounted[one.interval] = one

    scoring._require_equal_books(plant, (), Decimal(0), one.interval)
    with pytest.raises(DataError, match="over 1 of 2 intervals"):
        scoring._require_equal_books(
            plant, (), Decimal(0), Interval(MIDNIGHT, MIDNIGHT + 2 * QUARTER)
        )
