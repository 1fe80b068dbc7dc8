"""Lines, grouped bars and a bridge of amounts as SVG text, the same bytes for the same numbers.

No library: three shapes and an axis are all that reports need, and a page that is sent on must not ask
anybody for a script. Colours are classes (`series-1` …) that the page's own style knows, light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from vpp.service.pictures.scale import Scale, ticks

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 28, 26, 34
MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Series:
    """Values under one name, one for each label; NaN where there is none."""

    name: str
    values: Sequence[float]
    colour: int = 0
    """From 1 on; 0 takes that of its place."""


def lines(title: str, labels: Sequence[str], series: Sequence[Series], *, unit: str) -> str:
    """A line for each series over evenly spaced labels; a gap where a value is missing."""
    marks = ticks(value for one in series for value in one.values)
    across = Scale(0, max(len(labels) - 1, 1), LEFT, WIDTH - RIGHT)
    up = _up(marks)
    body = [_axis(marks, up, unit), _labels(labels, across)]
    for place, one in enumerate(series, start=1):
        steps, pen_down = [], False
        for k, value in enumerate(one.values):
            if not isfinite(value):
                pen_down = False
                continue
            steps.append(f"{'L' if pen_down else 'M'}{across.at(k)},{up.at(value)}")
            pen_down = True
        body.append(f'<path class="line series-{one.colour or place}" d="{"".join(steps)}"/>')
    return _svg(title, body) + _legend(series)


def bars(title: str, labels: Sequence[str], series: Sequence[Series], *, unit: str) -> str:
    """Bars side by side at each label, up or down from 0."""
    marks = ticks(value for one in series for value in one.values)
    across = Scale(-0.5, max(len(labels), 1) - 0.5, LEFT, WIDTH - RIGHT)
    up = _up(marks)
    room = 0.8 * (across.at(1) - across.at(0)) / max(len(series), 1)
    body = [_axis(marks, up, unit), _labels(labels, across)]
    for place, one in enumerate(series):
        for k, value in enumerate(one.values):
            if isfinite(value):
                left = across.at(k) + (place - len(series) / 2) * room
                told = f"{one.name}, {labels[k]}: {value:,.2f} {unit}"
                body.append(
                    _bar(
                        left,
                        room,
                        up.at(0),
                        up.at(value),
                        f"series-{one.colour or place + 1}",
                        told,
                    )
                )
    return _svg(title, body) + (_legend(series) if len(series) > 1 else "")


def bridge(title: str, amounts: Sequence[tuple[str, float]], *, unit: str) -> str:
    """How amounts lead from the first to the last, which are drawn from 0; the others hang on each other.

    planned ▇▇▇▇▇▇▇▇  forecast ▃ price ▂ …  came to ▇▇▇▇▇▇
    """
    tops, running = [], 0.0
    for place, (_, amount) in enumerate(amounts):
        before = running if 0 < place < len(amounts) - 1 else 0.0
        running = before + amount
        tops.append((before, running))
    marks = ticks(value for pair in tops for value in pair)
    across = Scale(-0.5, len(amounts) - 0.5, LEFT, WIDTH - RIGHT)
    up = _up(marks)
    room = 0.6 * (across.at(1) - across.at(0))
    labels = [label for label, _ in amounts]
    body = [_axis(marks, up, unit), _labels(labels, across)]
    for k, ((label, amount), (start, end)) in enumerate(zip(amounts, tops, strict=True)):
        whole = k in (0, len(amounts) - 1)
        look = "whole" if whole else "gain" if amount >= 0 else "loss"
        told = f"{label}: {amount:,.2f} {unit}"
        body.append(_bar(across.at(k) - room / 2, room, up.at(start), up.at(end), look, told))
    return _svg(title, body)


# ---------------------------------------------------------------- parts


def _up(marks: Sequence[float]) -> Scale:
    return Scale(marks[0], marks[-1], HEIGHT - BOTTOM, TOP)


def _axis(marks: Sequence[float], up: Scale, unit: str) -> str:
    parts = []
    for mark in marks:
        y = up.at(mark)
        look = "zero" if mark == 0 else "grid"
        parts.append(f'<line class="{look}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{mark:,g}</text>'
        )
    parts.append(f'<text class="tick" x="4" y="12">{escape(unit)}</text>')
    return "".join(parts)


def _labels(labels: Sequence[str], across: Scale) -> str:
    """As many as have room."""
    every = -(-len(labels) // MOST_LABELS) or 1
    return "".join(
        f'<text class="tick" x="{across.at(k)}" y="{HEIGHT - 12}" text-anchor="middle">{escape(label)}</text>'
        for k, label in enumerate(labels)
        if k % every == 0
    )


def _bar(left: float, width: float, start: float, end: float, look: str, told: str) -> str:
    top, height = min(start, end), abs(end - start)
    return (
        f'<rect class="{look}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}"'
        f' height="{max(height, 0.5):.1f}"><title>{escape(told)}</title></rect>'
    )


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(body)}</svg>"
    )


def _legend(series: Sequence[Series]) -> str:
    items = "".join(
        f'<li><span class="key series-{one.colour or place}"></span>{escape(one.name)}</li>'
        for place, one in enumerate(series, start=1)
    )
    return f'<ul class="legend">{items}</ul>'
