"""Leaves whose own reach is short correct their targets once more, with the prices above held fixed (`tied`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.branch import Branch, Joints, again
from vpp.plan.fleet.newton import TIED_SHORT_OF, Iterate, Reach, Work

SHORT = 0.9
"""A reach below this is corrected."""

BEYOND = 0.3
"""How much further than a bus reaches its products are looked at."""

TIMES = 5

SPREAD = 10.0
"""Products are brought between sm / SPREAD and sm * SPREAD."""


def nudge(
    branch: Branch, joints: Joints, reach: Reach, sm: Floats, wanted: NDArray[np.bool_]
) -> Reach:
    """Better directions in `branch.work` and `branch.dy` where there are such; how far they lead.

    Args:
        branch: Leaves whose direction `newton.correct` has left in `branch.work`.
        joints: With dmu.
        reach: How far each bus's direction leads.
        sm: What products are drawn to, shape (b,).
        wanted: Whose tree allows it, shape (b,).
    """
    kept, dy = branch.work, branch.dy
    assert dy is not None
    for _ in range(TIMES):
        own = np.minimum(reach.primal, reach.dual)
        wanted = wanted & (own < SHORT)
        if not wanted.any():
            break
        tried = Work.room(*kept.dx.shape)
        _retarget(branch.at, kept, tried, np.minimum(1.0, own + BEYOND), sm)
        branch.work = tried
        dy_tried = again(branch, joints)
        found = newton.correct(branch.at, tried, TIED_SHORT_OF)
        wanted = wanted & (np.minimum(found.primal, found.dual) > own)
        for mine, theirs in (
            *((getattr(kept, name), getattr(tried, name)) for name in ("dx", "e", "f")),
            *zip(dy, dy_tried, strict=True),
        ):
            mine[wanted] = theirs[wanted]
        reach = Reach(*(np.where(wanted, b, a) for a, b in zip(reach, found, strict=True)))
    branch.work = kept
    return reach


def _retarget(at: Iterate, old: Work, new: Work, far: Floats, sm: Floats) -> None:
    """Targets of another corrector, from the direction in `old`."""
    ahead, aim = far[:, None], sm[:, None]
    new.theta[...] = old.theta
    np.divide(1.0, at.xl, out=new.il)
    np.divide(1.0, at.xu, out=new.iu)
    np.multiply(at.zl, new.il, out=new.tl)
    np.multiply(at.zu, new.iu, out=new.tu)
    # P and R of the direction, and what would bring its products into their range.
    low = (at.xl + ahead * old.dx) * (at.zl + ahead * old.e)
    high = (at.xu - ahead * old.dx) * (at.zu + ahead * old.f)
    np.add(at.zl + old.e, new.tl * old.dx, out=new.e)
    np.subtract(at.zu + old.f, new.tu * old.dx, out=new.f)
    new.e += _towards(low, aim) * new.il
    new.f += _towards(high, aim) * new.iu
    np.subtract(at.h, new.e, out=new.target)
    new.target += new.f
    np.multiply(new.theta, new.target, out=new.some)


def _towards(product: Floats, sm: Floats) -> Floats:
    moved: Floats = np.clip(product, sm / SPREAD, sm * SPREAD) - product
    return np.maximum(moved, -SPREAD * sm)
