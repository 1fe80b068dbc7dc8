"""What a forecaster is asked and what it answers: plain data, so that who asks need not load a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from vpp.model.forecast import Forecast, Scenarios
from vpp.model.horizon import Horizon
from vpp.sense.forecast.base import Past


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainJob:
    """Learn one series: choose among `candidates` by its own past, fit, calibrate."""

    past: Past
    candidates: tuple[str, ...]
    """Names of models, as the park file has them; one alone is taken without a contest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which model a series got, and why: goes on record."""

    series_id: str
    trained_at: datetime
    model: str
    """Name and version; empty where no candidate could learn it."""

    scores: Mapping[str, float]
    """Score of each candidate that ran, smaller is better, in the unit of the series."""

    refused: Mapping[str, str]
    """Why each of the others could not."""

    seconds: float
    """Of the training, on the wall."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A choice and the model that came of it, pickled: only a forecaster's process opens it."""

    choice: Choice
    model: bytes | None
    """None where no candidate could learn the series."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IssueJob:
    """Forecast these series from what was known at `issued_at`."""

    issued_at: datetime
    horizon: Horizon
    pasts: tuple[Past, ...]
    scenarios: int
    """How many joint courses to draw; 0 for none."""

    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Issued:
    """Forecasts of the series that are learnt, and why others failed."""

    forecasts: Mapping[str, Forecast]
    failed: Mapping[str, str]
    scenarios: Scenarios | None
    """Of the series in `forecasts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """The forecaster could not answer; whoever asked goes by the seasonal baseline."""

    reason: str
