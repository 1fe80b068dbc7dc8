"""A Newton step of the stores of a tree: estimates within each step, a regulator through the steps.

With the duals w of joint rows known, a store minimises, over its columns (z) and its levels (s),

    Σ_t  ½ z'D z + l'z  +  Σ_r ½ rho_r (G z + g s_t + g1 s_t-1 - r)² + h_r (G z + g s_t + g1 s_t-1)
         + ½ sigma s_t² + h_s s_t        subject to   s_t = keep s_t-1 + a'z + c_t

(D = 1/theta of its columns, sigma that of its level, rho_r of the slack of row r, l = h' - J'w). With the
level after the step put in, G^ = G + g a', g^ = g1 + g keep. The rows of a step are then to z what measurements
are to an estimate: it has the mean -theta l and the covariance theta, and each row says that G^z + g^b is
r - h/rho - g c, to a variance of 1/rho. They are taken one by one, the covariance as U d U' (Bierman 1977), in
which d is only ever multiplied by numbers between 0 and 1: nothing cancels, however tight a row is.

    f = U'G^   α_0 = 1/rho   α_j = α_j-1 + f_j² d_j    d_j <- d_j α_j-1/α_j
    U_j <- U_j - f_j/α_j-1 K   K <- K + d_j f_j U_j     gain = K/α
    zb <- zb - gain (g^ + G^zb)     kappa <- kappa + (g^ + G^zb)²/α

leave what b, the level before, does to z, and what it costs. With V(s) = ½ v s² + p s for all later steps,

    alpha = a'U d U'a    sb = keep + a'zb    gamma = 1/(1 + v alpha)    v_t-1 = sigma + kappa + sb² gamma v
    s = gamma (s0 + sb b - alpha p)    m = gamma (v (s0 + sb b) + p)    z = z0 + zb b - U d U'a m

and the duals of the rows come back in the opposite order, from eta = -a m:

    y_r = e_r/α_r - gain'eta     eta <- eta + G^y_r        e_r what the row lacked before it was taken

What a unit of w at step j does to the ports at step t < j passes through the levels between, each of which
leaves A = gamma sb of it. With the level after the step taken as one more measurement, of variance 1/v, the
covariance of z is Z; with Sigma_t = A² Sigma_t-1 + gamma alpha and K = J (zb - U d U'a gamma v sb)

    M_tj = (K_t Sigma_t-1 A_t + gamma J U d U'a) A_t+1 ... A_j-1 K_j'        M_tt = K Sigma_t-1 K' + J Z J'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.headroom.shape import Stores
from vpp.plan.programme import Ints

Factor: TypeAlias = dict[tuple[int, int], Floats]
"""What stands above the diagonal of U, where it is not 0; shape (n, T) each."""

LEAST = 1e-280
"""So that nothing is divided by nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A direction: of columns (k, n, T), levels (n, T) and slacks (m, n, T), and of the rows' duals."""

    own: Floats
    level: Floats
    slack: Floats
    chain: Floats
    rows: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regulator:
    """What one iteration's theta became; names as in the module, shapes (n, T) where nothing else is said."""

    theta: Floats
    """Of the columns, shape (k, n, T)."""

    noise: Floats
    """1/rho, shape (m, n, T)."""

    ghat: Floats
    """Shape (m, k, n, T)."""

    gain: Floats
    """Shape (m, k, n, T)."""

    spread: Floats
    """α of each row once it is taken, shape (m, n, T)."""

    asked: Floats
    """(g^ + G^zb)/α of each row before it is taken, shape (m, n, T)."""

    zb: Floats
    """Shape (k, n, T)."""

    wa: Floats
    """U d U'a, shape (k, n, T)."""

    alpha: Floats
    sb: Floats
    v: Floats
    gamma: Floats
    root: Floats
    """J U of Z, shape (P, k, n, T)."""

    d: Floats
    """Of Z, shape (k, n, T)."""


def factor(stores: Stores, theta: Floats) -> Regulator:
    """Estimates of all steps, then backward through them. `theta` is that of all columns."""
    d, noise = theta[stores.own], theta[stores.slack]
    sigma = 1.0 / theta[stores.level]
    ghat = stores.g + stores.after[:, None] * stores.a
    before = stores.before + stores.after * stores.keep
    prior, u = d.copy(), Factor()
    gains, spread, asked = np.empty_like(ghat), np.empty_like(before), np.empty_like(before)
    zb, kappa = np.zeros_like(d), np.zeros_like(sigma)
    for r in range(len(ghat)):
        gains[r], spread[r] = _taken(u, d, ghat[r], noise[r])
        lacks = before[r] + np.einsum("knt,knt->nt", ghat[r], zb)
        zb -= gains[r] * lacks
        asked[r] = lacks / spread[r]
        kappa += asked[r] * lacks
    pull = _upper(u, stores.a)
    alpha, wa = np.einsum("knt,knt->nt", d, pull**2), _lower(u, d * pull)
    sb = stores.keep + np.einsum("knt,knt->nt", stores.a, zb)
    v, gamma = np.empty_like(sigma), np.empty_like(sigma)
    for t in range(sigma.shape[1] - 1, -1, -1):
        v[:, t] = sigma[:, t]
        if t + 1 < sigma.shape[1]:
            v[:, t] += kappa[:, t + 1] + sb[:, t + 1] ** 2 * gamma[:, t + 1] * v[:, t + 1]
        gamma[:, t] = 1.0 / (1.0 + v[:, t] * alpha[:, t])
    _taken(u, d, stores.a, 1.0 / v)
    return Regulator(
        theta=prior,
        noise=noise,
        ghat=ghat,
        gain=gains,
        spread=spread,
        asked=asked,
        zb=zb,
        wa=wa,
        alpha=alpha,
        sb=sb,
        v=v,
        gamma=gamma,
        root=np.stack([_upper(u, one) for one in stores.port]),
        d=d,
    )


