"""Facts about the shipped Chinese park: its tariff by hand, its ratios without steering, where its series come from."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.resource import Converter, Generator, Storage
from vpp.model.tariff import floating_price
from vpp.model.time import Interval, local_day
from vpp.service.demo.summaryparts import green_energy
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.simulate.fleet import Fleet
from vpp.simulate.trajectory import Trajectory

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 7, 20)


@pytest.fixture(scope="module")
def file() -> ParkFile:
    return load_park(shipped_park("demo_cn"))


@pytest.fixture(scope="module")
def unsteered(file: ParkFile) -> Trajectory:
    """The scored week, every resource on its own default."""
    assert file.simulation is not None
    start = local_day(MONDAY, SHANGHAI).start
    week = Interval(start, start + timedelta(days=7))
    fleet = Fleet(file.park, file.simulation, opened_at=week.start, step=timedelta(minutes=15))
    fleet.step(week.end)
    return fleet.trajectory(week)


def test_the_park_is_what_its_file_promises(file: ParkFile) -> None:
    park = file.park
    kinds = Counter(type(resource).__name__ for resource in park.resources)
    pv = [r for r in park.resources if isinstance(r, Generator) and r.green]

    assert (park.currency, park.timezone.key) == ("CNY", "Asia/Shanghai")
    assert len(park.enterprises) == 6
    assert len(park.resources) == 34
    assert sum(r.max_feed_kw for r in pv) == 24_000
    assert {node.carrier.value for node in park.nodes} == {"heat", "hydrogen"}
    assert kinds[Converter.__name__] == 3
    assert sum(isinstance(r, Storage) and r.node_id is None for r in park.resources) == 4
    assert [p.product_id for p in file.products] == [
        "cn.sd.spot.da.load_vpp",
        "cn.generic.dr.peak.day_ahead",
    ]
    unit = park.bidding_units[0]
    assert unit.trades_from == local_day(MONDAY, SHANGHAI).start
    assert {enterprise.enterprise_id for enterprise in park.enterprises} == {
        name for name, _ in unit.trading_share
    }


@pytest.mark.parametrize(
    ("ratio", "agency", "spot_user"),
    [
        ("2.0", "1.13597", "0.33597"),
        ("1.7", "0.98555", "0.30555"),
        ("1.0", "0.63457", "0.23457"),
        ("0.3", "0.28359", "0.16359"),
        ("0.1", "0.18331", "0.14331"),
    ],
)
def test_the_spot_price_stands_for_the_energy_in_the_published_example_set(
    ratio: str, agency: str, spot_user: str
) -> None:
    """Golden row 10 and its neighbours; without the 0.4 of the agency's energy the rest floats alone."""
    fixed = Decimal("0.13317")
    whole = floating_price(Decimal("0.5014"), Decimal(ratio), fixed)
    rest = floating_price(Decimal("0.1014"), Decimal(ratio), fixed)

    assert (str(whole.normalize()), str(rest.normalize())) == (agency, spot_user)


@pytest.mark.parametrize(
    ("day", "clock", "band", "price"),
    [
        ("2026-07-20", "19:30", "sharp", "0.33597"),
        ("2026-07-20", "16:00", "peak", "0.30555"),
        ("2026-07-20", "12:00", "flat", "0.23457"),
        ("2026-07-20", "03:00", "valley", "0.16359"),
        ("2026-04-15", "12:00", "deep valley", "0.14331"),
        ("2026-01-15", "16:30", "sharp", "0.33597"),
        ("2026-06-15", "12:00", "valley", "0.16359"),
        ("2026-10-15", "19:30", "peak", "0.30555"),
    ],
)
def test_the_calendar_of_bands_changes_with_the_month(
    file: ParkFile, day: str, clock: str, band: str, price: str
) -> None:
    (tariff,) = file.park.tariffs
    found = tariff.band_at(datetime.fromisoformat(f"{day}T{clock}+08:00"), SHANGHAI)

    assert (found.name, found.price_per_kwh.normalize()) == (band, Decimal(price))


@pytest.mark.parametrize(
    ("point", "peak_kw", "standing", "rising"),
    [
        # 35.4 a kW; the contract counts at least as 40 % of the transformers; above 105 % of it double.
        ("metal-works", "4200", "141600", "0"),  # 4000 · 35.4, up to 4200 nothing more
        ("metal-works", "4300", "141600", "7080"),  # 100 · 70.8
        ("cold-store", "800", "35400", "0"),  # 40 % of 2500 kVA is 1000 kW, agreed are 800
        ("cold-store", "900", "35400", "4248"),  # 60 above 840
        ("steel-works", "8875", "265500", "70800"),  # 1000 above 7875
    ],
)
def test_contract_demand_has_a_floor_and_costs_double_above_its_band(
    file: ParkFile, point: str, peak_kw: str, standing: str, rising: str
) -> None:
    (tariff,) = file.park.tariffs
    at = next(p for p in file.park.connection_points if p.connection_point_id == point).contracted

    assert tariff.demand.standing(at) == Decimal(standing)
    assert tariff.demand.rising(at, Decimal(peak_kw)) == Decimal(rising)
    assert tariff.demand.standing(at, Decimal(260) * (at.capacity_kva or 0)) == Decimal(
        standing
    ) * Decimal("0.9")


def test_left_alone_the_park_keeps_its_limits_and_lacks_no_heat_or_hydrogen(
    file: ParkFile, unsteered: Trajectory
) -> None:
    for point in file.park.connection_points:
        name = point.connection_point_id
        assert unsteered.import_wh[name].max() / 250 <= 0.9 * point.limits.import_kw, name
        assert unsteered.export_wh[name].max() / 250 <= 0.9 * point.limits.export_kw, name
    for kwh in unsteered.lacked_kwh.values():
        assert float(kwh.sum()) == 0
    assert float(np.min(unsteered.stored_kwh["hydrogen-tank"])) > 1000  # type: ignore[index]


def test_left_alone_it_exports_too_much_on_its_direct_lines(
    file: ParkFile, unsteered: Trajectory
) -> None:
    assert file.simulation is not None
    energy = green_energy(file.park, file.simulation, unsteered)

    assert energy.export_share > 0.2
    assert energy.self_use_share >= 0.6
    assert energy.green_share >= 0.3
    used = energy.fed_kwh - energy.exported_kwh
    imported = sum(float(wh.sum()) for wh in unsteered.import_wh.values()) / 1000
    assert energy.load_kwh == pytest.approx(imported + used, rel=1e-6)


def test_every_series_has_a_source_and_the_files_stay_small() -> None:
    folder = shipped("series/demo_cn")
    source = (folder / "SOURCE.md").read_text(encoding="utf-8")
    files = [file for file in Path(folder).iterdir() if file.suffix == ".csv"]

    assert len(files) == 5
    assert sum(file.stat().st_size for file in files) <= 1_000_000
    for file in files:
        assert f"`{file.name}`" in source
        header = file.read_text(encoding="utf-8").splitlines()[0].split(",")
        if file.name != "ev_sessions.csv":
            assert all(f"`{column}`" in source for column in header)
