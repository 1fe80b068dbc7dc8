"""Peak rows taken out of the normal equations; a bus has one peak at most.

Row r has N_rt = share Σ counted th here in the steps of its interval (the coupling with the bus is -N). With

    1/gd_r = Σ_t share² sigma_t + th_slack,r      sigma = Σ counted th      kap = 1 / (1/th_peak + Σ gd)

the rows' matrix is diag(1/gd) + th_peak 11', and its inverse F = diag(gd) - kap gd gd'. It is used so in S,
where nothing cancels, and by substitution elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD
from vpp.plan.fleet.layout import Columns
from vpp.plan.fleet.matrix import Frame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peaks:
    """F, and what couples the rows with the bus."""

    gd: Floats
    """Shape (B, R)."""

    before: Floats
    """1/th_peak + Σ gd of the intervals before each, shape (B, R + 1); 1/kap at the end."""

    counted: Floats
    """share Σ counted th here: N at each step's interval; shape (B, T)."""

    def apply(self, right: Floats) -> Floats:
        """F of a right side of shape (B, 1, R): substitution in the Cholesky factor of diag + th_peak 11'.

        gd r - kap gd (gd'r) would be the same, but where th_peak is huge, r is nearly alike in all rows
        and the two cancel to nothing that is right.
        """
        r, gd = right[:, 0], self.gd
        here, then = self.before[:, :-1], self.before[:, 1:]
        # Sums of what stands before and after, each without its own: a difference would cancel.
        earlier = np.zeros_like(r)
        np.cumsum((gd * r)[:, :-1], axis=1, out=earlier[:, 1:])
        x = r - earlier / here
        v = x * gd / then
        after = np.zeros_like(r)
        after[:, :-1] = np.cumsum(v[:, :0:-1], axis=1)[:, ::-1]
        found: Floats = gd * (x * (here / then) - after)
        return found[:, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Left:
    """What parts and peaks leave in S."""

    diagonal: Floats
    """Shape (B, T)."""

    added: Floats
    """The vector whose square is added, shape (B, 1, T)."""


def factor_peaks(frame: Frame, th: Columns) -> tuple[Peaks, Left]:
    """Take the peak of every bus out."""
    block = frame.block
    counts, here, share = block.counts[..., None], block.here, block.share[:, 0]
    counted, slack = counts * th.part, th.slack[:, 0]
    sigma, first = counted.sum(axis=1), (counted * here).sum(axis=1)
    weighed = share**2 * sigma
    gd = 1.0 / np.maximum(slack + frame.scattered(weighed[:, None])[:, 0], DEAD)
    before = np.empty((len(gd), gd.shape[1] + 1))
    before[:, 0] = 1.0 / np.maximum(th.peak[:, 0], DEAD)
    before[:, 1:] = before[:, :1] + np.cumsum(gd, axis=1)
    coupling = share * first
    at = frame.gathered(gd[:, None])[:, 0]
    own = (counted * here**2).sum(axis=1)
    if not frame.long:
        # own - coupling² gd without cancellation: every interval has one step.
        mean = first / np.maximum(sigma, DEAD)
        spread = (counted * (here - mean[:, None]) ** 2).sum(axis=1)
        shared = at * (frame.gathered(slack[:, None])[:, 0] * own + weighed * spread)
        own = np.where(share > 0, shared, own)
    own += ((1.0 - counts) * th.part * here**2).sum(axis=1)
    added = coupling * at / np.sqrt(before[:, -1:])
    peaks = Peaks(gd=gd, before=before, counted=coupling)
    return peaks, Left(diagonal=own, added=added[:, None])


def take_off_intervals(frame: Frame, peaks: Peaks, s: Floats) -> None:
    """The part of N' F N that joins the steps of one interval, where intervals are long."""
    interval, counted = frame.block.interval[:, 0], peaks.counted
    scaled = counted * frame.gathered(peaks.gd[:, None])[:, 0]
    same = interval[:, :, None] == interval[:, None, :]
    s -= same * (counted[:, :, None] * scaled[:, None, :])
