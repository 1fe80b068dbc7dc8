r"""Tapers taken out of the normal equations: a power that the level before its step limits.

Row t of a taper is x_t + s_t e_t-1 + q_t = most_t: x is what fills its store (c) or what empties it (d), e the level
with its soft columns, q what is left free. In each step c, d and e_t-1 meet nobody else's tapers, so that with the
rows of the step held they are one small Gaussian: with theta as variances, W = th_x + th_q, phi = th_x / W,

    1/L_t-1 = 1/th_e,t-1 + Σ s²/W          what the level may still move, over the tapers of step t
    x       = -phi s e_t-1 + x',  th_x' = th_x th_q / W           what a power follows, and what it does itself

In x' and L the store's rows are a chain again, which keeps per step r_t in place of keep, and its bus sees the
level before: with b = -phi s of c and of d,

    store t   e_t - r_t e_t-1 - gain c' + loss d'                 r_t = keep + gain b_c - loss b_d
    bus t     m_t e_t-1 - c' + d'                                 m_t = b_d - b_c
    day k     Σ n_t e_t-1 + loss d'                               n_t = loss b_d

Nothing of this cancels where a taper binds (th_q is nothing) or is far away (th_q is huge). What r_t is too near to
nothing to divide by is moved a little: Newton's direction is then a little off, never what is found.

    lead    a right side z of the tapers leaves  e^ = L Σ s z / W,  x^ = phi (z - s e^)  in the other rows
    back    y = (z' - s de) / W,  z' = z - th_x eta_x,  de = L (eta_e + Σ s z' / W),  eta = A'y of the others
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Columns, Rows
from vpp.plan.fleet.matrix import Frame

LEAST_KEPT = 1e-6
"""The least that r_t is taken to be, in size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bent:
    """What tapers make of the weights of their stores; shapes (B, nS, T) but where said."""

    into: Floats
    """th_c'."""

    out: Floats
    level: Floats
    """L."""

    held: Floats
    """th_e."""

    kept: Floats
    """r_t+1, in the place of the level that it is kept of; the last one is nobody's."""

    ties: Floats
    """m_t."""

    falls: Floats
    """b_d."""

    steep: Floats
    """s, 0 where a taper is not on; shape (B, nF, T)."""

    on: Floats
    """1 where a taper is on, else 0; shape (B, nF, T)."""

    width: Floats
    """W, 1 where a taper is not on; shape (B, nF, T)."""

    moves: Floats
    """th_x, 0 where a taper is not on; shape (B, nF, T)."""

    def coupled(self, own: Floats, x: Floats) -> Floats:
        """F'x of the stores' rows with the bus's, where `own` is what c' and d' couple of each step."""
        found = own * x
        found[..., 1:] += (
            self.ties[..., 1:]
            * self.level[..., :-1]
            * (x[..., :-1] - self.kept[..., :-1] * x[..., 1:])
        )
        return found

    def spread(self, own: Floats, w: Floats) -> Floats:
        """F w, the same the other way; `w` has shape (B, 1, T)."""
        found: Floats = own * w
        moved = self.ties[..., 1:] * self.level[..., :-1] * w[..., 1:]
        found[..., :-1] += moved
        found[..., 1:] -= self.kept[..., :-1] * moved
        return found

    def stirred(self, own: Floats, d: Floats, link: Floats) -> tuple[Floats, Floats, Floats]:
        """U, m/r and the diagonal of what a bus is left: S = diagonal - Σ U_t l_t … l_j-1 (U_j iv_j + m_j/r_j).

        With F of `coupled` and p = d - L: U_t = F_tt + F_t-1,t l_t-1 = own_t - m_t l_t-1 p_t-1. The diagonal
        makes up for what the product takes of m/r there.
        """
        u, rate, diagonal = own.copy(), np.zeros_like(own), np.zeros_like(own)
        p = d - self.level
        u[..., 1:] -= self.ties[..., 1:] * link[..., :-1] * p[..., :-1]
        rate[..., 1:] = self.ties[..., 1:] / self.kept[..., :-1]
        held = self.level[..., :-1] / d[..., :-1] * p[..., :-1]
        diagonal[..., 1:] = np.square(self.ties[..., 1:]) * held
        diagonal += u * rate
        return u, rate, diagonal

    def counted(self, days: Floats, of: Ints) -> tuple[Floats, Floats, Floats]:
        """What day limits have in common with their store, with the bus, and alone but for their rests.

        `days` is loss in the steps of each limit, shape (B, nD, T), `of` its store, shape (B, nD, 1); the
        last one found has shape (B, nD).
        """
        own = self.pick(of)
        with_bus = days * own.out
        with_store = days * with_bus
        alone = with_store.sum(axis=2)
        follows = (days * own.falls)[..., 1:]
        moved = own.level[..., :-1] * follows
        with_store[..., :-1] += moved
        with_store[..., 1:] -= own.kept[..., :-1] * moved
        with_bus[..., 1:] += own.ties[..., 1:] * moved
        return with_store, with_bus, alone + (follows * moved).sum(axis=2)

    def pick(self, of: Ints) -> Bent:
        """Those of some stores of each bus, `of` of shape (B, n, 1)."""
        found = {
            name: np.take_along_axis(getattr(self, name), of, axis=1)
            for name in ("into", "out", "level", "held", "kept", "ties", "falls")
        }
        return replace(self, **found)

    def led(self, frame: Frame, right: Rows) -> Rows:
        """A right side whose tapers have left."""
        asked = right.taper * self.on
        before = self._earlier(_to_levels(frame, self.steep * asked / self.width))
        moved = self.moves / self.width * self._own(frame, asked)
        into, out = frame.fills_to @ moved, frame.empties_to @ moved
        store = right.store + frame.gain * into - frame.loss * out + frame.keep * before
        store[..., :-1] -= before[..., 1:]
        day = right.day
        if frame.block.layout.counts.days:
            counted = np.take_along_axis(out, frame.block.day_of[..., None], axis=1)
            day = day - (frame.days * counted).sum(axis=2)
        return right._replace(store=store, bus=right.bus + (into - out).sum(axis=1), day=day)

    def back(self, frame: Frame, right: Floats, store: Floats, w: Floats, day: Floats) -> Floats:
        """The duals of the tapers from those of the other rows, shape (B, nF, T)."""
        bus = w[:, None]
        taken = frame.loss * store + bus
        if frame.block.layout.counts.days:
            taken += frame.day_to @ (frame.days * day[..., None])
        priced = _of_tapers(frame, -frame.gain * store - bus, taken)
        asked = (right - self.moves * priced) * self.on
        eta = np.zeros_like(store)
        eta[..., 1:] = store[..., :-1] - (frame.keep * store)[..., 1:]
        moved = np.zeros_like(store)
        moved[..., 1:] = self.level[..., :-1] * eta[..., 1:]
        found: Floats = (self._own(frame, asked) - self.steep * _at(frame, moved)) / self.width
        return found

    def _own(self, frame: Frame, asked: Floats) -> Floats:
        """What of `asked` is left to each taper's power, asked - s e^ with e^ = L Σ s asked / W; shape (B, nF, T).

        As L (asked / th_e + s'/W' (s' asked - s asked')), the other taper of the store with a dash: where a
        taper holds its level fast, the difference would cancel.
        """
        steep = self.steep
        rate, other, theirs = (_others(frame, one) for one in (steep / self.width, steep, asked))
        own = asked / _at(frame, _before(self.held, 1.0)) + rate * (other * asked - steep * theirs)
        found: Floats = _at(frame, _before(self.level, 0.0)) * own
        return found

    def _earlier(self, pulled: Floats) -> Floats:
        """What `pulled` moves of each level, in the place of the step after it."""
        return _before(self.level * pulled, 0.0)


