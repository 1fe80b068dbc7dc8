"""Cut the series of `benchmarks/forecast.py` out of the published ones: development tooling.

    python tools/cut_forecast_series.py RAW_FOLDER benchmarks/data/forecast

RAW_FOLDER holds the published files (their names stand below; where they come from, and under which
licence, stands in `benchmarks/data/forecast/SOURCE.md`). The same raw files give the same bytes.

A file is one grid: its first line names when it starts, and its step; its rows are the steps without
stamps, which would be half of its size. An empty cell says "not known".
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path

QUARTER, HALF_HOUR, HOUR = (timedelta(minutes=m) for m in (15, 30, 60))

GERMAN_SITES = {
    "metal": "metal_processing_manufacturer",
    "office": "municipal_office_small",
    "school": "school_medium",
    "furniture": "furniture_store",
}


def main(raw: Path, out: Path) -> None:
    """Write every file."""
    out.mkdir(parents=True, exist_ok=True)
    steel(raw, out)
    for name, file in GERMAN_SITES.items():
        by_start = column(
            raw / "german_sites_15min" / f"{file}.csv.gz", "load_w_per_1000kwh_per_year"
        )
        grid(out / f"{name}.csv.gz", QUARTER, {"w_per_mwh_year": by_start})
    cambridge(raw, out)
    nord_pool(raw, out)
    pv(raw, out)
    cars(raw, out)
    carbon = raw / "gb_carbon_intensity" / "gb_carbon_intensity_hourly_2018_2019.csv.gz"
    grid(
        out / "carbon.csv.gz",
        HOUR,
        {"kgco2_per_kwh": column(carbon, "carbon_intensity_kgco2_per_kwh")},
    )
    wind = raw / "wind_kelmarsh_2019" / "kelmarsh2_hourly_2019_jan_aug.csv.gz"
    grid(out / "wind.csv.gz", HOUR, {"kw": column(wind, "energy_export_kwh")})


def steel(raw: Path, out: Path) -> None:
    """Mean kW: the energy of a quarter-hour times 4."""
    kwh = column(
        raw / "steel_gwangyang_2018" / "steel_15min_2018_jan_sep.csv.gz", "active_energy_kwh"
    )
    grid(out / "steel.csv.gz", QUARTER, {"kw": {at: f"{float(x) * 4:g}" for at, x in kwh.items()}})


def cambridge(raw: Path, out: Path) -> None:
    """Ten buildings (a reading of 0 is a missing one, says the publisher) and Bedford's weather."""
    folder = raw / "cambridge_estates"
    file = folder / "electricity_hourly_2018_2019.csv.gz"
    names = [name for name in header(file) if name.endswith("_elec_kwh")]
    grid(
        out / "cambridge.csv.gz",
        HOUR,
        {
            f"{name.removesuffix('_elec_kwh')}_kw": {
                at: "" if float(x) == 0 else x for at, x in column(file, name).items()
            }
            for name in names
        },
    )
    weather = folder / "weather_bedford_hourly_2018_2019.csv.gz"
    grid(out / "bedford.csv.gz", HOUR, {"outdoor_degc": column(weather, "air_temperature_degc")})


def nord_pool(raw: Path, out: Path) -> None:
    """Prices with the forecasts of load and wind that were published the day before."""
    file = raw / "epf_forecast_benchmark" / "np_price_and_exogenous_hourly_2013_2018.csv.gz"
    names = {
        "price_eur_per_mwh": "price_eur_per_mwh",
        "load_forecast_mw": "grid_load_forecast_mw",
        "wind_forecast_mw": "wind_power_forecast_mw",
    }
    grid(
        out / "nord_pool.csv.gz",
        HOUR,
        {ours: column(file, theirs, at="market_local_hour") for ours, theirs in names.items()},
    )


def pv(raw: Path, out: Path) -> None:
    """The roof by its corrected stamps; what its weather file says of it, at half-hours."""
    folder = raw / "pv_us_nrel"
    power = column(
        folder / "pvdaq_system50_ac_power_15min_2012.csv.gz",
        "ac_power_w",
        at="dst_corrected_start_utc",
    )
    watts = {at: "" if x in ("", "nan", "NaN") else f"{float(x):g}" for at, x in power.items()}
    grid(out / "pv.csv.gz", QUARTER, {"ac_power_w": watts})
    weather = folder / "pvdaq_system50_nsrdb_weather_30min_2012.csv.gz"
    names = {"outdoor_degc": "temp_air_degc", "ghi_w_per_m2": "ghi_w_per_m2"}
    grid(
        out / "pv_weather.csv.gz",
        HALF_HOUR,
        {ours: column(weather, theirs, at="time_utc") for ours, theirs in names.items()},
    )


def cars(raw: Path, out: Path) -> None:
    """Charging sessions by arrival; none is left out."""
    sessions = sorted(
        (row["start_local"], row["end_local"], row["location_id"], row["energy_kwh"])
        for row in rows(raw / "ev_workplace_sessions" / "workplace_sessions_2014_2015.csv.gz")
    )
    write(out / "ev_sessions.csv.gz", ["arrives_local", "departs_local", "site", "kwh"], sessions)


def column(path: Path, name: str, *, at: str = "interval_start_utc") -> dict[datetime, str]:
    """One column as it stands, by its stamps. Rows without a stamp are left out."""
    return {moment(row[at]): row[name] for row in rows(path) if row[at]}


def header(path: Path) -> list[str]:
    return list(next(rows(path)))


def moment(text: str) -> datetime:
    """A stamp in UTC; a wall clock without a zone stands for itself."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def grid(path: Path, step: timedelta, columns: Mapping[str, Mapping[datetime, str]]) -> None:
    """Write every step from the first stamp to the last one, empty where a column has none."""
    first = min(min(one) for one in columns.values())
    last = max(max(one) for one in columns.values())
    for name, one in columns.items():
        if off := [at for at in one if (at - first) % step]:
            raise SystemExit(f"{path.name} {name}: {off[0]} is off the grid of {step}")
    starts = (first + i * step for i in range((last - first) // step + 1))
    stamp = first.isoformat().replace("+00:00", "Z")
    write(
        path,
        [f"from {stamp} every {step // timedelta(minutes=1)} min"],
        ([one.get(at, "") for one in columns.values()] for at in starts),
        names=list(columns),
    )


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write(
    path: Path,
    head: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Write CSV, packed without a time stamp of its own."""
    packed = BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as file,
        TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(head)
        if names is not None:
            writer.writerow(names)
        writer.writerows(lines)
    path.write_bytes(packed.getvalue())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python tools/cut_forecast_series.py RAW_FOLDER OUT_FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
