"""How a park is steered, as its file says it: what may stand there, and what contradicts the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.service.smallpark import PARK, Load, faults_of, loading_in

CONTROL = """\
control:
  period_s: 60
  sharing: {rule: equal_level, kinds: [storage, ev_fleet]}
  products:
    - {product: se3-day-ahead, period_s: 4, sharing: {rule: merit_order}}
  back_off: {first_s: 10, longest_s: 600}
  following: {tolerance_kw: 1, tolerance_share: 0.05, settle_s: 3}
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loading_in(tmp_path)


def test_rule_kinds_periods_and_patience_are_of_the_park_file(load: Load) -> None:
    found = load(PARK + CONTROL.replace("se3-day-ahead", product_of(load))).control

    assert (found.sharing.rule, found.sharing.kinds) == ("equal_level", ["storage", "ev_fleet"])
    (one,) = found.products
    assert one.period_s == 4
    assert one.sharing is not None
    assert (one.sharing.rule, one.sharing.kinds) == ("merit_order", ["storage"])
    assert found.period == timedelta(minutes=1)
    assert (found.back_off.longest_s, found.following.settle_s) == (600, 3)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (("PRODUCT", "no-such"), "control.products.0.product: unknown product 'no-such'"),
        (("period_s: 4", "period_s: 0.5"), "control.products.0.period_s: input should be greater"),
        (("period_s: 60", "period_s: 2"), "4 s is longer than control.period_s 2"),
        (("period_s: 4, sharing: {rule: merit_order}", "period_s: null"), "say period_s or sharing"),
        (("equal_level", "random"), "control.sharing.rule: input should be"),
        (("[storage, ev_fleet]", "[]"), "control.sharing.kinds: "),
        (("longest_s: 600", "longest_s: 5"), "longest_s 5.0 is below first_s 10.0"),
        (("period_s: 60", "period_s: 60, no_such: 1"), "no_such"),
    ],
)  # fmt: skip
def test_what_contradicts_the_rest_is_refused_where_it_stands(
    load: Load, tmp_path: Path, edit: tuple[str, str], what: str
) -> None:
    control = CONTROL.replace("se3-day-ahead", "PRODUCT").replace(*edit)
    text = PARK + control.replace("PRODUCT", product_of(load)).replace(", no_such", "\n  no_such")

    (fault,) = faults_of(load, tmp_path, text)

    assert what in fault


def test_a_product_is_named_once(load: Load, tmp_path: Path) -> None:
    line = "    - {product: P, period_s: 4}\n".replace("P", product_of(load), 1)
    (fault,) = faults_of(load, tmp_path, PARK + f"control:\n  products:\n{line}{line}")
    assert "stands there already" in fault


def product_of(load: Load) -> str:
    return str(load(PARK).packs[0].product_id)
