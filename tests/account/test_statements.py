"""The statements together are the venue's ledger plus the tariff, whatever the numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.account.carbon import ImportCarbon, import_carbon, interval_kgco2
from vpp.account.meters import MeteredEnergy
from vpp.account.settlement import settle_interval
from vpp.account.statements import AccountedInterval, Call, statements
from vpp.errors import DataError
from vpp.model.ids import EnterpriseId
from vpp.model.money import split_exactly
from vpp.model.settlement import LineKind, SettlementLine, Statement, StatementLine
from vpp.model.time import QUARTER, Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
SPAN = Interval(NOON, NOON + 4 * QUARTER)
CENT = Decimal("0.01")
STEEL, STORE, SCHOOL = (EnterpriseId(name) for name in ("steel", "store", "school"))
SHARES = {STEEL: Decimal(2), STORE: Decimal(1), SCHOOL: Decimal(0)}


def an_interval(
    number: int,
    net_wh: dict[EnterpriseId, int],
    *,
    sold_mw: str = "0",
    price: str = "80",
    provisional: bool = False,
) -> AccountedInterval:
    interval = Interval(NOON + number * QUARTER, NOON + (number + 1) * QUARTER)
    return AccountedInterval(
        interval=interval,
        metered={
            one: MeteredEnergy(max(-wh, 0), max(wh, 0), provisional) for one, wh in net_wh.items()
        },
        day_ahead_per_mwh=Decimal(price),
        lines=settle_interval(
            interval,
            [(LineKind.DAY_AHEAD, Decimal(sold_mw), Decimal(price))],
            sum(net_wh.values()),
            Decimal(price) + 30,
            Decimal(price) - 30,
            CENT,
            gap=False,
        ),
    )


def state(
    intervals: list[AccountedInterval],
    *,
    tariff_lines: dict[EnterpriseId, list[StatementLine]] | None = None,
    calls: list[Call] | None = None,
    shares: dict[EnterpriseId, Decimal] = SHARES,
) -> dict[EnterpriseId, Statement]:
    made = statements(
        SPAN,
        currency="EUR",
        minor_unit=CENT,
        trading_share=shares,
        intervals=intervals,
        tariff_lines=tariff_lines or {},
        calls=calls or [],
        baseline_kwh={STEEL: Decimal(-300)},
        carbon={STEEL: ImportCarbon(kgco2=9.5, by_figure_wh=40_000)},
    )
    return {one.enterprise_id: one for one in made}


def amounts(statement: Statement) -> dict[str, Decimal]:
    return {f"{line.item} {line.detail}": line.amount for line in statement.lines}


def test_own_energy_is_paid_at_spot_and_the_rest_of_the_venues_money_is_shared() -> None:
    # 0.4 MW bought day-ahead = 100 kWh; drawn 130 kWh: 30 kWh short at 110, so 30 above spot.
    made = state([an_interval(0, {STEEL: -100_000, STORE: -30_000}, sold_mw="-0.4")])

    assert amounts(made[STEEL]) == {
        "energy_spot metered net": Decimal("-8.00"),
        "trading_share venue less energy_spot": Decimal("-0.60"),
    }
    assert made[STORE].total == Decimal("-2.40") + Decimal("-0.30")
    assert made[SCHOOL].total == 0
    assert sum(one.total for one in made.values()) == Decimal("-8.00") + Decimal("-3.30")


def test_a_statement_says_energy_carbon_and_baseline() -> None:
    made = state([an_interval(0, {STEEL: -100_000}), an_interval(1, {STEEL: 40_500})])

    assert (made[STEEL].import_kwh, made[STEEL].export_kwh) == (Decimal(100), Decimal("40.5"))
    assert (made[STEEL].baseline_kwh, made[STEEL].carbon_kgco2) == (Decimal(-300), 9.5)
    assert [made[name].carbon_by_figure_kwh for name in (STEEL, STORE)] == [40, 0]
    assert (made[STEEL].span, made[STEEL].currency) == (SPAN, "EUR")


def test_who_is_called_is_paid_by_all_and_it_adds_up_to_nothing() -> None:
    call = Call(
        enterprise_id=STEEL,
        detail="furnace 12:00",
        energy_kwh=Decimal("333.5"),
        price_per_kwh=Decimal("0.10"),
    )
    made = state([], calls=[call])

    assert amounts(made[STEEL]) == {
        "energy_spot metered net": 0,
        "trading_share venue less energy_spot": 0,
        "call_compensation furnace 12:00": Decimal("33.35"),
        "call_compensation share of all calls": Decimal("-22.23"),
    }
    assert sum(one.total for one in made.values()) == 0


def test_provisional_is_who_has_a_provisional_meter_and_everybody_if_the_venue_is() -> None:
    meter = state(
        [an_interval(0, {STEEL: -1, STORE: -1}), an_interval(1, {STORE: -1}, provisional=True)]
    )
    assert [meter[one].provisional for one in SHARES] == [False, True, False]

    settled = an_interval(0, {STEEL: -1})
    venue = AccountedInterval(
        interval=settled.interval,
        metered=settled.metered,
        day_ahead_per_mwh=settled.day_ahead_per_mwh,
        lines=settle_interval(settled.interval, [], -1, Decimal(1), Decimal(1), CENT, gap=True),
    )
    assert [one.provisional for one in state([venue]).values()] == [True] * 3


def test_before_the_unit_trades_there_is_energy_but_no_venue_money() -> None:
    before = AccountedInterval(
        interval=Interval(NOON, NOON + QUARTER),
        metered={STEEL: MeteredEnergy(5000, 0, False)},
        day_ahead_per_mwh=None,
        lines=(),
    )

    made = state([before])

    assert (made[STEEL].import_kwh, made[STEEL].total) == (Decimal(5), Decimal(0))


def test_what_cannot_be_shared_out_is_refused() -> None:
    stranger = EnterpriseId("stranger")
    with pytest.raises(DataError, match="stranger"):
        state([an_interval(0, {stranger: -1})])
    with pytest.raises(DataError, match="outside"):
        state([an_interval(4, {STEEL: -1})])
    line = SettlementLine(
        interval=Interval(NOON, NOON + QUARTER),
        kind=LineKind.DAY_AHEAD,
        energy_mwh=Decimal(1),
        price_per_mwh=Decimal(1),
        amount=Decimal(1),
        provisional=False,
    )
    with pytest.raises(DataError, match="no day-ahead price"):
        state(
            [
                AccountedInterval(
                    interval=line.interval, metered={}, day_ahead_per_mwh=None, lines=(line,)
                )
            ]
        )


NET_WH = st.dictionaries(st.sampled_from([STEEL, STORE, SCHOOL]), st.integers(-(10**7), 10**7))
WEIGHTS = st.decimals(0, 1000, places=4)
INTERVALS = st.lists(
    st.tuples(NET_WH, st.decimals(-20, 20, places=1), st.decimals(-500, 4000, places=2)),
    max_size=4,
)
MONEY = st.decimals(-(10**6), 10**6, places=2)


@given(
    intervals=INTERVALS,
    weights=st.tuples(WEIGHTS, WEIGHTS, WEIGHTS).filter(lambda all_: sum(all_) > 0),
    tariff=st.dictionaries(st.sampled_from([STEEL, STORE, SCHOOL]), MONEY),
    called=st.lists(
        st.tuples(
            st.sampled_from([STEEL, STORE]),
            st.decimals(0, 5000, places=3),
            st.decimals(0, 3, places=4),
        ),
        max_size=3,
    ),
)
def test_the_statements_sum_to_the_venues_ledger_plus_the_tariff_to_the_last_cent(
    intervals: list[tuple[dict[EnterpriseId, int], Decimal, Decimal]],
    weights: tuple[Decimal, Decimal, Decimal],
    tariff: dict[EnterpriseId, Decimal],
    called: list[tuple[EnterpriseId, Decimal, Decimal]],
) -> None:
    accounted = [
        an_interval(number, net_wh, sold_mw=str(mw), price=str(price))
        for number, (net_wh, mw, price) in enumerate(intervals)
    ]
    made = state(
        accounted,
        tariff_lines={
            one: [
                StatementLine(
                    item="network_energy", detail="t", energy_kwh=Decimal(0), amount=amount
                )
            ]
            for one, amount in tariff.items()
        },
        calls=[
            Call(enterprise_id=one, detail="c", energy_kwh=kwh, price_per_kwh=price)
            for one, kwh, price in called
        ],
        shares=dict(zip(SHARES, weights, strict=True)),
    )

    venue = sum((line.amount for one in accounted for line in one.lines), Decimal(0))
    ours = sum((one.total for one in made.values()), Decimal(0))
    assert ours == venue + sum(tariff.values(), Decimal(0))
    assert all(line.amount % CENT == 0 for one in made.values() for line in one.lines)


@given(
    cents=st.integers(-(10**12), 10**12),
    weights=st.lists(st.decimals(0, 10**6, places=6), min_size=1, max_size=12).filter(any),
)
def test_a_split_loses_no_cent_and_is_fair_to_one_cent(cents: int, weights: list[Decimal]) -> None:
    amount, total = cents * CENT, sum(weights)

    shares = split_exactly(amount, dict(enumerate(weights)), CENT)

    assert sum(shares.values()) == amount
    for key, share in shares.items():
        assert abs(share - amount * weights[key] / total) < CENT * (1 + Decimal("1e-9"))


def test_carbon_is_import_times_the_grid_factor() -> None:
    total = import_carbon(
        [({STEEL: 100_000, STORE: 1000}, 0.0304), ({STEEL: 100_000}, 0.0704)],
        figure_kgco2_per_kwh=9.9,
    )

    assert total[STEEL].kgco2 == pytest.approx(10.08)
    assert total[STORE].kgco2 == pytest.approx(0.0304)
    assert [one.by_figure_wh for one in total.values()] == [0, 0]


def test_an_interval_whose_grid_nobody_measured_goes_by_the_figure_and_is_counted_apart() -> None:
    total = import_carbon(
        [({STEEL: 100_000}, 0.02), ({STEEL: 50_000}, None)], figure_kgco2_per_kwh=0.3
    )

    assert total[STEEL].kgco2 == pytest.approx(2 + 15)
    assert total[STEEL].by_figure_wh == 50_000


@pytest.mark.parametrize(
    ("import_wh", "factor"), [(-1, 0.5), (1, -0.5), (1, float("nan")), (1, float("inf"))]
)
def test_carbon_is_never_negative(import_wh: int, factor: float) -> None:
    with pytest.raises(DataError):
        interval_kgco2(import_wh, factor)
