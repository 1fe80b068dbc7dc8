"""The section `forecasts` of a park file: which model forecasts which series, and when it learns anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints

from vpp.sense.cleaning import MEASURED, CleaningRules, rules_for
from vpp.service.park.schematypes import Day, Hour, Minutes, Positive, Section, SeriesId

ModelName: TypeAlias = Literal[
    "yesterday",
    "same-weekday",
    "mean-of-last",
    "seasonal-baseline",
    "regression",
    "boosting",
    "ensemble",
    "clear-sky-persistence",
    "clear-sky",
    "climatology",
    "sessions",
    "lear",
]

Pattern = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.*-]{1,64}$")]


class SiteSection(Section):
    """Where something stands, for what the sun does there."""

    latitude_deg: Annotated[float, Field(ge=-90, le=90)]
    longitude_deg: Annotated[float, Field(ge=-180, le=180)]
    """East positive."""
    altitude_m: Annotated[float, Field(ge=-500, le=9000)] = 0.0


class RetrainSection(Section):
    """When models are chosen and learn anew: once a week, and when the service starts."""

    day: Day = "sun"
    hour: Hour = 3


class CleaningSection(Section):
    """What counts as a defect of a series; what is left out stays as it is usual for its kind."""

    zero_is_missing: bool | None = None
    """0 says that the reading failed."""
    night_is_zero: bool | None = None
    """The sun makes the series: where it lacks a night, it was 0."""
    bridge_minutes: Minutes | None = None
    """Gaps up to this length are filled with a straight line; none, where left out."""
    spike_ratio: Positive | None = None
    """A spike lies so many times as far from the median as 95 % of the steps do; usually 5."""
    spike_hours: Positive | None = None
    """What lasts longer is no spike; usually 2."""
    keep_spikes: bool | None = None
    """They are real, however odd; usual for prices."""
    stuck_hours: Positive | None = None
    """A meter is stuck that repeats one value for so long; usually 6."""
    stuck_ratio: Positive | None = None
    """And so many times as long as is the series' habit; usually 3."""
    keep_stuck: bool | None = None
    """A value may stand still; usual for prices."""

    def rules(self, series_id: str) -> CleaningRules:
        """The usual rules of a series' kind with what is said here."""
        given: dict[str, Any] = self.model_dump(exclude_none=True)
        if (minutes := given.pop("bridge_minutes", None)) is not None:
            given["bridge"] = timedelta(minutes=minutes)
        return replace(rules_for(series_id), **given)


class SeriesForecastSection(Section):
    """How the series whose id fits a pattern are forecast; the first entry that fits counts."""

    match: Pattern
    """A series id; `*` stands for any letters: `power.*`."""
    model: Literal["auto"] | ModelName = "auto"
    """`auto`: the best of the candidates on the series' own past."""
    candidates: Annotated[list[ModelName], Field(min_length=1)] | None = None
    """What `auto` chooses among; the usual ones of its kind, where left out."""
    regressors: list[SeriesId] = Field(default_factory=list)
    """Series that explain it and are known ahead, or are forecast themselves: a temperature."""
    site: SiteSection | None = None
    """Where left out, that of the section."""
    cleaning: CleaningSection | None = None
    """What is taken out before a model learns. Where left out, the usual rules for what meters say
    (power, net, available), and nothing for the others: who sends them looks at them."""


class ForecastsSection(Section):
    """Which models forecast, when they learn, and how long forecasts and scores are kept."""

    series: list[SeriesForecastSection] = Field(default_factory=list)
    also: list[SeriesId] = Field(default_factory=list)
    """Series that no plan needs and that are forecast all the same, once they have values."""
    site: SiteSection | None = None
    """Of the park; the clear-sky model asks for it."""
    retrain: RetrainSection = RetrainSection()
    history_days: Annotated[int, Field(ge=14, le=1100)] = 400
    """How far back models look."""
    train_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """A series that takes longer to learn is given up until the next time."""
    issue_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Forecasts that take longer are made by the seasonal baseline."""
    keep_days: Annotated[int, Field(ge=1, le=400)] = 8
    """How long each forecast is kept as it was issued."""
    keep_scores_days: Annotated[int, Field(ge=7, le=4000)] = 400

    def of(self, series_id: str) -> SeriesForecastSection:
        """The entry that counts for a series."""
        for entry in self.series:
            if fnmatchcase(series_id, entry.match):
                return entry
        return SeriesForecastSection(match="*")

    def cleaning_of(self, series_id: str) -> CleaningRules | None:
        """By which rules defects are taken out of a series; None where nothing is."""
        section = self.of(series_id).cleaning
        if section is None and not series_id.startswith(MEASURED):
            return None
        return (section or CleaningSection()).rules(series_id)

    def candidates_of(self, series_id: str) -> tuple[ModelName, ...]:
        """Names of the models that a series may get."""
        entry = self.of(series_id)
        if entry.model != "auto":
            return (entry.model,)
        return tuple(entry.candidates or usual_candidates(series_id))


USUAL: dict[str, tuple[ModelName, ...]] = {
    "power.": (
        *("same-weekday", "mean-of-last", "seasonal-baseline"),
        *("regression", "boosting", "ensemble"),
    ),
    "available.": ("yesterday", "seasonal-baseline", "clear-sky-persistence", "clear-sky"),
    "arriving.": ("same-weekday", "mean-of-last", "seasonal-baseline", "sessions"),
    "outdoor.": ("yesterday", "seasonal-baseline", "climatology"),
    "carbon.": ("yesterday", "seasonal-baseline", "climatology"),
    "price.": ("yesterday", "same-weekday", "seasonal-baseline", "lear"),
}
"""What `auto` chooses among, by the beginning of the series id."""


def usual_candidates(series_id: str) -> tuple[ModelName, ...]:
    """What `auto` chooses among where the park file does not say."""
    for beginning, names in USUAL.items():
        if series_id.startswith(beginning):
            return names
    return ("yesterday", "same-weekday", "mean-of-last", "seasonal-baseline")
