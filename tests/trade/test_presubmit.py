"""SEC-B2 … B6: limits on money and surprise, by hand-made numbers and by 10 000 mutated bids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, UnitId
from vpp.model.market import Bid, BidSet, MarketProduct, Side
from vpp.model.offer import CurveStep, StepCurveOffer, most_mw
from vpp.model.park import Park
from vpp.model.resource import Storage
from vpp.model.time import QUARTER, Interval
from vpp.trade.limits import check_bid_set
from vpp.trade.presubmit import (
    BidLimits,
    EnterpriseLimit,
    Facts,
    Profile,
    RateMeter,
    RefusalTally,
    Severity,
    judge,
    median_of,
    offered_of,
)

DAY = Interval(datetime(2025, 12, 3, 23, tzinfo=UTC), datetime(2025, 12, 4, 23, tzinfo=UTC))
GATE = datetime(2025, 12, 3, 11, tzinfo=UTC)
MILL = EnterpriseId("mill")

LIMITS = BidLimits(
    soft_share=Decimal("0.9"),
    collar_per_mwh=Decimal(2000),
    collar_warning_per_mwh=Decimal(500),
    interval_times=Decimal("1.5"),
    day_hours=Decimal(48),
    day_cost_per_mw=Decimal(100_000),
    enterprises={},
    novelty_share=Decimal("0.5"),
    per_minute=60,
    burst=50,
    most_refusals=20,
    refusals_within=timedelta(minutes=10),
)


def quarter(number: int) -> Interval:
    return Interval(DAY.start + number * QUARTER, DAY.start + (number + 1) * QUARTER)


Line = tuple[int, Side, list[tuple[str, str]]]
"""Quarter of the day, side, (MW more, price)."""


def a_set(lines: list[Line], **changes: object) -> BidSet:
    """Bids for some quarters of the day."""
    bids = tuple(
        Bid(
            bid_id=f"da/unit/{quarter(number).start:%Y%m%dT%H%MZ}/{side}/1",
            interval=quarter(number),
            side=side,
            offer=StepCurveOffer(
                steps=tuple(
                    CurveStep(quantity_mw=Decimal(mw), price_per_mwh=Decimal(price))
                    for mw, price in steps
                )
            ),
        )
        for number, side, steps in lines
    )
    whole = BidSet(
        bid_set_id="da.unit.1",
        request_id="r1",
        product_id="da",  # type: ignore[arg-type]
        unit_id=UnitId("unit"),
        delivery=DAY,
        revision=1,
        issued_at=GATE - timedelta(hours=1),
        valid_until=GATE,
        plan_id="plan-1",
        strategy_version="s1",
        pack_digest="d" * 64,
        bids=bids,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def profile_of(bid_set: BidSet) -> Profile:
    """Slot by slot (MW to sell, MW to buy)."""
    slots = [(b.interval.start - DAY.start, b.side, most_mw(b.offer)) for b in bid_set.bids]
    return {
        slot: (
            sum((mw for at, side, mw in slots if at == slot and side is Side.SELL), Decimal(0)),
            sum((mw for at, side, mw in slots if at == slot and side is Side.BUY), Decimal(0)),
        )
        for slot, _, _ in slots
    }


def facts(**changes: object) -> Facts:
    """A unit of 5 MW that can move 22 MW, prices around 40, nothing sold, the same bid every day."""
    usual = profile_of(a_set([(0, Side.SELL, [("2", "50")])]))
    calm = Facts(
        capability_mw=Decimal(5),
        available_mw=Decimal(22),
        reference_per_mwh=Decimal(40),
        net_mw={},
        open_mw={},
        day_mwh=Decimal(0),
        day_cost=Decimal(0),
        shares={MILL: Decimal(1)},
        yesterday=usual,
        trailing=usual,
    )
    return replace(calm, **changes)  # type: ignore[arg-type]


@pytest.fixture
def product(a_product: Callable[..., MarketProduct]) -> MarketProduct:
    return a_product()


def told(
    bid_set: BidSet, product: MarketProduct, known: Facts, limits: BidLimits = LIMITS
) -> set[str]:
    """Each broken limit as `rule severity`."""
    return {f"{b.rule} {b.severity}" for b in judge(offered_of(bid_set, product), limits, known)}


SELL_2 = a_set([(0, Side.SELL, [("2", "50")])])


def test_a_bid_like_every_day_breaks_nothing(product: MarketProduct) -> None:
    assert told(SELL_2, product, facts()) == set()


@pytest.mark.parametrize(
    ("steps", "side", "expected"),
    [
        ([("2", "540")], Side.SELL, set()),
        ([("2", "540.01")], Side.SELL, {"price_collar soft"}),
        ([("2", "2040")], Side.SELL, {"price_collar soft"}),
        ([("2", "2040.01")], Side.SELL, {"price_collar hard"}),
        ([("1", "50"), ("1", "2040.01")], Side.SELL, {"price_collar hard"}),
        ([("2", "-500")], Side.SELL, set()),
        ([("2", "4000")], Side.BUY, set()),
        ([("2", "3999.99")], Side.BUY, {"price_collar hard"}),
    ],
    ids=[
        *("at the edge", "beyond it", "at the hard edge", "beyond that", "one step of two"),
        *("sells at any price", "buys at any price", "nearly any price"),
    ],
)
def test_prices_stay_near_the_reference_unless_any_price_is_meant(
    product: MarketProduct, steps: list[tuple[str, str]], side: Side, expected: set[str]
) -> None:
    own = a_set([(0, side, steps)])
    assert told(own, product, facts(yesterday=profile_of(own), trailing=None)) == expected


def test_without_a_published_price_the_collar_says_that_it_holds_nothing(
    product: MarketProduct,
) -> None:
    assert told(SELL_2, product, facts(reference_per_mwh=None)) == {"price_collar soft"}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"available_mw": Decimal(2)}, {"volume soft"}),
        ({"available_mw": Decimal("1.9")}, {"volume hard"}),
        ({"net_mw": {quarter(0): (Decimal("4.75"), Decimal(-50))}}, set()),
        ({"net_mw": {quarter(0): (Decimal("5.5"), Decimal(-50))}}, {"interval soft"}),
        ({"net_mw": {quarter(0): (Decimal("5.6"), Decimal(-50))}}, {"interval hard"}),
        ({"net_mw": {quarter(1): (Decimal(50), Decimal(0))}}, set()),
        ({"open_mw": {quarter(0): (Decimal("5.6"), Decimal(0))}}, {"interval hard"}),
        ({"open_mw": {quarter(0): (Decimal(0), Decimal("5.6"))}}, set()),
        ({"day_mwh": Decimal("239.5")}, {"day soft"}),
        ({"day_mwh": Decimal("239.6")}, {"day hard"}),
        ({"day_cost": Decimal(500_001)}, {"day_cost hard"}),
        ({"twin": "da.unit.0"}, {"duplicate soft"}),
        ({"taken": ("2025-12-03T23:00:00Z/sell",)}, {"duplicate hard"}),
    ],
)
def test_volume_exposure_and_duplicates(
    product: MarketProduct, known: dict[str, object], expected: set[str]
) -> None:
    assert told(SELL_2, product, facts(**known)) == expected


def test_a_buyer_is_held_against_the_quarter_in_which_most_is_bought_already(
    product: MarketProduct,
) -> None:
    own = a_set([(0, Side.BUY, [("2", "50")])])
    known = facts(yesterday=profile_of(own), trailing=None)
    for bought, expected in (("5.6", {"interval hard"}), ("1", set())):
        at_worst = {quarter(0): (Decimal(50), -Decimal(bought))}
        assert told(own, product, replace(known, net_mw=at_worst)) == expected


def test_a_buyer_counts_its_own_limit_as_what_it_may_cost(product: MarketProduct) -> None:
    # 2 MW for a quarter-hour at 400: 200. With 9 900 before, 10 000 is what the mill can stand.
    own = a_set([(0, Side.BUY, [("2", "400")])])
    known = facts(
        yesterday=profile_of(own), trailing=None, day_cost=Decimal(9_801), day_mwh=Decimal(0)
    )
    mill = replace(
        LIMITS, enterprises={MILL: EnterpriseLimit(day_mwh=None, day_cost=Decimal(10_000))}
    )
    assert told(own, product, known, mill) == {"enterprise hard"}
    half = replace(known, shares={MILL: Decimal("0.5"), EnterpriseId("office"): Decimal("0.5")})
    assert told(own, product, half, mill) == set()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"yesterday": None, "trailing": None}, {"novelty soft"}),
        ({"yesterday": {timedelta(0): (Decimal("4.6"), Decimal(0))}}, {"novelty person"}),
        ({"trailing": {timedelta(0): (Decimal(0), Decimal("0.6"))}}, {"novelty person"}),
        ({"yesterday": {timedelta(0): (Decimal("4.5"), Decimal(0))}}, set()),
    ],
    ids=["nothing to compare with", "yesterday", "the trailing median", "at the edge"],
)
def test_a_bid_that_surprises_needs_a_person(
    product: MarketProduct, known: dict[str, object], expected: set[str]
) -> None:
    assert told(SELL_2, product, facts(**known)) == expected


def test_what_a_person_approved_may_leave_and_nothing_else(product: MarketProduct) -> None:
    strange = a_set([(0, Side.BUY, [("4", "50")])])
    known = facts()
    assert told(strange, product, known) == {"novelty person"}
    assert told(strange, product, replace(known, approved=[profile_of(strange)])) == set()
    stranger = a_set([(0, Side.BUY, [("4.9", "50")]), (1, Side.BUY, [("4.9", "50")])])
    assert told(stranger, product, replace(known, approved=[profile_of(strange)])) == {
        "novelty person",
    }


def test_the_trailing_median_is_taken_slot_by_slot() -> None:
    days: list[Profile] = [
        {timedelta(0): (Decimal(mw), Decimal(0)), QUARTER: (Decimal(0), Decimal(mw))}
        for mw in (1, 2, 9)
    ]
    assert median_of([*days, {}, {}]) == {
        timedelta(0): (Decimal(1), Decimal(0)),
        QUARTER: (Decimal(0), Decimal(1)),
    }


# ---------------------------------------------------------------- how often


def test_bids_may_come_in_a_burst_and_then_at_a_rate() -> None:
    meter = RateMeter(burst=3, per_minute=60)
    assert [meter.take(GATE) for _ in range(4)] == [True, True, True, False]
    assert not meter.take(GATE + timedelta(seconds=0.9))
    assert meter.take(GATE + timedelta(seconds=1.1))
    assert not meter.take(GATE)  # a clock that falls back fills nothing
    assert [meter.take(GATE + timedelta(hours=1)) for _ in range(4)] == [True, True, True, False]


def test_refusals_are_counted_over_a_moving_window() -> None:
    tally = RefusalTally(most=3, within=timedelta(minutes=10))
    assert not tally.add(GATE)
    assert not tally.add(GATE + timedelta(minutes=5))
    assert not tally.add(GATE + timedelta(minutes=11))  # the first is too long ago
    assert tally.add(GATE + timedelta(minutes=12))


# ---------------------------------------------------------------- 10 000 mutated bids


@dataclass(frozen=True)
class Sent:
    """A bid set as plain numbers, made and judged without a line of the service's code."""

    lines: list[Line]
    issued_at: datetime
    valid_until: datetime

    def beyond(self) -> list[str]:
        """Every limit that it is beyond; numbers of `facts()` and of the product, worked out again."""
        found = [fault for _, side, steps in self.lines for fault in step_faults(side, steps)]
        offered: dict[tuple[int, Side], Fraction] = {}
        for number, side, steps in self.lines:
            total = sum((Fraction(mw) for mw, _ in steps), Fraction(0))
            if (number, side) in offered:
                found.append("two bids in one slot")
            offered[number, side] = total
            checks = {"capability": total > 5, "available": total > 22, "interval": total > 7.5}
            checks["interval of the day"] = not 0 <= number < 96
            found += [name for name, broken in checks.items() if broken]
        mwh = sum((Fraction(mw) / 4 for _, _, steps in self.lines for mw, _ in steps), Fraction(0))
        cost = sum((worst(side, steps) for _, side, steps in self.lines), Fraction(0))
        late = self.issued_at >= self.valid_until or self.valid_until != GATE
        checks = {"day": mwh > 240, "day cost": cost > 500_000, "gate": late}
        checks["novelty"] = average_distance(offered) > 2.5
        return found + [name for name, broken in checks.items() if broken]


