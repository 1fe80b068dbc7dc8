"""Cholesky factors of small dense matrices, side by side; a pivot that is none leaves its row out."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DROPPED

DEAD_PIVOT = 1e-14
"""A pivot below this belongs to a row that cannot move: it is left out of this step."""


def roots(matrices: Floats) -> Floats:
    """The lower Cholesky factors of matrices of shape (B, n, n)."""
    try:
        return np.asarray(np.linalg.cholesky(matrices), np.float64)
    except np.linalg.LinAlgError:
        return np.stack([careful(matrix).T for matrix in matrices])


def careful(matrix: Floats) -> Floats:
    """The upper Cholesky factor, row by row, with `DROPPED` for pivots that are too small."""
    left = matrix.copy()
    for at in range(len(left)):
        if not left[at, at] >= DEAD_PIVOT:
            left[at, at] = DROPPED
        left[at, at:] /= np.sqrt(left[at, at])
        row = left[at, at + 1 :]
        left[at + 1 :, at + 1 :] -= np.outer(row, row)
    return np.triu(left)


def twice(root: Floats, right: Floats) -> Floats:
    """(L L')^-1 of right sides of shape (B, n)."""
    half = np.linalg.solve(root, right[..., None])
    found: Floats = np.linalg.solve(root.transpose(0, 2, 1), half)[..., 0]
    return found


def inverse_of(upper: Floats) -> Floats:
    """(U'U)^-1 for U in the upper triangle of a matrix of shape (n, n); below it stands anything."""
    half, _ = lapack.dpotri(upper.T, lower=1)
    found: Floats = np.tril(half) + np.tril(half, -1).T
    return found
