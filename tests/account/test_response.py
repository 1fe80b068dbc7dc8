"""A call evaluated by the shipped rules: golden sums of the field, and splits that lose nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from vpp.account.response import MemberMeters, ResponseRules, ShortfallRule, evaluate
from vpp.errors import DataError
from vpp.model.demandresponse import Evaluation
from vpp.model.ids import EnterpriseId
from vpp.model.market import Direction
from vpp.service.demandresponse.money import rules_of
from vpp.service.markets.pack import shipped_packs

D = Decimal
PACKS = {str(pack.product_id): pack for pack in shipped_packs()}
RULES = rules_of(PACKS["cn.generic.dr.peak.day_ahead"])
MILL, DAIRY = EnterpriseId("mill"), EnterpriseId("dairy")
AT = datetime(2026, 7, 15, 12, tzinfo=UTC)


def meters(baseline_mw: str, actual_mw: str, quarters: int = 8) -> MemberMeters:
    return MemberMeters(
        baseline_mwh=(D(baseline_mw) / 4,) * quarters, actual_mwh=(D(actual_mw) / 4,) * quarters
    )


def evaluated(rules: ResponseRules, cleared: str = "5", **members: MemberMeters) -> Evaluation:
    named = {EnterpriseId(name): one for name, one in members.items()}
    return evaluate(
        rules,
        cleared_mw=D(cleared),
        price=D(3000),
        meters=named,
        nominated_mw=dict.fromkeys(named, D(cleared) / len(named)),
        minor_unit=D("0.01"),
        at=AT,
    )


@pytest.mark.parametrize(
    ("actual", "completion", "amount"),
    [("14", "1.2", 36_000), ("13", "1.4", 36_000), ("16.5", "0.7", 12_600), ("18", "0.4", 0)],
)
def test_a_call_of_5_mw_for_2_hours_is_paid_by_its_completion(
    actual: str, completion: str, amount: int
) -> None:
    found = evaluated(RULES, mill=meters("20", actual))
    assert (found.completion, found.amount) == (D(completion), D(amount))


def test_less_than_half_of_the_award_costs_half_its_price_hour_by_hour() -> None:
    rules = replace(RULES, shortfall=ShortfallRule(ratio=D("0.5"), multiplier=D("0.5")))
    assert evaluated(rules, mill=meters("20", "18")).penalty == 1500
    assert evaluated(rules, mill=meters("20", "17")).penalty == 0
    # One hour of 4 MW, one of none: the first does not make up for the second: 2.5 · 1 · 3000 · 0.5.
    uneven = MemberMeters(baseline_mwh=(D(5),) * 8, actual_mwh=(D(4),) * 4 + (D(5),) * 4)
    assert evaluated(rules, mill=uneven).penalty == 3750


def test_a_response_that_is_not_valid_is_paid_nothing() -> None:
    spike = MemberMeters(baseline_mwh=(D(5),) * 8, actual_mwh=(D(3),) * 7 + (D("5.1"),))
    found = evaluated(RULES, mill=spike)
    assert found.invalid == "max_load_below_baseline"
    assert found.amount == found.completion == 0
    assert found.response_mwh == D("13.9")


def test_money_goes_by_what_each_brought_and_who_went_the_other_way_gets_nothing() -> None:
    found = evaluated(RULES, mill=meters("15", "10"), dairy=meters("5", "5.5"))
    assert found.completion == D("0.9")  # 4.5 of 5 MW
    assert found.amount == 27_000
    assert (found.members[MILL].amount, found.members[DAIRY].amount) == (D(27_000), D(0))
    assert found.members[DAIRY].response_mwh == -1


def test_a_fill_is_the_other_way_round() -> None:
    rules = rules_of(PACKS["cn.generic.dr.valley.day_ahead"])
    assert rules.direction is Direction.DOWN
    found = evaluated(rules, mill=meters("10", "15"))
    assert (found.completion, found.amount) == (D(1), D(30_000))


def test_a_product_that_pays_no_response_is_refused() -> None:
    with pytest.raises(DataError, match="pays no response"):
        evaluated(replace(RULES, formula="single_spot"), mill=meters("10", "9"))


def test_whatever_is_split_adds_up_to_the_cent() -> None:
    random = Random(3)
    rules = replace(RULES, shortfall=ShortfallRule(ratio=D("0.9"), multiplier=D("0.37")))
    for _ in range(300):
        named = {
            EnterpriseId(f"m{n}"): meters(str(random.randrange(1, 90)), str(random.randrange(90)))
            for n in range(random.randrange(1, 6))
        }
        found = evaluate(
            rules,
            cleared_mw=D(random.randrange(1, 60)) / 7,
            price=D(random.randrange(1, 4000)) / 3,
            meters=named,
            nominated_mw={name: D(random.randrange(1, 9)) for name in named},
            minor_unit=D("0.01"),
            at=AT,
        )
        assert sum(m.amount for m in found.members.values()) == found.amount
        assert sum(m.penalty for m in found.members.values()) == found.penalty
        assert sum(m.response_mwh for m in found.members.values()) == found.response_mwh
