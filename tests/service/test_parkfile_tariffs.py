"""The park file's tariffs: calendars by season and day type, floating prices, forms of demand charge."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vpp.model.demand import (
    ActualDemand,
    CapacityCharge,
    ContractDemand,
    Contracted,
    LoadFactorDiscount,
    Measuring,
)
from vpp.model.hours import Hours
from vpp.model.park import Park
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park

SHANGHAI = ZoneInfo("Asia/Shanghai")

TARIFF = """\
  - id: t
    valid_from: 2026-01-01
    source: Shandong agency purchase 2026, an example set; time bands illustrative
    floating: {base_per_kwh: 0.5014, fixed_per_kwh: 0.13317}
    holidays: [2026-02-17]
    seasons:
      - name: summer
        months: [7, 8]
        day_types:
          - bands:
              - {name: sharp, start: "18:00", end: "22:00", ratio: 2.0}
              - {name: flat, start: "00:00", end: "00:00", ratio: 1.0}
      - name: rest of the year
        months: [1, 2, 3, 4, 5, 6, 9, 10, 11, 12]
        day_types:
          - holidays: true
            bands: [{name: deep, start: "00:00", end: "00:00", ratio: 0.1}]
          - days: [sat, sun]
            bands: [{name: valley, start: "00:00", end: "00:00", ratio: 0.3}]
          - bands: [{name: flat, start: "00:00", end: "00:00", price_per_kwh: 0.6}]
    demand:
      form: contract
      price_per_kw_month: 40
      least_share_of_capacity: 0.4
      free_share: 1.05
      excess_times: 2
      interval_minutes: 30
      windows: [{start: "08:00", end: "22:00", days: [mon, tue], months: [7, 8], holidays: false}]
      discount: {least_kwh_per_kva: 260, times: 0.9}
"""


def park_of(
    tmp_path: Path, tariff: str = TARIFF, point: str = "capacity_kva: 2000, contract_kw: 1000"
) -> Park:
    file = tmp_path / "park.yaml"
    file.write_text(
        f"""\
park: works
name: Works
timezone: Asia/Shanghai
currency: CNY
minor_unit: "0.01"
limits: {{import_kw: 5000, export_kw: 2000}}
carbon: {{grid_kgco2_per_kwh: 0.5, source: a table, valid_from: 2025-01-01}}
tariffs:
{tariff}enterprises:
  - id: mill
    name: Mill
    connection_points:
      - {{id: gate, import_kw: 1000, export_kw: 500, meter: m, tariff: t, resources: [], {point}}}
"""
    )
    return load_park(file).park


@pytest.mark.parametrize(
    ("at", "price"),
    [
        pytest.param((2026, 7, 1, 18), "1.13597", id="golden 10: a sharp hour in summer"),
        pytest.param((2026, 7, 1, 12), "0.63457", id="a flat one"),
        pytest.param((2026, 2, 17, 12), "0.18331", id="a holiday, the first type that fits"),
        pytest.param((2026, 2, 21, 12), "0.28359", id="a Saturday"),
        pytest.param((2026, 2, 18, 12), "0.6", id="another day, with a price of its own"),
    ],
)
def test_seasons_and_day_types_give_the_price_of_an_hour(
    tmp_path: Path, at: tuple[int, int, int, int], price: str
) -> None:
    (tariff,) = park_of(tmp_path).tariffs

    band = tariff.band_at(datetime(*at, tzinfo=SHANGHAI), SHANGHAI)

    assert band.price_per_kwh == Decimal(price)


def test_a_contract_is_read_with_every_number_of_the_rule(tmp_path: Path) -> None:
    park = park_of(tmp_path)

    assert park.tariffs[0].demand == ContractDemand(
        price_per_kw_month=Decimal(40),
        least_share_of_capacity=Decimal("0.4"),
        free_share=Decimal("1.05"),
        excess_times=Decimal(2),
        measuring=Measuring(
            interval=timedelta(minutes=30),
            windows=(
                Hours(start=time(8), end=time(22), days=(0, 1), months=(7, 8), holidays=False),
            ),
        ),
        discount=LoadFactorDiscount(least_kwh_per_kva=Decimal(260), times=Decimal("0.9")),
    )
    assert park.tariffs[0].holidays == {date(2026, 2, 17)}
    assert park.connection_points[0].contracted == Contracted(
        capacity_kva=Decimal(2000), contract_kw=Decimal(1000)
    )


FLAT = """\
  - id: t
    valid_from: 2026-01-01
    source: illustrative
    bands: [{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.6}]
"""


@pytest.mark.parametrize(
    ("lines", "demand"),
    [
        pytest.param(
            "    demand_charge_per_kw_month: 5.0\n",
            ActualDemand(price_per_kw_month=Decimal("5.0")),
            id="the short form",
        ),
        pytest.param(
            "    demand_charge_per_kw_month: 5.0\n    demand_interval_minutes: 60\n",
            ActualDemand(
                price_per_kw_month=Decimal("5.0"), measuring=Measuring(interval=timedelta(hours=1))
            ),
            id="measured by the hour",
        ),
        pytest.param(
            "    demand: {form: capacity, price_per_kva_month: 25}\n",
            CapacityCharge(price_per_kva_month=Decimal(25)),
            id="the capacity",
        ),
    ],
)
def test_other_forms_of_demand_charge_are_read(
    tmp_path: Path, lines: str, demand: ActualDemand | CapacityCharge
) -> None:
    assert park_of(tmp_path, FLAT + lines).tariffs[0].demand == demand


@pytest.mark.parametrize(
    ("tariff", "point", "fault"),
    [
        pytest.param(
            TARIFF,
            "capacity_kva: 2000",
            "tariff 't' bills by contract_kw: give contract_kw",
            id="a contract nobody gave",
        ),
        pytest.param(
            FLAT,
            "",
            "give either demand_charge_per_kw_month or demand",
            id="no demand charge at all",
        ),
        pytest.param(
            TARIFF.replace("    floating: {base_per_kwh: 0.5014, fixed_per_kwh: 0.13317}\n", ""),
            "capacity_kva: 2000, contract_kw: 1000",
            "a band gives a ratio: give floating, with its base",
            id="a ratio of nothing",
        ),
        pytest.param(
            TARIFF.replace("ratio: 2.0", "ratio: 2.0, price_per_kwh: 1"),
            "capacity_kva: 2000, contract_kw: 1000",
            "give either price_per_kwh or ratio",
            id="two prices",
        ),
        pytest.param(
            TARIFF.replace("months: [7, 8]\n        day", "months: [7]\n        day"),
            "capacity_kva: 2000, contract_kw: 1000",
            "no band holds on weekday 0 at 00:00 in month 8",
            id="a month without a price",
        ),
        pytest.param(
            TARIFF.replace(
                "    seasons:",
                "    bands: [{name: a, start: '00:00', end: '00:00', price_per_kwh: 1}]\n    seasons:",
            ),
            "capacity_kva: 2000, contract_kw: 1000",
            "give either bands or seasons",
            id="two calendars",
        ),
    ],
)
def test_a_tariff_that_does_not_say_what_it_costs_is_refused(
    tmp_path: Path, tariff: str, point: str, fault: str
) -> None:
    with pytest.raises(ConfigErrors) as caught:
        park_of(tmp_path, tariff, point)

    assert fault in str(caught.value)
