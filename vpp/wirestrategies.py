"""Messages of the HTTP contract about strategies: what runs, what would run, and what came of it.

    text ─▶ validate ─▶ preview ─▶ PUT ─▶ live from the next plan ─▶ versions ─▶ roll back
                          └─▶ shadow: beside the live ones, and scored

A *version* is a digest of a strategy file's text, stamped on plans, bids and set-points: the same text is the
same version, whoever put it there. Whoever changes a file names the version that it held.
Powers are kW net injection, costs are in the park's currency and positive where they are paid.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vpp.wire import FiniteDecimal, WireModel

MOST_TEXT = 65_536
"""Characters of a strategy file."""

StrategyText = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT)]
VersionName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Person = Annotated[str, StringConstraints(min_length=2, max_length=120)]
Why = Annotated[str, StringConstraints(min_length=3, max_length=500)]

Origin = Literal["start", "file", "put", "rollback"]
"""By the file as it lay at a start, by an edit of the file, over HTTP, or taken back from the record."""


class StrategiesRequest(WireModel):
    """A strategy file to go by from the next plan on."""

    text: StrategyText
    by: Person
    reason: Why
    based_on: VersionName
    """The version of the file that the text was made from: 409 where the file has changed since."""


class RollbackRequest(WireModel):
    """Take the text of an earlier version back."""

    to: int = Field(ge=1)
    """The number of the version, as `versions` lists it."""
    by: Person
    reason: Why
    based_on: VersionName
    """As of `StrategiesRequest`."""


class StrategiesText(WireModel):
    """A strategy file to be looked at: nothing is changed."""

    text: StrategyText


class StrategyFaultView(WireModel):
    """One thing that is wrong with a strategy file."""

    line: int
    """From 1."""
    column: int
    """From 1."""
    path: str
    """Which key, such as `strategies.0.with.least_gain_per_kwh`; empty for the file as a whole."""
    what: str


class StrategyLineView(WireModel):
    """One strategy of a file, as it is composed."""

    name: str
    use: str
    """Which file of `strategies/`."""
    priority: int | None
    """0 to 100; of two of one kind for the same place and step the higher holds there."""
    scope: str
    """In words."""
    schedule: str
    """In words."""


class VersionView(WireModel):
    """One version that was accepted, and what became of it."""

    number: int
    """Counted from 1 in the order of acceptance."""
    version: str
    origin: Origin
    by: str
    reason: str
    accepted_at: datetime
    live_from: datetime | None
    """When plans began to be made by it; null while it waits, and where another came before its turn."""
    live_until: datetime | None
    """Null while it is live, and where it never was."""
    state: Literal["waiting", "live", "was_live", "never_live", "refused"]
    """Refused: its first plan failed, and the version before made one."""
    first_plan_id: str | None
    """The first plan that it made."""
    refused_because: str | None
    """Why its first plan failed; null where it did not."""


class VersionTextView(WireModel):
    """One version with its text."""

    version: VersionView
    text: str
    changes: list[str]
    """In words, against the version that was live before it; empty for the first."""


class VersionsView(WireModel):
    """Versions on record, the newest first."""

    versions: list[VersionView]


class StrategyFileView(WireModel):
    """The file as it lies on the disk now: what is intended."""

    path: str | None
    """Null where there is none: a simulation keeps it in memory."""
    version: str
    """What `based_on` names."""
    text: str
    state: Literal["live", "waiting", "broken"]
    """Waiting: it is taken at the next plan. Broken, or refused at its first plan: the live version goes on."""
    faults: list[StrategyFaultView]


class StrategiesView(WireModel):
    """What plans are made by, what will be, and what the file says."""

    live: VersionView | None
    """Null until the first plan of a service that begins with a file it did not know."""
    live_version: str
    """What plans are made by, or will be."""
    waiting: VersionView | None
    """Taken at the next plan."""
    next_plan_at: datetime
    file: StrategyFileView
    strategies: list[StrategyLineView]
    """Of the live version, in their order."""


class ValidationView(WireModel):
    """What is wrong with a text, all of it; and what it would change."""

    valid: bool
    version: str | None
    """Null where the text has faults."""
    faults: list[StrategyFaultView]
    changes: list[str]
    """In words, against the file on the disk; empty where the text has faults."""


# ---------------------------------------------------------------- preview


class PreviewFiguresView(WireModel):
    """What a span comes to under one version."""

    cost: FiniteDecimal
    """In the park's currency, positive is paid: energy, tariffs, wear and what owners ask, stored energy's worth
    taken off. Prices that strategies alone think of are in none: both are compared by the same ones."""
    peak_import_kw: float
    """The greatest draw of the whole park in one step."""
    carbon_kgco2: float
    """Of energy drawn."""
    cycles: float | None
    """Equivalent full cycles of all storages together; null where there is none."""


class PreviewDayView(WireModel):
    """One day that was played again under both."""

    day: date
    """On the park's clock."""
    old: PreviewFiguresView
    new: PreviewFiguresView


