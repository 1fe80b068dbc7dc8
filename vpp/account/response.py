"""A demand-response call, evaluated by the rules of its product: how much came, what is paid, who gets it.

    baseline − actual ──▶ response by member ──▶ valid? ──▶ completion ──▶ band ──▶ money ─┬─▶ by contribution
      (reversed for a fill)                                                     penalties ─┴─▶ by nominated share

Energies are draw above 0, in MWh by settlement interval. What is paid is split by what each member brought
(who went the other way brings nothing and takes nothing from the others); penalties by what each had said it
would bring. Both splits add up to the last minor unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from vpp.account import formulas
from vpp.account.completion import Band
from vpp.account.rulebook import VALIDITY
from vpp.errors import DataError
from vpp.model.demandresponse import Evaluation, MemberResult
from vpp.model.ids import EnterpriseId
from vpp.model.market import Direction
from vpp.model.money import split_exactly, to_minor

ZERO = Decimal(0)
DIGITS = 9
"""Of a baseline in MWh: a mean of five days has no end, and a sum of such must not fall below a band's edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallRule:
    """A penalty on what lacks of a part of what was cleared."""

    ratio: Decimal
    multiplier: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRules:
    """What the market file says."""

    direction: Direction
    """UP draws less, DOWN draws more."""
    formula: str
    """baseline_energy, baseline_capacity or contract_reserve (its energy: the fee is a month's)."""
    bands: tuple[Band, ...]
    validity: tuple[str, ...] = ()
    shortfall: ShortfallRule | None = None
    intervals_per_hour: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberMeters:
    """Draw of one member in each interval of the window, MWh."""

    baseline_mwh: tuple[Decimal, ...]
    actual_mwh: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        if len(self.baseline_mwh) != len(self.actual_mwh) or not self.actual_mwh:
            raise DataError(
                f"{len(self.baseline_mwh)} baselines for {len(self.actual_mwh)} intervals",
                where="demand response",
                fix="Give one of each for every interval",
            )


def evaluate(
    rules: ResponseRules,
    *,
    cleared_mw: Decimal,
    price: Decimal,
    meters: Mapping[EnterpriseId, MemberMeters],
    nominated_mw: Mapping[EnterpriseId, Decimal],
    minor_unit: Decimal,
    at: datetime,
    provisional: bool = False,
) -> Evaluation:
    """What a call of `cleared_mw` at `price` (in the product's unit) came to.

    `nominated_mw` are the shares of the members in `meters`, the same keys.

    Raises:
        DataError: Nothing was cleared, no member takes part, or the product settles otherwise.
    """
    if cleared_mw <= 0 or not meters:
        raise DataError(
            f"{cleared_mw} MW of {len(meters)} members",
            where="demand response",
            fix="Evaluate what was confirmed",
        )
    sign = 1 if rules.direction is Direction.UP else -1
    meters = {name: _to_the_digit(m) for name, m in meters.items()}
    baseline = _sums([m.baseline_mwh for m in meters.values()])
    actual = _sums([m.actual_mwh for m in meters.values()])
    response = [sign * (base - act) for base, act in zip(baseline, actual, strict=True)]
    hours = Decimal(len(response)) / rules.intervals_per_hour
    invalid = _invalid(rules, baseline, actual)
    counted = ZERO if invalid else sum(response, ZERO)
    cleared_mwh = cleared_mw * hours
    amount = to_minor(_paid(rules, counted, cleared_mwh, hours, price), minor_unit)
    penalty = to_minor(_penalty(rules, response, cleared_mw, price), minor_unit)
    brought = {
        name: sign * (sum(m.baseline_mwh, ZERO) - sum(m.actual_mwh, ZERO))
        for name, m in meters.items()
    }
    gets = _split(amount, {name: max(ZERO, mwh) for name, mwh in brought.items()}, minor_unit)
    owes = _split(penalty, nominated_mw, minor_unit)
    return Evaluation(
        at=at,
        cleared_mwh=cleared_mwh,
        response_mwh=sum(response, ZERO),
        completion=max(ZERO, counted) / cleared_mwh,
        invalid=invalid,
        amount=amount,
        penalty=penalty,
        provisional=provisional,
        members={
            name: MemberResult(
                baseline_mwh=sum(m.baseline_mwh, ZERO),
                actual_mwh=sum(m.actual_mwh, ZERO),
                response_mwh=brought[name],
                amount=gets[name],
                penalty=owes[name],
            )
            for name, m in meters.items()
        },
    )


def _to_the_digit(meters: MemberMeters) -> MemberMeters:
    rounded = tuple(round(mwh, DIGITS) for mwh in meters.baseline_mwh)
    return MemberMeters(baseline_mwh=rounded, actual_mwh=meters.actual_mwh)


def _paid(
    rules: ResponseRules,
    response_mwh: Decimal,
    cleared_mwh: Decimal,
    hours: Decimal,
    price: Decimal,
) -> Decimal:
    match rules.formula:
        case "baseline_energy" | "contract_reserve":
            return formulas.baseline_energy(
                response_mwh=response_mwh, cleared_mwh=cleared_mwh, price=price, bands=rules.bands
            )
        case "baseline_capacity":
            return formulas.baseline_capacity(
                response_mw=response_mwh / hours,
                cleared_mw=cleared_mwh / hours,
                price_per_mw=price,
                bands=rules.bands,
            )
        case _:
            raise DataError(
                f"{rules.formula} pays no response against a baseline",
                where="demand response",
                fix="Use a market file of demand response",
            )


def _penalty(
    rules: ResponseRules, response_mwh: Sequence[Decimal], cleared_mw: Decimal, price: Decimal
) -> Decimal:
    """Hour by hour: what one hour brought too much does not make up for another."""
    if rules.shortfall is None:
        return ZERO
    total, step = ZERO, rules.intervals_per_hour
    for first in range(0, len(response_mwh), step):
        hour = response_mwh[first : first + step]
        hours = Decimal(len(hour)) / step
        total += formulas.shortfall(
            cleared_mw=cleared_mw,
            response_mw=sum(hour, ZERO) / hours,
            hours=hours,
            price=price,
            ratio=rules.shortfall.ratio,
            multiplier=rules.shortfall.multiplier,
        )
    return total


def _invalid(rules: ResponseRules, baseline: Sequence[Decimal], actual: Sequence[Decimal]) -> str:
    """The first rule of validity that is broken; of a fill the load must lie above."""
    cut = rules.direction is Direction.UP
    for name in rules.validity:
        pair = (actual, baseline) if cut else (baseline, actual)
        if not VALIDITY[name].call(*pair):
            return name
    return ""


def _sums(columns: Sequence[Sequence[Decimal]]) -> list[Decimal]:
    return [sum(column, ZERO) for column in zip(*columns, strict=True)]


def _split(
    amount: Decimal, weights: Mapping[EnterpriseId, Decimal], minor_unit: Decimal
) -> dict[EnterpriseId, Decimal]:
    if not amount:
        return dict.fromkeys(weights, ZERO)
    return split_exactly(amount, weights, minor_unit)
