"""Settlement of the unit with its venue, interval by interval, exact to the minor unit.

    sold 2 MW day-ahead at 80      2.0 MW · 0.25 h · 80    = +40.00    day_ahead
    bought back 0.5 MW at 95      -0.5 MW · 0.25 h · 95    = -11.88    quarter_hour
    metered +300 kWh, owed +375    -75 kWh · 110 (short)   =  -8.25    imbalance

`exchange_imbalance` and `two_settlement` of the field are this one sum: with two settlements short and
long price are the one of the real time, and a user's market may take back what a wrong declaration gained:

    declared 130 MWh, drew 100, allowed 120; 300 a day ahead, 500 in real time     -(10 · 200) = -2000   deviation

Credit is positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from vpp.account.formulas import claw_back
from vpp.errors import DataError
from vpp.model.market import ClawBack
from vpp.model.money import to_minor
from vpp.model.settlement import LineKind, SettlementLine
from vpp.model.time import Interval

_WH_PER_MWH = 1_000_000


def settle_interval(
    interval: Interval,
    sold: Sequence[tuple[LineKind, Decimal, Decimal]],
    metered_net_wh: int,
    short_per_mwh: Decimal,
    long_per_mwh: Decimal,
    minor_unit: Decimal,
    *,
    gap: bool,
    activated_mwh: Decimal = Decimal(0),
) -> tuple[SettlementLine, ...]:
    """The lines of one interval: one for each sale, one for the imbalance unless it is 0.

    `activated_mwh` is balancing energy that was called for: it belongs to the schedule, and is paid elsewhere.

    `sold` holds (kind, MW of net injection, price per MWh): sold above 0, bought below. What was
    metered less what was sold pays `short_per_mwh` where it is below 0 and earns `long_per_mwh`
    above. Each line rounds half to even by itself. `gap` says that the imbalance prices came from
    a `GapRule`: the imbalance line is then provisional.

    Raises:
        DataError: A number is not finite, or `minor_unit` is not above 0.
    """
    numbers = [short_per_mwh, long_per_mwh, minor_unit, *(n for sale in sold for n in sale[1:])]
    if not all(number.is_finite() for number in numbers) or minor_unit <= 0:
        raise DataError(
            f"numbers {[str(number) for number in numbers]}",
            where=f"settlement of {interval.start}",
            fix="Give finite quantities and prices, and a minor unit above 0",
        )
    seconds = Decimal((interval.end - interval.start) // timedelta(seconds=1))
    lines = [
        _line(interval, kind, quantity_mw * seconds / 3600, price, minor_unit, provisional=False)
        for kind, quantity_mw, price in sold
    ]
    scheduled = sum((quantity_mw * seconds for _, quantity_mw, _ in sold), Decimal(0)) / 3600
    imbalance = Decimal(metered_net_wh) / _WH_PER_MWH - scheduled - activated_mwh
    if imbalance:
        price = short_per_mwh if imbalance < 0 else long_per_mwh
        lines.append(
            _line(interval, LineKind.IMBALANCE, imbalance, price, minor_unit, provisional=gap)
        )
    return tuple(lines)


def settle_differences(
    interval: Interval,
    contracts: Sequence[tuple[Decimal, Decimal, SettledPrice]],
    minor_unit: Decimal,
) -> tuple[SettlementLine, ...]:
    """Financial contracts of one interval, each (MW, its price, the reference price): Q · (P − P_ref).

        100 MWh bought at 400, reference 350      −100 · (400 − 350) = −5000

    With all energy settled at the reference this is `Q_mlt·P_mlt + (Q_da − Q_mlt)·P_da` of a two-settlement
    market (`formulas.two_settlement`), whoever makes the lines of day-ahead and real time.
    """
    seconds = Decimal((interval.end - interval.start) // timedelta(seconds=1))
    return tuple(
        _line(
            interval,
            LineKind.CONTRACT_DIFFERENCE,
            quantity_mw * seconds / 3600,
            price - reference.price_per_mwh,
            minor_unit,
            provisional=reference.provisional,
        )
        for quantity_mw, price, reference in contracts
    )


def claw_back_lines(
    interval: Interval,
    sold_mwh: Decimal,
    metered_net_wh: int,
    day_ahead_per_mwh: Decimal,
    real_time_per_mwh: Decimal,
    rule: ClawBack,
    minor_unit: Decimal,
    *,
    gap: bool,
) -> tuple[SettlementLine, ...]:
    """One line for what a declaration gained beyond the band, none where it gained nothing.

    `sold_mwh` is net injection traded a day ahead (below 0: bought). The rule is one of users: what is
    fed counts as nothing drawn. `gap` as in `settle_interval`.
    """
    owed = claw_back(
        day_ahead_mwh=max(-sold_mwh, Decimal(0)),
        actual_mwh=max(Decimal(-metered_net_wh) / _WH_PER_MWH, Decimal(0)),
        band=rule.band,
        day_ahead_price=day_ahead_per_mwh,
        real_time_price=real_time_per_mwh,
        k=rule.k,
    )
    amount = to_minor(-owed, minor_unit)
    if not amount:
        return ()
    return (
        SettlementLine(
            interval=interval,
            kind=LineKind.DEVIATION,
            energy_mwh=Decimal(0),
            price_per_mwh=real_time_per_mwh - day_ahead_per_mwh,
            amount=amount,
            provisional=gap,
        ),
    )


def _line(
    interval: Interval,
    kind: LineKind,
    energy_mwh: Decimal,
    price_per_mwh: Decimal,
    minor_unit: Decimal,
    *,
    provisional: bool,
) -> SettlementLine:
    return SettlementLine(
        interval=interval,
        kind=kind,
        energy_mwh=energy_mwh,
        price_per_mwh=price_per_mwh,
        amount=to_minor(energy_mwh * price_per_mwh, minor_unit),
        provisional=provisional,
    )


def corrections(
    booked: Sequence[SettlementLine], settled: Sequence[SettlementLine]
) -> tuple[SettlementLine, ...]:
    """The lines to book so that `booked` becomes `settled`: for a price or a reading that came late.

    Each booked line that no longer holds is reversed (energy and amount with the other sign, no
    longer provisional), each new one is added. Booked lines plus corrections have the energy and
    the amount of `settled`, exactly; where nothing changed there is no correction.
    """
    gone, came = Counter(booked), Counter(settled)
    reversals = [
        replace(line, energy_mwh=-line.energy_mwh, amount=-line.amount, provisional=False)
        for line in (gone - came).elements()
    ]
    return (*reversals, *(came - gone).elements())


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPrice:
    """A price to settle at."""

    price_per_mwh: Decimal
    provisional: bool
    """True where the venue has not published it."""

    origin: str
    """`published`, `carried from <time>` or `day-ahead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRule:
    """What a missing price settles at until the venue publishes it. Dated, as all rules are."""

    valid_from: date
    max_age: timedelta
    """A known price is carried on for at most so long."""

    def price(
        self,
        start: datetime,
        published: Mapping[datetime, Decimal],
        step: timedelta,
        day_ahead_per_mwh: Decimal | None,
    ) -> SettledPrice:
        """The price of the interval that starts at `start`.

        `published` holds the venue's prices of this series by interval start, `step` apart. Without
        one, the most recent earlier one not older than `max_age` is carried on, else the
        day-ahead price of the interval counts.

        Raises:
            DataError: There is no price of any kind.
        """
        for back in range(self.max_age // step + 1):
            price = published.get(start - back * step)
            if price is not None:
                origin = f"carried from {start - back * step}" if back else "published"
                return SettledPrice(price_per_mwh=price, provisional=back > 0, origin=origin)
        if day_ahead_per_mwh is None:
            raise DataError(
                f"no price within {self.max_age} and no day-ahead price",
                where=f"settlement of {start}",
                fix="Wait for the venue's prices, then settle",
            )
        return SettledPrice(price_per_mwh=day_ahead_per_mwh, provisional=True, origin="day-ahead")


def gap_rule_on(rules: Sequence[GapRule], day: date) -> GapRule:
    """The rule in force on a local delivery day: the newest that is valid by then.

    Raises:
        DataError: None of them is.
    """
    valid = [rule for rule in rules if rule.valid_from <= day]
    if not valid:
        raise DataError(
            f"no gap rule is valid on {day}", where="settlement", fix="Add one to the rule file"
        )
    return max(valid, key=lambda rule: rule.valid_from)
