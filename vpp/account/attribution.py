"""Why a day came to what it came to: the planned result, and five effects that lead to the settled one.

The plan is the last one before the gate of the day ahead: what it expected is what was bid on. Five courses of
the park lie between it and the meters; each effect is the worth of one course less that of the one before.

    course      what nobody steers   what is steered       what people hold     effect of the step
    planned     as forecast          as planned            as planned
    came        as measured          as planned            as planned           forecast
    replanned   as measured          by the newest plan    as planned           (goes into model)
    held        as measured          by the newest plan    as told              override
    metered     by the main meters                                              delivery

    worth of a course = its energy at the day-ahead price - network energy - what it adds to month's peaks

    price       the planned course at the prices that came, less that at the prices that were expected
    forecast    came - planned: loads and weather were otherwise than forecast
    override    held - replanned: an operator's hand did otherwise than the plan wanted
    delivery    metered - held, and what imbalance cost beyond the day-ahead price: control and devices did
                otherwise than the newest plan wanted (a peak that control avoided counts here, as a gain), and the
                park otherwise than was sold
    model       the rest of the settled total: what later plans chose otherwise than the one that was bid on,
                what late trades and services brought, charges that no plan can change, and rounding

By hand, one point, one quarter-hour, no peak, network 20 a MWh of import: planned 1 MWh of draw at an expected 50:
-50 - 20 = -70. The price comes out at 60: price = -10. The load draws 1.1 MWh: forecast = -0.1 · 80 = -8. The
battery was to give 0.2 MWh by a later plan: model holds +0.2 · 80 = +16. Somebody held it at 0.1: override -8.
The meter counts 1.05 MWh: delivery -0.05 · 80 = -4. Settled at -84, so that planned -70, price -10, forecast -8,
override -8, delivery -4 and model +16 add up to it.

Credit is positive. Amounts are whole minor units, and add up to the settled total to the last one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId
from vpp.model.money import to_minor

Course: TypeAlias = Mapping[ConnectionPointId, Sequence[int]]
"""Net injection of each connection point in Wh, by quarter-hour."""

NO_PEAK = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """What a connection point pays its network, over T quarter-hours."""

    network_per_kwh: Sequence[Decimal]
    """Of a kWh imported, by quarter-hour."""

    peak_of: Sequence[int]
    """Which measuring interval a quarter-hour is part of; `NO_PEAK` where its import makes no peak."""

    rise_per_kw: Decimal
    paid_kw: Decimal
    """The month's peak before, or what is included if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Courses:
    """The five courses of the table, each over the same points and T quarter-hours."""

    planned: Course
    came: Course
    replanned: Course
    held: Course
    metered: Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The settled total of a span, as the planned result and what led away from it."""

    planned: Decimal
    price: Decimal
    forecast: Decimal
    override: Decimal
    delivery: Decimal
    model: Decimal

    @property
    def effects(self) -> dict[str, Decimal]:
        """The five by name, in the order of the table."""
        return {
            "forecast": self.forecast,
            "price": self.price,
            "delivery": self.delivery,
            "override": self.override,
            "model": self.model,
        }

    @property
    def total(self) -> Decimal:
        return self.planned + sum(self.effects.values(), Decimal(0))

    def __add__(self, other: Attribution) -> Attribution:
        """Of two spans together."""
        return Attribution(
            planned=self.planned + other.planned,
            price=self.price + other.price,
            forecast=self.forecast + other.forecast,
            override=self.override + other.override,
            delivery=self.delivery + other.delivery,
            model=self.model + other.model,
        )


def attribute(
    courses: Courses,
    points: Mapping[ConnectionPointId, PointTerms],
    *,
    expected_per_mwh: Sequence[Decimal],
    came_per_mwh: Sequence[Decimal],
    imbalance_beyond: Decimal,
    total: Decimal,
    minor_unit: Decimal,
) -> Attribution:
    """Split `total`.

    Args:
        courses: Of every point in `points`, T quarter-hours each.
        points: What they pay.
        expected_per_mwh: Day-ahead prices as the plan expected them, T.
        came_per_mwh: As they came, T.
        imbalance_beyond: What imbalance brought beyond the day-ahead price of its energy, credit positive.
        total: What was settled, in whole minor units.
        minor_unit: `Decimal("0.01")` for cents.

    Raises:
        DataError: Courses, points and prices are not of one length, or not of the same points.
    """
    _require_alike(courses, points, expected_per_mwh, came_per_mwh)

    def came(course: Course) -> Decimal:
        return worth(course, points, came_per_mwh)

    planned = to_minor(worth(courses.planned, points, expected_per_mwh), minor_unit)
    price = to_minor(
        came(courses.planned) - worth(courses.planned, points, expected_per_mwh), minor_unit
    )
    forecast = to_minor(came(courses.came) - came(courses.planned), minor_unit)
    override = to_minor(came(courses.held) - came(courses.replanned), minor_unit)
    delivery = to_minor(came(courses.metered) - came(courses.held) + imbalance_beyond, minor_unit)
    return Attribution(
        planned=planned,
        price=price,
        forecast=forecast,
        override=override,
        delivery=delivery,
        model=total - planned - price - forecast - override - delivery,
    )


def worth(
    course: Course, points: Mapping[ConnectionPointId, PointTerms], spot_per_mwh: Sequence[Decimal]
) -> Decimal:
    """What a course comes to at these prices, credit positive, not rounded."""
    total = Decimal(0)
    for name, terms in points.items():
        imported_wh: dict[int, int] = defaultdict(int)
        quarters: dict[int, int] = defaultdict(int)
        for wh, spot, network, interval in zip(
            course[name], spot_per_mwh, terms.network_per_kwh, terms.peak_of, strict=True
        ):
            draw_wh = max(-wh, 0)
            total += wh * spot / 1_000_000 - draw_wh * network / 1000
            if interval != NO_PEAK:
                imported_wh[interval] += draw_wh
                quarters[interval] += 1
        highest_kw = max(
            (Decimal(4 * wh) / 1000 / quarters[one] for one, wh in imported_wh.items()),
            default=Decimal(0),
        )
        total -= terms.rise_per_kw * max(highest_kw - terms.paid_kw, Decimal(0))
    return total


def _require_alike(
    courses: Courses,
    points: Mapping[ConnectionPointId, PointTerms],
    *prices: Sequence[Decimal],
) -> None:
    steps = {len(one) for one in prices}
    steps |= {len(one.network_per_kwh) for one in points.values()}
    steps |= {len(one.peak_of) for one in points.values()}
    for course in (
        courses.planned, courses.came, courses.replanned, courses.held, courses.metered,
    ):  # fmt: skip
        steps |= {len(course[name]) for name in points if name in course}
        if course.keys() != points.keys():
            raise DataError(
                f"points {sorted(course.keys() ^ points.keys())} are not in all courses",
                where="attribution",
                fix="Give each course for every connection point",
            )
    if len(steps) > 1:
        raise DataError(
            f"{sorted(steps)} quarter-hours",
            where="attribution",
            fix="Give courses and prices over the same quarter-hours",
        )