def _taken(u: Factor, d: Floats, g: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """The gain and α of one measurement g'z, which U and d take in; g and d have shape (k, n, T)."""
    f = _upper(u, g)
    alpha, gain = noise + LEAST, np.zeros_like(d)
    met: list[int] = []
    for j, moves in enumerate(f):
        if not moves.any():
            continue
        moved = d[j] * moves
        after = alpha + moves * moved
        d[j] *= alpha / after
        rate = moves / alpha
        for i in met:
            was = u.get((i, j))
            bent = -rate * gain[i]
            u[i, j] = bent if was is None else was + bent
            if was is not None:
                gain[i] += moved * was
        for i in range(j):
            if i not in met and (i, j) in u:
                gain[i] += moved * u[i, j]
                met.append(i)
        gain[j] += moved
        met.append(j)
        alpha = after
    return gain / alpha, alpha


def _upper(u: Factor, x: Floats) -> Floats:
    """U'x, shape (k, n, T)."""
    found = x.copy()
    for (i, j), value in u.items():
        found[j] += value * x[i]
    return found


def _lower(u: Factor, x: Floats) -> Floats:
    """U x, shape (k, n, T)."""
    found = x.copy()
    for (i, j), value in u.items():
        found[i] += value * x[j]
    return found


def answer(
    stores: Stores,
    reg: Regulator,
    *,
    own: Floats,
    level: Floats,
    slack: Floats,
    chain: Floats,
    rows: Floats,
) -> Answer:
    """The direction for h' - J'w of columns, levels and slacks, and what the chains and rows lack."""
    said = rows - slack * reg.noise - stores.after * chain
    z, lacked, bent = -reg.theta * own, np.empty_like(said), np.zeros_like(chain)
    for r in range(len(said)):
        lacked[r] = said[r] - np.einsum("knt,knt->nt", reg.ghat[r], z)
        z += reg.gain[r] * lacked[r]
        bent -= reg.asked[r] * lacked[r]
    s0 = chain + np.einsum("knt,knt->nt", stores.a, z)
    s, earlier, worth = _through(reg, s0, bent, level)
    z += reg.zb * earlier - reg.wa * worth
    eta, dual = -stores.a * worth, np.empty_like(said)
    for r in range(len(said) - 1, -1, -1):
        dual[r] = lacked[r] / reg.spread[r] - reg.asked[r] * earlier
        dual[r] -= np.einsum("knt,knt->nt", reg.gain[r], eta)
        eta += reg.ghat[r] * dual[r]
    return Answer(
        own=z,
        level=s,
        slack=-reg.noise * (slack + dual),
        chain=worth - (stores.after * dual).sum(axis=0),
        rows=dual,
    )


def _through(
    reg: Regulator, s0: Floats, bent: Floats, level: Floats
) -> tuple[Floats, Floats, Floats]:
    """The levels after each step and before it, and m: backward with p, then forward."""
    steps, passes = s0.shape[1], reg.gamma * reg.sb
    p, s = np.empty_like(s0), np.empty_like(s0)
    p[:, -1] = level[:, -1]
    added = bent + passes * reg.v * s0
    for t in range(steps - 1, 0, -1):
        p[:, t - 1] = level[:, t - 1] + added[:, t] + passes[:, t] * p[:, t]
    driven = reg.gamma * (s0 - reg.alpha * p)
    b = np.zeros(len(s0))
    for t in range(steps):
        b = driven[:, t] + passes[:, t] * b
        s[:, t] = b
    earlier = np.concatenate([np.zeros((len(s), 1)), s[:, :-1]], axis=1)
    return s, earlier, reg.gamma * (reg.v * (s0 + reg.sb * earlier) + p)


def ports(stores: Stores, reg: Regulator, some: Ints) -> Floats:
    """Σ M of some stores, shape (T·P, T·P)."""
    j = stores.port[:, :, some]
    p, _, n, steps = j.shape
    gamma, v, sb, alpha = (one[some] for one in (reg.gamma, reg.v, reg.sb, reg.alpha))
    passes = gamma * sb
    moved = np.einsum("pknt,knt->pnt", j, reg.wa[:, some])
    k = np.einsum("pknt,knt->pnt", j, reg.zb[:, some]) - moved * (gamma * v * sb)
    sigma = np.zeros((n, steps))
    for t in range(steps - 1):
        sigma[:, t + 1] = passes[:, t] ** 2 * sigma[:, t] + gamma[:, t] * alpha[:, t]
    left = k * (sigma * passes) + gamma * moved
    root = reg.root[:, :, some]
    same = np.einsum("pknt,qknt->tpq", root * reg.d[:, some], root)
    same += np.einsum("pnt,qnt->tpq", k * sigma, k)
    found, right = np.zeros((steps * p, steps * p)), np.zeros((n, steps * p))
    for t in range(steps - 1, -1, -1):
        here, later = slice(t * p, (t + 1) * p), slice((t + 1) * p, None)
        found[here, later] = left[:, :, t] @ right[:, later]
        right[:, later] *= passes[:, t, None]
        right[:, here] = k[:, :, t].T
        found[here, here] = 0.5 * same[t]
    whole: Floats = found + found.T
    return whole
