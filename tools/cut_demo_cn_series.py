"""Cut and make the series of the park `demo_cn`: development tooling only.

    python -m tools.cut_demo_cn_series RAW_FOLDER config/series/demo_cn

RAW_FOLDER holds the published files of `tools/cut_demo_series.py`, and the hourly weather of Bedford.
The same raw files give the same bytes. The window is 44 whole days of Asia/Shanghai (UTC+8, no summer
time) from Monday 2026-06-15 on. Every source is moved by whole weeks onto it, wall clock to wall clock
(the roof standard time to standard time, the weather as if Bedford kept UTC):

    source                  first day      wall clock
    steel         UTC+9     2018-06-18     Korea
    metal         UTC+2     2018-06-18     Germany in summer
    office, store UTC+2     2015-06-15     Germany in summer
    roof (PV)     UTC-7     2012-06-18     mountain standard time
    weather       UTC       2018-06-18     as published
    cars          local     2015-06-15     as published

Measured are those. MADE here, by the rules of `made_prices`, `made_heat`, `made_hydrogen` and one seed, are
the day-ahead price, the demand for heat and for hydrogen; waste heat follows the measured steel load, and
the temperature outdoors is the measured one and six degrees.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from math import exp, sin, tau
from pathlib import Path
from random import Random

QUARTER = timedelta(minutes=15)
SHANGHAI = timedelta(hours=8)
FIRST_DAY, DAYS = date(2026, 6, 15), 44
SEED = 20260615
"""Of everything that is made."""

PV_PEAK_W = 3367.93
"""Highest quarter-hour of the roof in 2012, as in `tools/cut_demo_series.py`."""

WARMER_DEGC = 6.0
"""From an English heat wave to an ordinary July in Jinan."""

WASTE_HEAT_PER_KW = 0.35
"""kW of heat that could be recovered from each kW that the furnaces draw."""

LONGEST_STAY = timedelta(hours=24)


def main(raw: Path, out: Path) -> None:
    """Write the five files."""
    out.mkdir(parents=True, exist_ok=True)
    moments = [midnight(FIRST_DAY) + k * QUARTER for k in range(DAYS * 96)]
    stamps = [f"{(m - SHANGHAI).isoformat()}Z" for m in moments]
    steel_kw = steel(raw)
    write(
        out / "loads.csv",
        [
            "interval_start",
            "steel_kw",
            "metal_w_per_mwh_year",
            "office_w_per_mwh_year",
            "furniture_w_per_mwh_year",
            "heat_kw",
            "hydrogen_kw",
        ],
        zip(
            stamps,
            (f"{kw:.2f}" for kw in steel_kw),
            german_site(raw, "metal_processing_manufacturer", date(2018, 6, 18)),
            german_site(raw, "municipal_office_small", date(2015, 6, 15)),
            german_site(raw, "furniture_store", date(2015, 6, 15)),
            made_heat(moments),
            made_hydrogen(moments),
            strict=True,
        ),
    )
    write(
        out / "generation.csv",
        ["interval_start", "feed_share_of_2012_peak", "filled", "waste_heat_kw"],
        (
            (at, share, filled, f"{WASTE_HEAT_PER_KW * kw:.2f}")
            for at, (share, filled), kw in zip(stamps, roof(raw), steel_kw, strict=True)
        ),
    )
    write(
        out / "outdoor.csv",
        ["interval_start", "outdoor_degc"],
        zip(stamps, weather(raw), strict=True),
    )
    write(
        out / "day_ahead.csv",
        ["interval_start", "sd_cny_per_mwh"],
        zip(stamps, made_prices(moments), strict=True),
    )
    write(
        out / "ev_sessions.csv",
        ["session_id", "car_park", "arrives_local", "departs_local", "energy_kwh"],
        cars(raw, date(2015, 6, 15)),
    )


# ---------------------------------------------------------------- measured


def steel(raw: Path) -> list[float]:
    """Mean kW of the steel works: energy of a quarter-hour times 4."""
    by_start = {
        datetime.fromisoformat(row["interval_start_local_kst"]).replace(tzinfo=None): row
        for row in rows(raw / "steel_gwangyang_2018" / "steel_15min_2018_jan_sep.csv.gz")
    }
    first = midnight(date(2018, 6, 18))
    return [float(by_start[first + k * QUARTER]["active_energy_kwh"]) * 4 for k in range(DAYS * 96)]


def german_site(raw: Path, name: str, first_day: date) -> list[str]:
    """W for each MWh of yearly use, by the summer clock of Germany (UTC+2)."""
    by_start = {
        utc(row["interval_start_utc"]): row["load_w_per_1000kwh_per_year"]
        for row in rows(raw / "german_sites_15min" / f"{name}.csv.gz")
    }
    first = midnight(first_day) - timedelta(hours=2)
    return [by_start[first + k * QUARTER] for k in range(DAYS * 96)]


def roof(raw: Path) -> list[tuple[str, str]]:
    """Share of the roof's highest quarter-hour of 2012, and 1 where the day before had to stand in."""
    local: dict[datetime, float] = {}
    for row in rows(raw / "pv_us_nrel" / "pvdaq_system50_ac_power_15min_2012.csv.gz"):
        if row["dst_corrected_start_utc"] and row["ac_power_w"] not in ("", "nan", "NaN"):
            at = utc(row["dst_corrected_start_utc"]) - timedelta(hours=7)
            local[at] = float(row["ac_power_w"])
    if max(local.values()) != PV_PEAK_W:
        raise SystemExit(f"the roof peaks at {max(local.values())} W, not {PV_PEAK_W} W")
    values = []
    for k in range(DAYS * 96):
        wanted = found = midnight(date(2012, 6, 18)) + k * QUARTER
        while found not in local:
            found -= timedelta(days=1)
        share = max(local[found], 0.0) / PV_PEAK_W
        values.append((f"{share:.4f}", "0" if found == wanted else "1"))
    return values


