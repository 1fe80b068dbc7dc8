"""Cut the measured series of demo and benchmark out of the published ones: development tooling only.

    python tools/cut_demo_series.py RAW_FOLDER demo config/series/demo
    python tools/cut_demo_series.py RAW_FOLDER winter benchmarks/data/backtest

The benchmark keeps its files gzipped (`gzip -9 -n`). RAW_FOLDER holds the published files (their names
stand in the functions below; where they come from, and under which licence, stands in `SOURCE.md`
beside the series). The same raw files give the same bytes. Each window consists of whole local days of
Europe/Stockholm, all in standard time (UTC+1); the sources' own days, in their own standard time:

    source                 demo, 56 days               winter, 77 days
    steel         UTC+9    2018-01-03 … 2018-02-27     2018-01-03 … 2018-03-20
    metal         UTC+1    2018-10-31 … 2018-12-25     2018-01-03 … 2018-03-20
    office, store UTC+1    2015-10-28 … 2015-12-22     2015-01-07 … 2015-03-24
    school        UTC+1    2014-10-29 … 2014-12-23     2014-01-08 … 2014-03-25
    roof (PV)     UTC-7    2012-10-31 … 2012-12-25     2012-01-04 … 2012-03-20
    weather       UTC+1    2023-11-01 … 2023-12-26     2023-01-04 … 2023-03-21
    cars          local    2015-08-05 … 2015-09-29     2015-07-15 … 2015-09-29
    prices        UTC+1    2025-10-29 … 2025-12-23     2025-01-01 … 2025-03-18

Every source is moved by whole weeks, wall clock to wall clock (the roof standard time to standard
time), but the prices, which are not moved: weekday and local standard hour agree everywhere, since
every window begins on a Wednesday. Nothing is scaled here but the roof, which becomes a share of
its highest quarter-hour of 2012; the park file scales.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

QUARTER = timedelta(minutes=15)
STOCKHOLM_STANDARD = timedelta(hours=1)


@dataclass(frozen=True)
class Window:
    """Local days, and the first day of each source that is moved onto the first of them."""

    first_day: date
    days: int
    steel: date
    metal: date
    office: date
    store: date
    school: date
    roof: date
    weather: date
    cars: date

    @property
    def starts(self) -> list[datetime]:
        start = datetime.combine(self.first_day, datetime.min.time(), UTC) - STOCKHOLM_STANDARD
        return [start + i * QUARTER for i in range(self.days * 96)]

    def shift(self, first_day: date) -> timedelta:
        """What leads from the window back to a source that keeps UTC+1; whole weeks."""
        back = first_day - self.first_day
        if back.days % 7:
            raise SystemExit(f"{first_day} is another weekday than {self.first_day}")
        return back


WINDOWS = {
    "demo": Window(
        first_day=date(2025, 10, 29),
        days=56,
        steel=date(2018, 1, 3),
        metal=date(2018, 10, 31),
        office=date(2015, 10, 28),
        store=date(2015, 10, 28),
        school=date(2014, 10, 29),
        roof=date(2012, 10, 31),
        weather=date(2023, 11, 1),
        cars=date(2015, 8, 5),
    ),
    "winter": Window(
        first_day=date(2025, 1, 1),
        days=77,
        steel=date(2018, 1, 3),
        metal=date(2018, 1, 3),
        office=date(2015, 1, 7),
        store=date(2015, 1, 7),
        school=date(2014, 1, 8),
        roof=date(2012, 1, 4),
        weather=date(2023, 1, 4),
        cars=date(2015, 7, 15),
    ),
}

PV_PEAK_W = 3367.93
"""Highest quarter-hour of the roof in 2012; checked against the raw file below."""

STORE_CAR_PARKS = frozenset(
    {"493904", "461655", "481066", "144857", "566549", "814002", "948590", "125372", "751082"}
)
"""Locations whose sessions the furniture store gets; all others go to the office."""

LONGEST_STAY = timedelta(hours=24)


def main(raw: Path, window: Window, out: Path) -> None:
    """Write the five series."""
    stamps = list(map(stamp, window.starts))
    out.mkdir(parents=True, exist_ok=True)
    write(
        out / "loads.csv",
        [
            "interval_start",
            "steel_kw",
            "metal_w_per_mwh_year",
            "office_w_per_mwh_year",
            "school_w_per_mwh_year",
            "furniture_w_per_mwh_year",
        ],
        zip(
            stamps,
            steel(raw, window),
            german_site(raw, window, "metal_processing_manufacturer", window.metal),
            german_site(raw, window, "municipal_office_small", window.office),
            german_site(raw, window, "school_medium", window.school),
            german_site(raw, window, "furniture_store", window.store),
            strict=True,
        ),
    )
    write(
        out / "pv.csv",
        ["interval_start", "feed_share_of_2012_peak", "filled"],
        ((start, *value) for start, value in zip(stamps, roof(raw, window), strict=True)),
    )
    write(
        out / "outdoor.csv",
        ["interval_start", "outdoor_degc"],
        zip(stamps, weather(raw, window), strict=True),
    )
    write(
        out / "day_ahead.csv",
        ["interval_start", "se3_eur_per_mwh"],
        zip(stamps, prices(raw, window), strict=True),
    )
    write(
        out / "ev_sessions.csv",
        ["session_id", "car_park", "arrives_local", "departs_local", "energy_kwh"],
        cars(raw, window),
    )


def steel(raw: Path, window: Window) -> list[str]:
    """Mean kW of the steel works: energy of a quarter-hour times 4."""
    by_start = {
        datetime.fromisoformat(row["interval_start_local_kst"]): row["active_energy_kwh"]
        for row in rows(raw / "steel_gwangyang_2018" / "steel_15min_2018_jan_sep.csv.gz")
    }
    first = first_moment(window.steel)
    return [f"{float(by_start[first + i * QUARTER]) * 4:.2f}" for i in range(len(window.starts))]


def german_site(raw: Path, window: Window, name: str, first_day: date) -> list[str]:
    """W for each MWh of yearly use, as the publisher normalised it."""
    by_start = {
        moment(row["interval_start_utc"]): row["load_w_per_1000kwh_per_year"]
        for row in rows(raw / "german_sites_15min" / f"{name}.csv.gz")
    }
    return [by_start[start + window.shift(first_day)] for start in window.starts]


def roof(raw: Path, window: Window) -> list[tuple[str, str]]:
    """Share of the roof's highest quarter-hour, and 1 where it was filled.

    A gap takes the value of the same quarter-hour of the nearest earlier day that has one.
    """
    local: dict[datetime, float] = {}
    peak = 0.0
    for row in rows(raw / "pv_us_nrel" / "pvdaq_system50_ac_power_15min_2012.csv.gz"):
        if not row["dst_corrected_start_utc"] or row["ac_power_w"] in ("", "nan", "NaN"):
            continue
        mountain_standard = moment(row["dst_corrected_start_utc"]) - timedelta(hours=7)
        local[mountain_standard.replace(tzinfo=None)] = float(row["ac_power_w"])
        peak = max(peak, float(row["ac_power_w"]))
    if peak != PV_PEAK_W:
        raise SystemExit(f"the raw file peaks at {peak} W, not {PV_PEAK_W} W: another file?")
    first = first_moment(window.roof)
    values = []
    for i in range(len(window.starts)):
        wanted = found = first + i * QUARTER
        while found not in local:
            found -= timedelta(days=1)
        values.append((f"{local[found] / PV_PEAK_W:.4f}", "0" if found == wanted else "1"))
    return values


def weather(raw: Path, window: Window) -> list[str]:
    """Quarter-hour means of a ten-minute series whose values hold from their stamp on."""
    by_start = {
        moment(row["time_utc"]): float(row["temp_air_degc"])
        for row in rows(raw / "weather_dwd_aachen" / "dwd_aachen_10min_2023.csv.gz")
    }
    means = []
    for start in window.starts:
        source = start + window.shift(window.weather)
        minutes = (source + timedelta(minutes=5 * i) for i in range(3))
        fives = [by_start[m - timedelta(minutes=m.minute % 10)] for m in minutes]
        means.append(f"{sum(fives) / 3:.2f}")
    return means


def prices(raw: Path, window: Window) -> list[str]:
    """Day-ahead prices of SE3, as they were."""
    by_start = {
        moment(row["interval_start_utc"]): row["day_ahead_price_eur_per_mwh"]
        for row in rows(raw / "sweden_markets" / "se3_day_ahead_15min_2025.csv.gz")
    }
    return [by_start[start] for start in window.starts]


def cars(raw: Path, window: Window) -> Iterator[tuple[str, str, str, str, str]]:
    """Sessions by arrival, without those of 0 kWh or longer than a day."""
    first = first_moment(window.cars)
    by_weeks = first_moment(window.first_day) - first
    found = []
    for row in rows(raw / "ev_workplace_sessions" / "workplace_sessions_2014_2015.csv.gz"):
        arrives = datetime.fromisoformat(row["start_local"])
        departs = datetime.fromisoformat(row["end_local"])
        if (
            first <= arrives < first + timedelta(days=window.days)
            and timedelta(0) < departs - arrives <= LONGEST_STAY
            and float(row["energy_kwh"]) > 0
        ):
            park = "store" if row["location_id"] in STORE_CAR_PARKS else "office"
            found.append((arrives, departs, row["session_id"], park, row["energy_kwh"]))
    for arrives, departs, session_id, park, energy_kwh in sorted(found):
        yield (
            session_id,
            park,
            (arrives + by_weeks).isoformat(),
            (departs + by_weeks).isoformat(),
            energy_kwh,
        )


def first_moment(day: date) -> datetime:
    """Local midnight as a naive wall-clock time."""
    return datetime.combine(day, datetime.min.time())


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def stamp(start: datetime) -> str:
    return start.isoformat().replace("+00:00", "Z")


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write(path: Path, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in WINDOWS:
        raise SystemExit(f"usage: python tools/cut_demo_series.py RAW {'|'.join(WINDOWS)} OUT")
    main(Path(sys.argv[1]), WINDOWS[sys.argv[2]], Path(sys.argv[3]))
