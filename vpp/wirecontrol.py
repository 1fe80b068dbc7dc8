"""Messages of the HTTP contract about steering: an operator's override, and how each resource is steered.

Powers are kW net injection, times ISO 8601 with a zone. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from vpp.wire import Moment, WireModel


class OverrideRequest(WireModel):
    """Take a resource in hand for a while: a power, or the bounds within which the service goes on."""

    power_kw: float | None = Field(default=None, allow_inf_nan=False)
    low_kw: float | None = Field(default=None, allow_inf_nan=False)
    """It must not be steered below; left out: as low as it can."""
    high_kw: float | None = Field(default=None, allow_inf_nan=False)
    end: Moment | None = None
    for_minutes: float | None = Field(default=None, gt=0, le=44_640, allow_inf_nan=False)
    """In place of `end`: from now on."""
    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)

    @model_validator(mode="after")
    def _says_what_and_how_long(self) -> OverrideRequest:
        if (self.power_kw is None) == (self.low_kw is None and self.high_kw is None):
            raise ValueError("give power_kw, or low_kw and high_kw (one of them at least)")
        if self.low_kw is not None and self.high_kw is not None and self.low_kw > self.high_kw:
            raise ValueError(f"low_kw {self.low_kw} is above high_kw {self.high_kw}")
        if (self.end is None) == (self.for_minutes is None):
            raise ValueError("give end or for_minutes")
        return self


class WithdrawQuery(WireModel):
    """Who takes back, or gives back, what held until now; and why."""

    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


class OverrideView(WireModel):
    """An override, and whether it holds."""

    resource_id: str
    low_kw: float
    high_kw: float
    """As `low_kw` where one power was given."""
    since: datetime
    until: datetime
    by: str
    reason: str
    state: Literal["in_force", "ended", "expired"]


class BoundsView(WireModel):
    """What one source found when its turn came, kW net injection; null where nothing bound it."""

    source: Literal["protection", "grid", "operator", "award", "strategy"]
    low_kw: float | None
    high_kw: float | None
    claims: list[str]
    """What it asked, by name."""
    wins: bool
    cuts: list[str]
    """What it did not get."""


class ResultView(WireModel):
    """What came of an instruction, as measured."""

    result: Literal["delivered", "short", "excess", "refused", "unknown"]
    command_id: str
    from_kw: float
    asked_kw: float
    measured_kw: float | None
    """Mean since its ramp should be done; null where nothing was measured."""
    reason: str


class SteeringView(WireModel):
    """How one resource is steered."""

    resource_id: str
    stage: Literal[
        "released",
        "issued",
        "unsent",
        "sent",
        "acknowledged",
        "read_back",
        "effective",
        "not_following",
        "refused",
        "expired",
    ]
    """Where its set-point stands."""
    since: datetime
    reason: str
    """Why, where it is not as it should be."""
    told_kw: float | None
    serves: str | None
    """The plan that its newest set-point serves; null where it never had one."""
    strategy_version: str | None
    """By which strategies that plan was made."""
    won_by: Literal["protection", "grid", "operator", "award", "strategy"] | None
    """Who decides; null where nothing is asked of it."""
    won_because: str
    bounds: list[BoundsView]
    """Highest source first; empty before the first cycle."""
    left_out_until: datetime | None
    """Back-off: nothing is asked of it before; null where it is in use."""
    left_out_because: Literal["bad_data", "failed_command", "not_followed"] | None
    last_result: ResultView | None
    """Of the last instruction that ended."""
    running_result: ResultView | None
    """Of the one that runs, so far."""
    override: OverrideView | None
    """The newest; null where it was never in anybody's hand."""


class ControlView(WireModel):
    """How the park is steered now."""

    now: datetime
    period_s: float
    rule: Literal["proportional", "merit_order", "equal_level", "equal_soc", "least_correction"]
    running: list[str]
    """Products of which something is awarded or called now."""
    owed_kw: float | None
    """Mean of the interval that runs; null where nothing is owed."""
    left_kw: float | None
    """Of what is owed, what nobody had room for in the newest cycle."""
    gap_kw: float | None
    """What the main meters show beyond what is expected of everybody."""
    resources: list[SteeringView]
    next: str | None = None
    """Where more stand behind the last of these: ask again with `after` it."""
