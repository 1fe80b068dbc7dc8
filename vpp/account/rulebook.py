"""Every rule that a market file may name, with the parameters it must be given: no expressions.

A name that is not here is no rule: `vpp check` refuses the file and tells the names there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vpp.account import completion, daybaseline, formulas, performance


@dataclass(frozen=True, slots=True)
class NamedRule:
    """One rule and the parameters that stand in a market file; the rest is measured."""

    call: Callable[..., Any]
    params: frozenset[str] = frozenset()


def _rule(call: Callable[..., Any], *params: str) -> NamedRule:
    return NamedRule(call, frozenset(params))


FORMULAS = {
    "two_settlement": _rule(formulas.two_settlement),
    "single_spot": _rule(formulas.single_spot),
    "exchange_imbalance": _rule(formulas.exchange_imbalance),
    "deviation_only": _rule(formulas.deviation_only),
    "capacity_availability": _rule(formulas.capacity_availability),
    "reserve_energy": _rule(formulas.reserve_energy),
    "mileage_k": _rule(formulas.mileage_k, "m_factor"),
    "baseline_energy": _rule(formulas.baseline_energy),
    "baseline_capacity": _rule(formulas.baseline_capacity),
    "contract_reserve": _rule(
        formulas.contract_reserve, "energy_price_per_mwh", "reserve_price_per_mw_month"
    ),
    "bm_accepted": _rule(formulas.bm_accepted),
    "fcas_enabled": _rule(formulas.fcas_enabled),
    "pdr": _rule(formulas.pdr),
}
DEVIATIONS = {
    "band": _rule(formulas.penalty_band, "band_pct", "k"),
    "clawback": _rule(formulas.claw_back, "band_pct", "k"),
    "imbalance_price": _rule(formulas.imbalance_price),
}
PENALTIES = {
    "shortfall": _rule(formulas.shortfall, "ratio", "multiplier"),
    "forfeit_capacity_below": _rule(formulas.forfeit_capacity_below, "ratio"),
}
INDEXES = {
    "none": _rule(performance.none),
    "cn_hunan_k": _rule(
        performance.cn_hunan_k, "w1", "w2", "w3", "t0_s", "e0_pct", "k1_cap", "k_cap"
    ),
    "cn_south_k": _rule(performance.cn_south_k, "t0_s", "e0_pct"),
    "cn_kp_product": _rule(performance.cn_kp_product, "t0_s", "e0_pct", "floor"),
    "shanxi_k": _rule(performance.shanxi_k, "alpha", "beta"),
    "pjm_score": _rule(performance.pjm_score),
    "tolerance_band": _rule(performance.tolerance_band),
}
VALIDITY = {
    "max_load_below_baseline": _rule(completion.max_load_below_baseline),
    "mean_load_below_baseline": _rule(completion.mean_load_below_baseline),
}
_LIKE_DAYS = _rule(daybaseline.like_days, "n_days")
METHODS = {
    "none": _rule(lambda: None),
    "schedule": _rule(lambda schedule: schedule),
    "meter_before_after": _rule(lambda before: before),
    "pjm_same_day_3_2": _rule(daybaseline.same_day),
    "cn_5day": _LIKE_DAYS,
    "cn_jiangsu": _LIKE_DAYS,
    "cn_beijing": _LIKE_DAYS,
    "caiso_10_10": _LIKE_DAYS,
    "caiso_5_10_res": _LIKE_DAYS,
    "nyiso_h5_10": _LIKE_DAYS,
    "pjm_saa": _LIKE_DAYS,
}
