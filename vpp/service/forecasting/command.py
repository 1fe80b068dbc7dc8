"""`vpp forecast SERIES.csv`: one series forecast from a file, and how good its models were on it.

    read ──▶ defects out ──▶ each model tried on the newest part ──▶ one chosen ──▶ forecast
                                        └──▶ scores by lead, beside the naive models

The same code as in service: what was known at each origin, calibration by what had come before,
the choice. The file's values count as measured: each was known when its interval had ended, unless
`published_at` says that a whole day's values came out on the day before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import time, timedelta
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from vpp.errors import ConfigError, DataError, PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon
from vpp.model.resource import Panels
from vpp.model.time import isoformat
from vpp.sense.cleaning import MEASURED, Cleaned, clean
from vpp.sense.forecast.base import Model, Past, Site
from vpp.sense.forecast.choose import Chosen, Trial, as_issued, choose
from vpp.sense.forecast.pasts import CutPast
from vpp.sense.forecast.rolling import Track
from vpp.sense.forecast.scores import Score, Scores
from vpp.sense.forecast.trained import keep
from vpp.service.forecasting.models import model
from vpp.service.forecasting.schema import CleaningSection, usual_candidates
from vpp.service.park.calendars import CalendarSection, calendars
from vpp.service.park.rawtable import RawTable, Stamps, read_raw
from vpp.service.park.units import Quantity, unit_of

NAIVE = ("yesterday", "same-weekday", "mean-of-last")
"""What every other model is measured by; the least error of the three counts."""

AUTO = "auto"
KIND_OF = {
    Quantity.POWER: "power.",
    Quantity.PRICE: "price.",
    Quantity.POWER_PRICE: "price.",
    Quantity.TEMPERATURE: "outdoor.",
    Quantity.CARBON: "carbon.",
    Quantity.SHARE: "share.",
}
"""How a series is treated whose name says no kind."""

KINDS = ("power.", "net.", "available.", "arriving.", "outdoor.", "price.", "carbon.", "share.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOptions:
    """What was asked for on the command line."""

    file: Path
    series: str | None = None
    """A column's name; the first one, where left out. A name that says no kind gets one by its unit:
    `press [kW]` is forecast as `power.press`."""

    regressors: tuple[str, ...] = ()
    """Columns that explain it; they are known up to the issue, as it is."""

    model: str = AUTO
    zone: str = "UTC"
    country: str | None = None
    subdivision: str | None = None
    site: Site | None = None
    published_at: time | None = None
    stamps: Stamps = "zoned"
    """`local`: the wall clock of `zone`; `sun`: a PV series whose offset is not to be trusted."""

    cleaning: CleaningSection | None = None
    """Other rules than the usual ones for defects."""

    horizon: timedelta = timedelta(hours=48)
    window: timedelta = Trial().window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecasted:
    """What came of it."""

    past: Past
    findings: tuple[str, ...]
    """Defects that were found in the series."""

    chosen: Chosen
    track: Track
    """Of the chosen model over the scored part of the window, as it would have been issued."""

    forecast: Forecast
    asked: str
    """The model asked for: a name, or auto."""

    @property
    def best_naive(self) -> str | None:
        """The naive model with the least mean absolute error; None where none could forecast."""
        maes = {
            name: scores.overall.mae
            for name, scores in self.chosen.choice.scores.items()
            if name.partition("/")[0] in NAIVE
        }
        return min(maes, key=lambda name: maes[name], default=None)

    def document(self, *, scored: bool) -> dict[str, Any]:
        """All that there is to say, as JSON has it."""
        forecast, quantiles = self.forecast, self.forecast.quantiles
        assert quantiles is not None  # what is trained always says its spread
        choice = self.chosen.choice
        found: dict[str, Any] = {
            "series": self.past.series_id,
            "unit": self.past.unit,
            "model": forecast.model,
            "asked": self.asked,
            "findings": list(self.findings),
            "issued_at": isoformat(forecast.issued_at),
            "start": isoformat(forecast.expected.horizon.start),
            "step_minutes": forecast.expected.horizon.step / timedelta(minutes=1),
            "expected": forecast.expected.values.tolist(),
            "levels": list(LEVELS),
            "quantiles": quantiles.tolist(),
            "refused": dict(choice.refused),
        }
        if scored:
            found["best_naive"] = self.best_naive
            found["window"] = {
                "start": isoformat(choice.window.start),
                "end": isoformat(choice.window.end),
            }
            found["scores"] = {name: _scores(one) for name, one in choice.scores.items()}
        return found


def forecast_file(options: ForecastOptions) -> Forecasted:
    """Read the series, try its models, and forecast what comes after its end.

    Raises:
        ConfigError: The file, a name or an option is wrong; tells where.
        PlanError: The series is too short, or no model could forecast it.
    """
    past, findings = _read(options)
    past_at = CutPast(past=past, published_at=options.published_at)
    trial = Trial(horizon=options.horizon, window=options.window)
    candidates = _candidates(options.model, past)
    chosen = choose(candidates, past, trial, past_at=past_at)
    if options.model != AUTO:
        chosen = _fixed(chosen, candidates[-1])
    step = past.values.horizon.step
    horizon = Horizon(past.values.horizon.end, step, options.horizon // step)
    return Forecasted(
        past=past,
        findings=findings,
        chosen=chosen,
        track=as_issued(chosen.tracks[chosen.model.name], past),
        forecast=keep(chosen, past).issue(past, horizon),
        asked=options.model,
    )


def _candidates(asked: str, past: Past) -> tuple[Model, ...]:
    """The naive models before those asked for: scores are told beside theirs."""
    usual = usual_candidates(past.series_id) if asked == AUTO else (asked,)
    names = [name for name in NAIVE if name != asked]
    return tuple(_named(name) for name in (*names, *(one for one in usual if one not in names)))


def _named(name: str) -> Model:
    try:
        return model(name)
    except DataError as error:
        raise ConfigError(error.what, where="--model", fix="Name another one, or auto") from error


def _fixed(chosen: Chosen, asked: Model) -> Chosen:
    """The same trial with the model that was asked for, however it did."""
    choice = chosen.choice
    if asked.name not in chosen.tracks:
        raise PlanError(
            choice.refused[asked.name],
            where=choice.series_id,
            fix="Give a longer series, or name another model",
        )
    return replace(chosen, model=asked, choice=replace(choice, model=asked.name))


def kind_of(series_id: str, unit: str) -> str:
    """Beginning of the series ids that are alike: by the name, else by the unit."""
    for kind in KINDS:
        if series_id.startswith(kind):
            return kind
    known = unit_of(unit)
    return "" if known is None else KIND_OF[known.quantity]


# ---------------------------------------------------------------- reading


def clock_time(text: str) -> time:
    """`12:45`.

    Raises:
        ConfigError: It is none.
    """
    try:
        at = time.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no time of day", where="--published", fix="Say 12:45"
        ) from error
    return at.replace(tzinfo=None)


def cleaning_rules(given: Sequence[str]) -> CleaningSection | None:
    """`night_is_zero=yes`, `bridge_minutes=60`: keys and values as in a park file; None where none is given.

    Raises:
        ConfigError: An unknown key, or a value that it does not take.
    """
    if not given:
        return None
    pairs = {key.strip(): value.strip() for key, _, value in (one.partition("=") for one in given)}
    try:
        return CleaningSection.model_validate_strings(pairs)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{first['loc'][0]}: {first['msg']}",
            where="--clean",
            fix=f"Say KEY=VALUE with a key of {list(CleaningSection.model_fields)}",
        ) from error


def place(text: str, panels: str | None = None) -> Site:
    """`48.1,11.6` or, with metres above the sea, `48.1,11.6,520`; `panels` by tilt and azimuth, `30,180`.

    Raises:
        ConfigError: It is none, or panels do not stand so.
    """
    stand = None if panels is None else _panels(panels)
    try:
        latitude, longitude, *altitude = [float(part) for part in text.split(",")]
        return Site(
            latitude_deg=latitude,
            longitude_deg=longitude,
            altitude_m=altitude[0] if altitude else 0.0,
            panels=stand,
        )
    except (ValueError, DataError) as error:
        raise ConfigError(
            f"{text!r} is no place", where="--site", fix="Say LAT,LON: 48.1,11.6"
        ) from error


def _panels(text: str) -> Panels:
    try:
        tilt, azimuth = [float(part) for part in text.split(",")]
        return Panels(tilt_deg=tilt, azimuth_deg=azimuth)
    except (ValueError, DataError) as error:
        raise ConfigError(
            f"{text!r} is no way to stand", where="--panels", fix="Say TILT,AZIMUTH: 30,180"
        ) from error


def _read(options: ForecastOptions) -> tuple[Past, tuple[str, ...]]:
    """The past that the file tells, without its defects, and what they were."""
    calendar = _calendar(options)
    table = read_raw(options.file, calendar.zone, options.stamps)
    if options.stamps == "sun" and options.regressors:
        raise ConfigError(
            "the sun says nothing of the stamps of a regressor",
            where="--stamps",
            fix="Leave regressors out, or mend the stamps of the file",
        )
    name = options.series or next(iter(table.rows))
    raw = _column(table, name, "--series")
    unit = table.units[name].text
    kind = kind_of(name, unit)
    past = Past(
        series_id=name if name.startswith(kind) else kind + name,
        unit=unit,
        issued_at=raw.profile.horizon.end,
        values=raw.profile,
        calendar=calendar,
        regressors={one: _column(table, one, "--regressor").profile for one in options.regressors},
        site=options.site,
    )
    findings = raw.findings
    if kind in MEASURED or options.cleaning is not None:
        cleaned = clean(past.values, (options.cleaning or CleaningSection()).rules(kind))
        past, findings = replace(past, values=cleaned.profile), (*findings, *cleaned.findings)
    return past, tuple(str(one) for one in findings)


def _calendar(options: ForecastOptions) -> Calendar:
    try:
        zone = ZoneInfo(options.zone)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{options.zone!r} is no time zone", where="--zone", fix="Say Europe/Berlin"
        ) from error
    try:
        section = CalendarSection(country=options.country, subdivision=options.subdivision)
    except ValidationError as error:
        raise ConfigError(
            error.errors()[0]["msg"], where="--country", fix="Say DE, with --subdivision BY"
        ) from error
    return calendars(section, {}, zone).park


def _column(table: RawTable, name: str, where: str) -> Cleaned:
    if name not in table.rows:
        raise ConfigError(
            f"there is no column {name!r}", where=where, fix=f"Use one of {list(table.rows)}"
        )
    return table.series(name)


# ---------------------------------------------------------------- documents


def _scores(scores: Scores) -> dict[str, Any]:
    return {
        "overall": _score(scores.overall),
        "by_lead": {name: _score(one) for name, one in scores.by_lead.items()},
    }


def _score(score: Score) -> dict[str, float | None]:
    """Numbers as JSON has them: what does not exist is null."""
    return {name: value if isfinite(value) else None for name, value in asdict(score).items()}