def step_faults(side: Side, steps: list[tuple[str, str]]) -> list[str]:
    found = []
    for mw_text, price_text in steps:
        mw, price = Fraction(mw_text), Fraction(price_text)
        if mw <= 0 or (mw * 10).denominator != 1:
            found.append("lot")
        if not -500 <= price <= 4000 or (price * 100).denominator != 1:
            found.append("price grid")
        any_price = price == (-500 if side is Side.SELL else 4000)
        if not any_price and abs(price - 40) > 2000:
            found.append("collar")
    return found


def worst(side: Side, steps: list[tuple[str, str]]) -> Fraction:
    """What a quarter-hour of it costs at its own limits."""
    sign = 1 if side is Side.BUY else -1
    paid = (sign * Fraction(price) * Fraction(mw) / 4 for mw, price in steps)
    return sum((max(amount, Fraction(0)) for amount in paid), Fraction(0))


def average_distance(offered: dict[tuple[int, Side], Fraction]) -> Fraction:
    """From 2 MW sold in the first quarter-hour, which is what was bid on every day before."""
    usual = {(0, Side.SELL): Fraction(2)}
    slots = {number for number, _ in offered} | {0}
    keys = [(number, side) for number in slots for side in Side]
    far = sum(
        (abs(offered.get(k, Fraction(0)) - usual.get(k, Fraction(0))) for k in keys), Fraction(0)
    )
    return far / len(slots)


