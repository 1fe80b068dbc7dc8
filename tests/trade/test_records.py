from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from vpp.errors import DataError
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Award, Bid, BidSet, Cleared, Side
from vpp.model.offer import CurveStep, StepCurveOffer
from vpp.model.time import QUARTER, Interval
from vpp.trade.records import (
    award_from_record,
    award_from_wire,
    award_to_record,
    award_to_wire,
    bid_set_from_record,
    bid_set_from_wire,
    bid_set_to_bytes,
    bid_set_to_record,
    cut_at_revision,
    to_bytes,
)
from vpp.wire import AwardRequest, BidSetResponse

MIDNIGHT = datetime(2025, 12, 3, 23, tzinfo=UTC)


@pytest.fixture
def a_bid_set() -> Callable[[int], BidSet]:
    def build(quarters: int) -> BidSet:
        delivery = Interval(MIDNIGHT, MIDNIGHT + quarters * QUARTER)
        return BidSet(
            bid_set_id="bs-1",
            request_id="r1",
            product_id=ProductId("da"),
            unit_id=UnitId("unit"),
            delivery=delivery,
            revision=1,
            issued_at=MIDNIGHT - timedelta(hours=13, seconds=-7),
            valid_until=MIDNIGHT - timedelta(hours=12),
            plan_id="plan-1",
            strategy_version="s1",
            pack_digest="d",
            bids=tuple(
                Bid(
                    bid_id=f"da/unit/{quarter.start:%Y%m%dT%H%MZ}/sell/1",
                    interval=quarter,
                    side=Side.SELL,
                    offer=StepCurveOffer(
                        steps=tuple(
                            CurveStep(quantity_mw=Decimal("0.10"), price_per_mwh=Decimal(f"{n}E+1"))
                            for n in range(-2, 4)
                        )
                    ),
                )
                for quarter in delivery.split(QUARTER)
            ),
        )

    return build


def test_an_answer_reads_as_people_write_numbers_and_times(
    a_bid_set: Callable[[int], BidSet],
) -> None:
    body = json.loads(bid_set_to_bytes(a_bid_set(1), "open"))
    assert body["delivery"] == {"start": "2025-12-03T23:00:00Z", "end": "2025-12-03T23:15:00Z"}
    assert body["issued_at"] == "2025-12-03T10:00:07Z"
    assert body["bids"][0]["offer"] == {
        "form": "curve_step",
        "steps": [
            {"quantity_mw": "0.10", "price_per_mwh": price}
            for price in ("-20", "-10", "0", "10", "20", "30")
        ],
    }


def test_a_bid_set_comes_back_from_its_record_with_the_very_bytes(
    a_bid_set: Callable[[int], BidSet],
) -> None:
    response = bid_set_to_bytes(a_bid_set(3), "open")
    bid_set, again, digest, shadow = bid_set_from_record(bid_set_to_record(response, "sha"))
    assert bid_set == a_bid_set(3)
    assert (again, digest, shadow) == (response, "sha", False)
    assert bid_set_to_bytes(bid_set, "open") == response
    assert bid_set_from_wire(BidSetResponse.model_validate_json(response)) == bid_set


def test_the_quick_way_to_bytes_gives_those_of_the_message(
    a_bid_set: Callable[[int], BidSet],
) -> None:
    for quarters in (1, 96):
        bid_set = a_bid_set(quarters)
        bid_set = replace(bid_set, issued_at=bid_set.issued_at + timedelta(milliseconds=quarters))
        response = bid_set_to_bytes(bid_set, "open")
        assert to_bytes(BidSetResponse.model_validate_json(response)) == response


def test_an_offer_kept_as_json_gives_the_same_bytes_in_every_revision(
    a_bid_set: Callable[[int], BidSet],
) -> None:
    def revised(number: int) -> BidSet:
        made = a_bid_set(96)
        bids = tuple(
            replace(bid, bid_id=f'da/"/0","start":/{at}/{number}')
            for at, bid in enumerate(made.bids)
        )
        return replace(made, revision=number, bids=bids)

    pieces = cut_at_revision(revised(0).bids)

    for number in (1, 12):
        expected = bid_set_to_bytes(revised(number), "open")
        assert bid_set_to_bytes(revised(number), "open", pieces) == expected
    assert bid_set_to_bytes(
        replace(revised(1), bids=()), "open", cut_at_revision(())
    ) == bid_set_to_bytes(replace(revised(1), bids=()), "open")


def test_an_award_comes_back_from_its_record() -> None:
    award = Award(
        award_id="a1",
        revision=2,
        final=True,
        product_id=ProductId("da"),
        bid_set_id="bs-1",
        cleared=(
            Cleared(
                bid_id="b",
                interval=Interval(MIDNIGHT, MIDNIGHT + QUARTER),
                quantity_mw=Decimal("1.5"),
                price_per_mwh=Decimal("-12.30"),
            ),
        ),
        rejected=("c",),
        received_at=MIDNIGHT - timedelta(hours=10),
    )
    assert award_from_record(award_to_record(award)) == award
    assert award_from_wire(award_to_wire(award), award.product_id, award.received_at) == award


def test_an_award_in_another_zone_is_read_as_utc() -> None:
    request = AwardRequest.model_validate_json(
        b'{"award_id":"a","revision":1,"final":true,"bid_set_id":"s","cleared":[{"bid_id":"b",'
        b'"start":"2025-12-04T00:00:00+01:00","end":"2025-12-04T00:15:00+01:00",'
        b'"quantity_mw":"1","price_per_mwh":"2"}]}'
    )
    (line,) = award_from_wire(request, ProductId("da"), MIDNIGHT).cleared
    assert line.interval == Interval(MIDNIGHT, MIDNIGHT + QUARTER)


def test_a_negative_quantity_is_refused() -> None:
    request = AwardRequest.model_validate_json(
        b'{"award_id":"a","revision":1,"final":true,"bid_set_id":"s","cleared":[{"bid_id":"b",'
        b'"start":"2025-12-04T00:00:00Z","end":"2025-12-04T00:15:00Z",'
        b'"quantity_mw":"-1","price_per_mwh":"2"}]}'
    )
    with pytest.raises(DataError, match="size"):
        award_from_wire(request, ProductId("da"), MIDNIGHT)
