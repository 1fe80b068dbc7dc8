"""How the kernels are compiled: the one place that knows numba.

`contract, reassoc, nsz, arcp` let sums be added in lanes; `nnan` and `ninf` stay off, or the tests for NaN would
vanish. Loops run over `range(len(slice))`: an index that could be negative to numba is not vectorised. No
kernel makes or returns an array (`_nrt`): counting references took a third of the time, and most of the compiling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "_nrt": False,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}


def jit(function: Function) -> Function:
    """Compile for other kernels, who alone may call it: nothing leads in from Python, and nothing is kept."""
    compiled: Function = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(
        function
    )
    return compiled


def entry(function: Function) -> Function:
    """Compile to be called from Python, by several threads at once: the interpreter runs on meanwhile.

    What was compiled is kept in NUMBA_CACHE_DIR, if that names a folder, with all that it calls. numba looks at
    the file of the function alone: who names the folder takes another one where any other has changed.
    """
    kept = bool(numba.config.CACHE_DIR)
    compiled: Function = numba.njit(cache=kept, nogil=True, **_OPTIONS)(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def bits(typing: Any, value: Any) -> Any:
    """The 64 bits of a float as an integer.

    Of two floats that are not negative the larger has the larger bits, and a negative one has negative bits: the
    largest of many, or 0, is found in lanes, which the order of floats (with its NaN) forbids.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic  # type: ignore[untyped-decorator]
def of_bits(typing: Any, value: Any) -> Any:
    """The float with these bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build
