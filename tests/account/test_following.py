"""A signal judged while it runs: steps of 10 MW followed as the golden case of Hunan has it, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from vpp.account.following import MOST_SAMPLES, Following, Rule
from vpp.account.performance import Parts, cn_kp_product, cn_south_k
from vpp.account.regulation import Sample, followed, index_of

D = Decimal
START = datetime(2026, 7, 16, 9, tzinfo=UTC)
HUNAN = {
    "w1": D("0.4"),
    "w2": D("0.3"),
    "w3": D("0.3"),
    "t0_s": D(60),
    "e0_pct": D("0.02"),
    "k1_cap": D(3),
    "k_cap": D(2),
}


def a_rule(index: str = "cn_hunan_k", **params: Decimal) -> Rule:
    """10 MW awarded, a standard rate of 1.5 MW a minute."""
    return Rule(
        index=index, params=params or HUNAN, capacity_mw=D(10), standard_rate=D("1.5"),
        band_share=D("0.05"),
    )  # fmt: skip


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def step_up(following: Following, *, from_s: float = 0) -> None:
    """0 to 10 MW: a fifth after 6 s, nine tenths after 90 s (6 MW a minute), then 0.05 MW off."""
    following.ask(at(from_s), D(10))
    for seconds, mw in ((1, "0"), (6, "2"), (90, "9.95"), (100, "10.05")):
        following.see(at(from_s + seconds), D(mw))


def test_one_instruction_by_hand() -> None:
    """K1 = 6 / 1.5, capped at 3; K2 = 1 − 6/60; K3 = 1 − 0.05/0.2; K = 0.4·3 + 0.3·0.9 + 0.3·0.75."""
    following = Following(a_rule())
    step_up(following)
    assert following.told().instructions == 0, "it is not over"
    following.ask(at(300), D(0))

    told = following.told()
    assert (told.instructions, told.samples) == (1, 4)
    assert told.mileage_mw == 20
    assert told.first_reaction_s == told.delay_s == 6
    assert told.rate_mw_per_min == 6
    assert told.error_mw == D("0.05")
    assert told.parts == Parts(D(3), D("0.9"), D("0.75"))
    assert told.index == D("1.695")
    assert told.in_band == D("0.5"), "two of four lie within 5 % of 10 MW"


def test_the_same_again_is_no_instruction() -> None:
    following = Following(a_rule())
    step_up(following)
    following.ask(at(120), D(10))
    assert following.told().mileage_mw == 10
    assert following.told().instructions == 0


def test_live_and_afterwards_the_same_is_judged() -> None:
    """Thirty moves of a seeded kind, seen every two seconds."""
    following, samples, course, response = Following(a_rule()), [], [], D(0)
    for number in range(30):
        mw = D(number * 7 % 11 - 5)
        course.append((at(60 * number), mw))
        following.ask(at(60 * number), mw)
        for second in range(2, 60, 2):
            response += max(min(mw - response, D("0.4")), D("-0.4"))
            moment = at(60 * number + second)
            following.see(moment, response)
            samples.append(Sample(moment, response))
    following.ask(at(1800), D(99))

    told, parts = following.told(), followed(course, at(1800), samples)
    assert told.instructions == len(parts) == 30
    assert told.index == index_of(
        "cn_hunan_k", HUNAN, parts, capacity_mw=D(10), standard_rate=D("1.5")
    )
    assert told.delay_s == sum((one.delay_s for one in parts), D(0)) / 30


@pytest.mark.parametrize(
    ("index", "params", "parts", "value"),
    [
        (
            "cn_south_k",
            {"t0_s": D(300), "e0_pct": D("0.015")},
            (D(4), D("0.98"), 1 - D("0.05") / D("0.15")),
            cn_south_k,
        ),
        (
            "cn_kp_product",
            {"t0_s": D(60), "e0_pct": D("0.01"), "floor": D("0.1")},
            (D("1.75"), D("1.9"), D("1.5")),
            cn_kp_product,
        ),
    ],
)
def test_the_south_and_the_north_judge_the_same_step_by_their_own_parts(
    index: str, params: dict[str, Decimal], parts: tuple[Decimal, ...], value: object
) -> None:
    following = Following(a_rule(index, **params))
    step_up(following)
    following.ask(at(300), D(0))

    told = following.told()
    assert told.parts == Parts(*parts)
    assert callable(value)
    assert told.index == value(
        rate=D(6),
        standard_rate=D("1.5"),
        delay_s=D(6),
        error_mw=D("0.05"),
        capacity_mw=D(10),
        **params,
    )


def test_where_the_rule_judges_no_single_instruction_there_is_no_index_and_all_else() -> None:
    following = Following(a_rule("none"))
    step_up(following)
    following.ask(at(300), D(0))

    told = following.told()
    assert told.index is None
    assert told.parts is None
    assert told.error_mw == D("0.05")


def test_pjm_score_of_the_last_hour_comes_with_the_signal() -> None:
    following = Following(a_rule("none"))
    for number in range(120):
        mw = D(1 if number // 4 % 2 else -1)
        following.ask(at(10 * number), mw)
        following.see(at(10 * number + 5), mw)

    told = following.told()
    assert told.pjm is not None
    assert told.pjm.score == pytest.approx(1)
    assert told.in_band == 1


def test_an_instruction_of_a_whole_day_is_kept_in_little_memory() -> None:
    following = Following(a_rule())
    following.ask(START, D(10))
    for second in range(20_000):
        following.see(at(second), D(10))
    assert len(following._samples) <= MOST_SAMPLES
    following.ask(at(20_000), D(0))
    assert following.told().samples == 20_000
    assert following.told().error_mw == 0


def test_what_is_seen_before_the_first_instruction_says_nothing() -> None:
    following = Following(a_rule())
    following.see(START, D(3))
    assert following.told().samples == 0
    assert following.told().in_band is None


def test_where_nothing_is_awarded_nothing_is_judged() -> None:
    following = Following(replace(a_rule(), capacity_mw=D(0), standard_rate=D(0)))
    step_up(following)
    following.ask(at(300), D(0))

    told = following.told()
    assert told.instructions == 0
    assert told.index is None
    assert told.mileage_mw == 20
