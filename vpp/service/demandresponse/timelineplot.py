"""A picture of one demand-response call: what the park did, what each member was asked, said and gave.

    power, and what is owed          │ invited … evaluated, as lines through all of it
    a lane a member: asked ▸ answer ▸ window, with what it promised and what the meters say

Drawn of the answers of the HTTP contract alone, so that whoever sees the plant can draw it. matplotlib is an extra,
imported only when a picture is asked for; see `planning/picture.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import ConfigError
from vpp.service.api.views import ParkView
from vpp.service.planning.picture import DEMAND, GRID, INK, MOVED, require_matplotlib
from vpp.wiredr import InvitationView
from vpp.wireinstruction import InstructionsView, InstructionView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOOD, PART, NO = "#2a9d8f", "#e0a100", "#c8453b"
ANSWERS: Mapping[str, tuple[str, str, str]] = {
    "accept": (GOOD, "o", "accepted"),
    "accept_less": (PART, "o", "accepted less"),
    "decline": (NO, "X", "declined"),
    "pass": (NO, "s", "unanswered"),
    "take_back": (DEMAND, "x", "taken back"),
    "call_off": (DEMAND, "x", "called off"),
    "remind": (INK, "^", "reminded"),
}
"""How each happening of an instruction looks, and what it is called."""

MARGIN = timedelta(minutes=20)
BAR = 0.56


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeen:
    """What three answers say of one call."""

    invitation: InvitationView
    instructions: InstructionsView
    park: ParkView

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.park.timezone)

    @property
    def members(self) -> list[str]:
        """Who takes part: those with people first."""
        nomination = self.invitation.nomination
        names = [] if nomination is None else list(nomination.shares_mw)
        return sorted(names, key=lambda name: (not self.asked(name), names.index(name)))

    def asked(self, member: str) -> list[InstructionView]:
        """Instructions to a member's people that overlap the window, the oldest first."""
        return [
            one
            for one in reversed(self.instructions.instructions)
            if one.enterprise == member
            and one.start < self.invitation.end
            and self.invitation.start < one.end
        ]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the invitation to the evaluation, or the end of the window."""
        evaluated = self.invitation.evaluation
        ends = self.invitation.end if evaluated is None else evaluated.at
        return self.invitation.received_at - MARGIN, max(ends, self.invitation.end) + MARGIN


def draw_timeline(call: CallSeen, target: Path) -> None:
    """Draw a call into a PNG file.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    members = call.members
    height = 4.2 + 0.42 * max(len(members), 3)
    figure = Figure(figsize=(13, height), dpi=110, layout="constrained")
    power, lanes = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 0.5 * max(len(members), 3)]}
    )
    _draw_power(power, call)
    _draw_lanes(lanes, call, members)
    for ax in (power, lanes):
        _draw_steps(ax, call, named=ax is power)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    _clock_axis(lanes, call)
    figure.suptitle(_title(call), color=INK)
    try:
        figure.savefig(target, format="png")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(target), fix="Name another file"
        ) from error


def _title(call: CallSeen) -> str:
    invitation = call.invitation
    owed = invitation.confirmation
    quantity = "" if owed is None else f": {owed.quantity_mw.normalize():f} MW"
    found = invitation.evaluation
    came = "" if found is None else f", {float(found.completion):.1%} delivered"
    return (
        f"demand response {invitation.invitation_id}{quantity} by {len(call.members)} members{came}"
    )


def _wall(call: CallSeen, moment: datetime) -> Any:
    """A moment on the park's clock, without a zone: what the axis counts in."""
    return moment.astimezone(call.zone).replace(tzinfo=None)


# ---------------------------------------------------------------- the park


def _draw_power(ax: Axes, call: CallSeen) -> None:
    """Measured, planned and owed power of the park over the call."""
    trace, (first, last) = call.park.trace, call.span
    inside = [k for k, moment in enumerate(trace.at) if first <= moment <= last]
    moments = [_wall(call, trace.at[k]) for k in inside]
    lines: Sequence[tuple[Sequence[float | None], dict[str, Any]]] = (
        (trace.park_kw, {"color": MOVED, "linewidth": 2, "label": "main meters"}),
        (trace.owed_kw, {"color": NO, "linewidth": 1.4, "linestyle": "--", "label": "owed"}),
    )
    for values, look in lines:
        kw = np.array([np.nan if values[k] is None else values[k] for k in inside], dtype=float)
        ax.step(moments, kw / 1000, where="post", **look)
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_ylabel("park, MW (feeding above 0)")
    ax.legend(loc="center left", framealpha=0.7, edgecolor="none", fontsize="small")


def _draw_steps(ax: Axes, call: CallSeen, *, named: bool) -> None:
    """The window as a band, the steps of the call as lines through all of it."""
    invitation = call.invitation
    ax.axvspan(
        _wall(call, invitation.start), _wall(call, invitation.end), color=MOVED, alpha=0.08, lw=0
    )
    told = [("invited", invitation.received_at)]
    told += [(f"{s.happening}ed", s.at) for s in invitation.steps if s.happening == "confirm"]
    told += [("evaluated", s.at) for s in invitation.steps[-2:] if s.happening == "evaluate"]
    for word, moment in told:
        ax.axvline(_wall(call, moment), color=INK, linewidth=0.8, linestyle=":")
        if named:
            ax.annotate(
                word,
                (_wall(call, moment), 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3),
                textcoords="offset points",
                ha="left",
                va="top",
                fontsize="small",
                color=INK,
            )


