"""Cut the demo's measured series out of the published ones: development tooling, never run by the plant.

    python tools/cut_demo_series.py RAW_FOLDER config/series/demo

RAW_FOLDER holds the published files (their names stand in the functions below; where they come
from, and under which licence, stands in `config/series/demo/SOURCE.md`). The same raw files give
the same bytes. The window is 56 local days of Europe/Stockholm, all in standard time (UTC+1):

    source          its own days (standard time)       moved by
    steel           2018-01-03 … 2018-02-27  UTC+9     whole weeks, wall clock to wall clock
    metal           2018-10-31 … 2018-12-25  UTC+1     365 weeks
    office, store   2015-10-28 … 2015-12-22  UTC+1     whole weeks
    school          2014-10-29 … 2014-12-23  UTC+1     whole weeks
    roof (PV)       2012-10-31 … 2012-12-25  UTC-7     whole weeks, standard time to standard time
    weather         2023-11-01 … 2023-12-26  UTC+1     104 weeks
    cars            2015-08-05 … 2015-09-29  local     whole weeks, wall clock to wall clock
    prices          2025-10-29 … 2025-12-23  UTC+1     not moved

Every source window begins on a Wednesday, as 2025-10-29 does, so weekday and local standard hour
agree everywhere. Nothing is scaled here but the roof, which becomes a share of its highest
quarter-hour of 2012; the park file scales.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

QUARTER = timedelta(minutes=15)
DAYS = 56
FIRST_DAY = date(2025, 10, 29)
STOCKHOLM_STANDARD = timedelta(hours=1)
START = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) - STOCKHOLM_STANDARD
STARTS = [START + i * QUARTER for i in range(DAYS * 96)]

PV_PEAK_W = 3367.93
"""Highest quarter-hour of the roof in 2012; checked against the raw file below."""

STORE_CAR_PARKS = frozenset(
    {"493904", "461655", "481066", "144857", "566549", "814002", "948590", "125372", "751082"}
)
"""Locations whose sessions the furniture store gets; all others go to the office."""

LONGEST_STAY = timedelta(hours=24)


def main(raw: Path, out: Path) -> None:
    """Write the five series."""
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
            map(stamp, STARTS),
            steel(raw),
            german_site(raw, "metal_processing_manufacturer", date(2018, 10, 31)),
            german_site(raw, "municipal_office_small", date(2015, 10, 28)),
            german_site(raw, "school_medium", date(2014, 10, 29)),
            german_site(raw, "furniture_store", date(2015, 10, 28)),
            strict=True,
        ),
    )
    write(
        out / "pv.csv",
        ["interval_start", "feed_share_of_2012_peak", "filled"],
        ((stamp(start), *value) for start, value in zip(STARTS, roof(raw), strict=True)),
    )
    write(
        out / "outdoor.csv",
        ["interval_start", "outdoor_degc"],
        zip(map(stamp, STARTS), weather(raw), strict=True),
    )
    write(
        out / "day_ahead.csv",
        ["interval_start", "se3_eur_per_mwh"],
        zip(map(stamp, STARTS), prices(raw), strict=True),
    )
    write(
        out / "ev_sessions.csv",
        ["session_id", "car_park", "arrives_local", "departs_local", "energy_kwh"],
        cars(raw),
    )


def steel(raw: Path) -> list[str]:
    """Mean kW of the steel works: energy of a quarter-hour times 4."""
    by_start = {
        datetime.fromisoformat(row["interval_start_local_kst"]): row["active_energy_kwh"]
        for row in rows(raw / "steel_gwangyang_2018" / "steel_15min_2018_jan_sep.csv.gz")
    }
    first = first_moment(date(2018, 1, 3))
    return [f"{float(by_start[first + i * QUARTER]) * 4:.2f}" for i in range(len(STARTS))]


def german_site(raw: Path, name: str, first_day: date) -> list[str]:
    """W for each MWh of yearly use, as the publisher normalised it."""
    by_start = {
        moment(row["interval_start_utc"]): row["load_w_per_1000kwh_per_year"]
        for row in rows(raw / "german_sites_15min" / f"{name}.csv.gz")
    }
    return [by_start[start + shift(first_day)] for start in STARTS]


def roof(raw: Path) -> list[tuple[str, str]]:
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
    first = first_moment(date(2012, 10, 31))
    values = []
    for i in range(len(STARTS)):
        wanted = found = first + i * QUARTER
        while found not in local:
            found -= timedelta(days=1)
        values.append((f"{local[found] / PV_PEAK_W:.4f}", "0" if found == wanted else "1"))
    return values


def weather(raw: Path) -> list[str]:
    """Quarter-hour means of a ten-minute series whose values hold from their stamp on."""
    by_start = {
        moment(row["time_utc"]): float(row["temp_air_degc"])
        for row in rows(raw / "weather_dwd_aachen" / "dwd_aachen_10min_2023.csv.gz")
    }
    means = []
    for start in STARTS:
        source = start + shift(date(2023, 11, 1))
        minutes = (source + timedelta(minutes=5 * i) for i in range(3))
        fives = [by_start[m - timedelta(minutes=m.minute % 10)] for m in minutes]
        means.append(f"{sum(fives) / 3:.2f}")
    return means


def prices(raw: Path) -> list[str]:
    """Day-ahead prices of SE3, as they were."""
    by_start = {
        moment(row["interval_start_utc"]): row["day_ahead_price_eur_per_mwh"]
        for row in rows(raw / "sweden_markets" / "se3_day_ahead_15min_2025.csv.gz")
    }
    return [by_start[start] for start in STARTS]


def cars(raw: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Sessions by arrival, without those of 0 kWh or longer than a day."""
    first = first_moment(date(2015, 8, 5))
    by_weeks = first_moment(FIRST_DAY) - first
    found = []
    for row in rows(raw / "ev_workplace_sessions" / "workplace_sessions_2014_2015.csv.gz"):
        arrives = datetime.fromisoformat(row["start_local"])
        departs = datetime.fromisoformat(row["end_local"])
        if (
            first <= arrives < first + timedelta(days=DAYS)
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


def shift(first_day: date) -> timedelta:
    """What leads from the window back to a source that keeps UTC+1; whole weeks."""
    back = first_day - FIRST_DAY
    if back.days % 7:
        raise SystemExit(f"{first_day} is another weekday than {FIRST_DAY}")
    return back


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
    if len(sys.argv) != 3:
        raise SystemExit("usage: python tools/cut_demo_series.py RAW_FOLDER OUT_FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