class PreviewBacktestView(WireModel):
    """Days that are over, played again with what was known then, a plan each hour."""

    days: list[PreviewDayView]
    old: PreviewFiguresView
    """Of all days."""
    new: PreviewFiguresView
    note: str
    """From what, and what it leaves out."""


class BidChangeView(WireModel):
    """What is bid for one interval of a product under both, at the expected price; reserve as all that is offered."""

    product: str
    start: datetime
    end: datetime
    old_mw: FiniteDecimal | None
    """Net injection: positive is sold; null where nothing is bid."""
    new_mw: FiniteDecimal | None


class PreviewPlanView(WireModel):
    """The plan up to the end of tomorrow under both, made from the same picture of the park."""

    start: datetime
    end: datetime
    """The end of tomorrow's local day, or later where the live plan looks farther."""
    step_minutes: int
    old: PreviewFiguresView
    new: PreviewFiguresView
    old_kw: list[float]
    """Net injection of the park, step by step."""
    new_kw: list[float]
    bids: list[BidChangeView]
    """Those that differ, the first 400 of them."""
    bids_changed: int
    bids_compared: int


class PreviewRequest(WireModel):
    """A strategy file whose effect is asked for."""

    text: StrategyText
    backtest_days: int = Field(default=2, ge=0, le=7)
    """Whole days before now that are played again; 0: none."""


class PreviewView(WireModel):
    """A preview, and how far it is."""

    preview_id: str
    state: Literal["running", "done", "failed", "cancelled"]
    asked_at: datetime
    progress: float
    """0 to 1."""
    doing: str
    """In words."""
    old_version: str
    """The live one, or the one that waits."""
    new_version: str
    changes: list[str]
    backtest: PreviewBacktestView | None
    no_backtest: str | None
    """Why there is none."""
    plan: PreviewPlanView | None
    no_plan: str | None
    """Why there is none."""
    took_s: float
    """Wall time so far."""


# ---------------------------------------------------------------- shadow


class ShadowRequest(WireModel):
    """A strategy file to be run beside the live one: it plans and never steers."""

    text: StrategyText
    by: Person
    reason: Why


class ShadowEndRequest(WireModel):
    """Let the candidate rest."""

    by: Person
    reason: Why


class ShadowPlanView(WireModel):
    """One plan of the candidate beside the live one's, from the same picture."""

    at: datetime
    live_plan_id: str
    live_cost: FiniteDecimal | None
    shadow_cost: FiniteDecimal | None
    """Null where no plan was found."""
    bids: list[BidChangeView]
    """Those that differ, the first 400 of them."""
    bids_changed: int
    bids_compared: int
    reason: str
    """Why there is no plan; empty where there is."""


class ShadowDayView(WireModel):
    """A finished day, played again under the live version and the candidate."""

    day: date
    live: PreviewFiguresView | None
    shadow: PreviewFiguresView | None
    reason: str
    """Why there is no score; empty where there is one."""


class ShadowView(WireModel):
    """A candidate beside the live version, and its score."""

    version: str
    text: str
    by: str
    reason: str
    since: datetime
    state: Literal["running", "ended"]
    plans: int
    unsolved: int
    newest: ShadowPlanView | None
    days: list[ShadowDayView]
    """The newest first."""


class ShadowsView(WireModel):
    """The candidate that runs or ran last; null where there never was one."""

    shadow: ShadowView | None