def bend(frame: Frame, th: Columns, level: Floats) -> Bent:
    """The weights of stores once their tapers are out; `level` is theirs with soft ones, shape (B, nS, T)."""
    block = frame.block
    moves = _of_tapers(frame, th.into, th.out)
    # A taper none of whose columns can move is none.
    on = (block.on > 0) & (moves + th.short > DEAD)
    steep, moves = np.where(on, block.steep, 0.0), np.where(on, moves, 0.0)
    width = np.where(on, moves + th.short, 1.0)
    follows = -moves / width * steep
    stiff = _to_levels(frame, np.square(steep) / width)
    free = np.where(on, th.short / width, 1.0)
    fills, empties = frame.fills_to @ follows, frame.empties_to @ follows
    kept = np.broadcast_to(frame.keep, level.shape).copy()
    following = (frame.gain * fills - frame.loss * empties)[..., 1:]
    bent = kept[..., :-1] + following
    near = (following != 0) & (np.abs(bent) < LEAST_KEPT)
    kept[..., :-1] = np.where(near, np.copysign(LEAST_KEPT, bent), bent)
    return Bent(
        into=th.into * _shares(frame.fills_to, free),
        out=th.out * _shares(frame.empties_to, free),
        level=level / (1.0 + level * stiff),
        held=level,
        kept=kept,
        ties=empties - fills,
        falls=empties,
        steep=steep,
        on=on.astype(np.float64),
        width=width,
        moves=moves,
    )


def _before(values: Floats, first: float) -> Floats:
    """What stands a step earlier, `first` in the first step."""
    found = np.full_like(values, first)
    found[..., 1:] = values[..., :-1]
    return found


def _at(frame: Frame, values: Floats) -> Floats:
    """What each taper's store has, shape (B, nF, T)."""
    return np.take_along_axis(values, frame.block.taper_of[..., None], axis=1)


def _others(frame: Frame, values: Floats) -> Floats:
    """What the other taper of each one's store has, 0 where there is none."""
    return _of_tapers(frame, frame.empties_to @ values, frame.fills_to @ values)


def _of_tapers(frame: Frame, into: Floats, out: Floats) -> Floats:
    """What each taper limits, shape (B, nF, T)."""
    return np.where(frame.block.empties[..., None] > 0, _at(frame, out), _at(frame, into))


def _to_levels(frame: Frame, values: Floats) -> Floats:
    """Sums over the tapers of each store, a step earlier: shape (B, nS, T)."""
    found = np.zeros((len(values), frame.fills_to.shape[1], values.shape[2]))
    found[..., :-1] = (frame.fills_to + frame.empties_to) @ values[..., 1:]
    return found


def _shares(members: Floats, values: Floats) -> Floats:
    """The value of each store's taper, 1 where it has none: shape (B, nS, T)."""
    none = 1.0 - members.sum(axis=2, keepdims=True)
    found: Floats = members @ values + none
    return found
