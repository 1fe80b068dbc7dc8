"""What a forecaster is asked and what it answers: plain data, so that who asks need not load a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpp.model.forecast import Forecast, Scenarios
from vpp.model.horizon import Floats, Horizon
from vpp.sense.cleaning import CleaningRules
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.pasts import StoredPast
from vpp.sense.forecast.scores import Score


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainJob:
    """Learn one series: choose among `candidates` by its own past, fit, calibrate."""

    seen: StoredPast
    """What was known at any moment up to `issued_at`."""

    issued_at: datetime
    candidates: tuple[str, ...]
    """Names of models, as the park file has them, the simplest first; one alone is taken unasked."""

    horizon: timedelta
    """How far plans look: candidates are tried that far."""

    rules: CleaningRules | None
    """By which defects are taken out first; None: the series is learnt as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which model a series got, and why: goes on record."""

    series_id: str
    trained_at: datetime
    model: str
    """Name and version; empty where no candidate could learn it."""

    scores: Mapping[str, Score]
    """Of each candidate that ran, on the newest part of the series' past."""

    refused: Mapping[str, str]
    """Why each of the others could not."""

    defects: tuple[str, ...]
    """What is wrong with the series itself, in words; what was taken out was not learnt."""

    seconds: float
    """Of the training, on the wall."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """How far one series came out above its forecasts, in its unit."""

    origins: tuple[datetime, ...]
    above: Floats
    """What came less the mean, which plans go by, shape (origins, leads), NaN where not known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A choice and the model that came of it, pickled: only a forecaster's process opens it."""

    choice: Choice
    errors: Errors | None
    model: bytes | None
    """None, as `errors`, where no candidate could learn the series."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IssueJob:
    """Forecast these series from what was known at `issued_at`."""

    issued_at: datetime
    horizon: Horizon
    pasts: tuple[Past, ...]
    update: tuple[StoredPast, ...]
    """Series whose calibration is to learn first from what came since."""

    rules: Mapping[str, CleaningRules]
    """By which defects are taken out of a series; those that are not here are taken as they came."""

    others: tuple[Forecast, ...]
    """Series that are forecast elsewhere: scenarios are drawn of them too."""

    drawn: frozenset[str]
    """Series that scenarios are drawn of; those that are not forecast are left out."""

    scenarios: int
    """How many joint courses to draw; 0 for none."""

    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Issued:
    """Forecasts of the series that are learnt, and why others failed."""

    forecasts: Mapping[str, Forecast]
    failed: Mapping[str, str]
    scenarios: Scenarios | None
    """Of those of the series asked for that are in `forecasts` or `others`."""

    errors: Mapping[str, Errors]
    """Of the series whose calibration was brought up to date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """The forecaster could not answer; whoever asked goes by the seasonal baseline."""

    reason: str