def mutated(random: Random) -> Sent:
    """A sound bid with up to three numbers made wrong: units, signs, decimal points, times."""
    lines: list[Line] = [(0, Side.SELL, [("1", "50"), ("1", "60")])]
    if random.random() < 0.5:
        lines += [(n, Side.BUY, [("0.5", "30")]) for n in random.sample(range(1, 96), 2)]
    issued, gate = GATE - timedelta(hours=1), GATE
    factor = ["1000", "10", "0.001", "-1", "0", "2.5", "1.0001", "100", "3", "0.7"]
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(lines))
        number, side, steps = lines[at]
        kinds = ["mw", "price", "quarter", "side", "again", "gate", "any", "nan"]
        kind = "many" if random.random() < 0.01 else random.choice(kinds)
        step = random.randrange(len(steps))
        mw, price = steps[step]
        if not Decimal(mw).is_finite():
            continue
        if kind == "mw":
            steps = [*steps[:step], (str(Decimal(mw) * Decimal(random.choice(factor))), price)]
        elif kind == "price":
            steps = [*steps[:step], (mw, str(Decimal(price) * Decimal(random.choice(factor))))]
        elif kind == "any":
            steps = [(mw, random.choice(["-500", "4000", "3999", "-499.99"]))]
        elif kind == "nan":
            steps = [(random.choice(["NaN", "Infinity", "-Infinity"]), price)]
        elif kind == "quarter":
            number += random.choice([-1, 96, 1, 40])
        elif kind == "side":
            side = Side.BUY if side is Side.SELL else Side.SELL
        elif kind == "gate":
            issued, gate = random.choice(
                [
                    (GATE, GATE),
                    (GATE + timedelta(hours=1), GATE + timedelta(hours=2)),
                    (issued, gate),
                ]
            )
        elif kind == "many":
            lines += [(n, side, steps) for n in range(1, 96)]
        else:
            lines.append((number, side, steps))
        lines[at] = (number, side, steps)
    return Sent(lines=lines, issued_at=issued, valid_until=gate)