# ---------------------------------------------------------------- members


def _draw_lanes(ax: Axes, call: CallSeen, members: list[str]) -> None:
    used = set[str]()
    for row, member in enumerate(members):
        asked = call.asked(member)
        for one in asked:
            used |= _draw_instruction(ax, call, row, one)
        if not asked:
            _draw_device(ax, call, row, member)
    ax.set_yticks(range(len(members)), members)
    ax.set_ylim(len(members) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    for happening, (color, marker, word) in ANSWERS.items():
        if happening in used:
            ax.plot([], [], color=color, marker=marker, linestyle="", label=word)
    ax.plot([], [], color=INK, marker="|", markersize=11, linestyle="", label="deadline")
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.06),
        ncols=8,
        framealpha=0,
        fontsize="small",
        handletextpad=0.2,
    )


def _draw_instruction(ax: Axes, call: CallSeen, row: int, one: InstructionView) -> set[str]:
    """Asked, answered or not, and what came of it; which marks were used."""
    used, answered = set[str](), one.answer_by
    for step in one.steps:
        if step.happening not in ANSWERS:
            continue
        color, marker, _ = ANSWERS[step.happening]
        used.add(step.happening)
        size = 5 if step.happening == "remind" else 8
        ax.plot(
            [_wall(call, step.at)], [row], color=color, marker=marker, markersize=size, zorder=4
        )
        if step.happening != "remind":
            answered = step.at
    asked_at, by = _wall(call, one.made_at), _wall(call, one.answer_by)
    ax.plot([asked_at, _wall(call, answered)], [row, row], color=DEMAND, linewidth=1.4, zorder=2)
    ax.plot([by], [row], color=INK, marker="|", markersize=11, zorder=3)
    _draw_bar(ax, call, row, _bar_of(one), _share(one.delivered_kw, one.amount_kw), _words(one))
    if one.resplit is not None:
        taken = sum(one.resplit.taken_kw.values())
        count = len(one.resplit.taken_kw)
        others = "1 other" if count == 1 else f"{count} others"
        near = call.invitation.start - answered < timedelta(hours=1)  # no room before the window
        ax.annotate(
            f"{taken:.0f} kW to {others} in {one.resplit.after_s:.0f} s",
            (_wall(call, answered), row),
            xytext=(-9, 9) if near else (9, 0),
            textcoords="offset points",
            ha="right" if near else "left",
            va="center",
            fontsize="x-small",
            color=NO,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
            zorder=5,
        )
    return used


def _bar_of(one: InstructionView) -> str:
    """The colour of what came of an instruction."""
    if one.delivered_kw is None:
        return NO
    return GOOD if one.delivered_kw >= 0.9 * one.amount_kw else PART


def _share(part: float | None, whole: float) -> float:
    return 0.0 if part is None or whole <= 0 else min(max(part / whole, 0.0), 1.0)


def _words(one: InstructionView) -> str:
    if one.delivered_kw is not None:
        return f"{one.delivered_kw:.0f} of {one.amount_kw:.0f} kW"
    return f"{one.not_verified or one.state.replace('_', ' ')}, 0 of {one.amount_kw:.0f} kW"


def _draw_device(ax: Axes, call: CallSeen, row: int, member: str) -> None:
    """A member whose machines are commanded: what it had said it would bring, and what its meter shows."""
    nomination, evaluation = call.invitation.nomination, call.invitation.evaluation
    if nomination is None:
        return
    said_kw = float(nomination.shares_mw[member]) * 1000
    hours = (call.invitation.end - call.invitation.start) / timedelta(hours=1)
    found = None
    for one in [] if evaluation is None else evaluation.members:
        if one.enterprise == member:
            found = float(one.response_mwh) * 1000 / hours
    words = f"said {said_kw:.0f} kW" if found is None else f"{found:.0f} kW, had said {said_kw:.0f}"
    _draw_bar(ax, call, row, MOVED, 1.0 if found is None else _share(found, said_kw), words)


def _draw_bar(ax: Axes, call: CallSeen, row: int, color: str, share: float, words: str) -> None:
    """The window of one lane: filled as far as what was asked came, with the figures inside."""
    start, end = _wall(call, call.invitation.start), _wall(call, call.invitation.end)
    look: dict[str, Any] = {"height": BAR, "zorder": 2, "align": "center"}
    ax.barh([row], [end - start], left=[start], color=color, alpha=0.15, linewidth=0, **look)
    ax.barh([row], [(end - start) * share], left=[start], color=color, alpha=0.55, lw=0, **look)
    ax.annotate(
        words,
        (start + (end - start) / 2, row),
        ha="center",
        va="center",
        fontsize="small",
        color=INK,
        zorder=5,
    )


def _clock_axis(ax: Axes, call: CallSeen) -> None:
    from matplotlib.dates import DateFormatter, HourLocator

    first, last = call.span
    ax.set_xlim(_wall(call, first), _wall(call, last))
    hours = (last - first) / timedelta(hours=1)
    ax.xaxis.set_major_locator(HourLocator(interval=max(round(hours / 10), 1)))
    ax.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    ax.set_xlabel(f"local time, {call.park.timezone}")