def weather(raw: Path) -> Iterator[str]:
    """Quarter-hours between hourly values, six degrees warmer."""
    name = "weather_bedford_hourly_2018_2019.csv.gz"
    by_hour = {
        utc(row["interval_start_utc"]): float(row["air_temperature_degc"])
        for row in rows(raw / "cambridge_estates" / name)
    }
    first = midnight(date(2018, 6, 18))
    for k in range(DAYS * 96):
        hour, quarter = first + timedelta(hours=k // 4), k % 4
        before, after = by_hour[hour], by_hour[hour + timedelta(hours=1)]
        yield f"{before + (after - before) * quarter / 4 + WARMER_DEGC:.2f}"


def cars(raw: Path, first_day: date) -> Iterator[tuple[str, ...]]:
    """Sessions by arrival, without those of 0 kWh or longer than a day; one car park."""
    first = midnight(first_day)
    later = midnight(FIRST_DAY) - first
    found = []
    for row in rows(raw / "ev_workplace_sessions" / "workplace_sessions_2014_2015.csv.gz"):
        arrives = datetime.fromisoformat(row["start_local"])
        departs = datetime.fromisoformat(row["end_local"])
        if (
            first <= arrives < first + timedelta(days=DAYS)
            and timedelta(0) < departs - arrives <= LONGEST_STAY
            and float(row["energy_kwh"]) > 0
        ):
            found.append((arrives, departs, row["session_id"], row["energy_kwh"]))
    for arrives, departs, session_id, kwh in sorted(found):
        yield (
            session_id,
            "campus",
            (arrives + later).isoformat(),
            (departs + later).isoformat(),
            kwh,
        )


# ---------------------------------------------------------------- made


def made_prices(moments: Sequence[datetime]) -> Iterator[str]:
    """A day-ahead price of the shape Shandong is known for, in CNY/MWh; ILLUSTRATIVE.

    320 at night, a small hill in the morning, a solar valley around noon, an evening twice as dear; each
    day its own level (sd 8 %) and depth of the valley (100 to 330), rest days 15 % below, a noise that
    remembers (sd 9), bounds -80 … 1300.
    """
    random = Random(f"{SEED}/prices")
    level, valley, noise = 1.0, 200.0, 0.0
    for moment in moments:
        if moment.hour == 0 and moment.minute == 0:
            level = random.gauss(1.0, 0.08) * (0.85 if moment.weekday() >= 5 else 1.0)
            valley = random.uniform(100.0, 330.0) + (30.0 if moment.weekday() >= 5 else 0.0)
        hour = moment.hour + moment.minute / 60
        noise = 0.85 * noise + random.gauss(0.0, 9.0) * (1 - 0.85**2) ** 0.5
        base = 320 + 60 * hill(hour, 7.5, 1.5) + 330 * hill(hour, 19.5, 2.2)
        price = level * base - valley * hill(hour, 12.5, 2.6) + noise
        yield f"{min(max(price, -80.0), 1300.0):.2f}"


def made_heat(moments: Sequence[datetime]) -> Iterator[str]:
    """Demand of the warm water network, kW; ILLUSTRATIVE.

    450 at any time (baths, tracing), 900 more in the shifts of work days (plating, washing), 300 in the
    canteens' hours, each times a noise that remembers (sd 4 %).
    """
    random, noise = Random(f"{SEED}/heat"), 0.0
    for moment in moments:
        work, hour = moment.weekday() < 6, moment.hour + moment.minute / 60
        noise = 0.9 * noise + random.gauss(0.0, 0.04) * (1 - 0.9**2) ** 0.5
        kw = 450.0 + (900 if work and 7 <= hour < 21 else 0)
        kw += 300 * (hill(hour, 11.5, 0.7) + hill(hour, 17.5, 0.7)) * work
        yield f"{kw * (1 + noise):.1f}"


def made_hydrogen(moments: Sequence[datetime]) -> Iterator[str]:
    """What lorries fill, kW of lower heating value: 480 kg (16 MWh) a work day by rule; ILLUSTRATIVE.

    Between 6 and 20 o'clock, most in the morning; 60 % on Sundays; each day its own total (sd 5 %).
    """
    random, total = Random(f"{SEED}/hydrogen"), 1.0
    for moment in moments:
        if moment.hour == 0 and moment.minute == 0:
            total = random.gauss(1.0, 0.05) * (0.6 if moment.weekday() == 6 else 1.0)
        hour = moment.hour + moment.minute / 60
        filling = 6 <= hour < 20
        kw = 1143 * (1 + 0.35 * sin(tau * (hour - 6) / 14)) if filling else 0.0
        yield f"{kw * total:.1f}"


def hill(hour: float, middle: float, width: float) -> float:
    """1 at `middle`, next to nothing three widths beside it."""
    return exp(-(((hour - middle) / width) ** 2) / 2)


# ---------------------------------------------------------------- files


def midnight(day: date) -> datetime:
    """The beginning of a day by the clock on the wall."""
    return datetime.combine(day, datetime.min.time())


def utc(text: str) -> datetime:
    """A stamp with its offset, as a naive time of UTC."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


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
        raise SystemExit("usage: python -m tools.cut_demo_cn_series RAW OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