def leaves(sent: Sent, product: MarketProduct, park: Park) -> bool:
    """Whether the service would let it out."""
    try:
        bid_set = a_set(sent.lines, issued_at=sent.issued_at, valid_until=sent.valid_until)
    except DataError:
        return False
    if check_bid_set(bid_set, product, park.bidding_units[0], park):
        return False
    return all(
        b.severity is Severity.SOFT for b in judge(offered_of(bid_set, product), LIMITS, facts())
    )


def test_of_10000_mutated_bids_none_beyond_a_limit_leaves(
    product: MarketProduct, a_park: Callable[..., Park], a_battery: Callable[..., Storage]
) -> None:
    park = a_park([a_battery()], declared_kw=5_000)
    left = stopped = 0
    reasons: set[str] = set()
    for seed in range(10_000):
        sent = mutated(Random(seed))
        try:
            beyond = sent.beyond()
        except ValueError:
            beyond = ["not a number"]
        if leaves(sent, product, park):
            left += 1
            assert not beyond, f"seed {seed}: {beyond} left: {sent}"
        else:
            stopped += 1
            reasons.update(beyond)
    assert min(left, stopped) > 1000
    assert reasons >= {
        *("lot", "price grid", "collar", "capability", "interval", "interval of the day"),
        *("two bids in one slot", "day", "day cost", "gate", "novelty", "not a number"),
    }
