"""What the clock on the wall shows at each step of a horizon: the one place where local time comes in.

UTC   22:00 23:00 00:00 01:00 …      local   day 1 00:00 · day 1 01:00 · day 1 02:00 …
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Horizon
from vpp.model.time import EPOCH

Ints: TypeAlias = NDArray[np.int64]

_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_EPOCH_ORDINAL = EPOCH.toordinal()


def clock(horizon: Horizon, zone: ZoneInfo) -> tuple[Ints, Ints]:
    """The local day (its ordinal) and the clock time (steps since midnight) of each step.

    A clock time is counted by what the clock shows: after the spring change it skips some, after
    the autumn change it comes twice. Steps must be of whole seconds and divide a day.
    """
    step_s = horizon.step // _SECOND
    utc_s = (horizon.start - EPOCH) // _SECOND + step_s * np.arange(horizon.steps)
    day = utc_s // _DAY_S
    # Offsets change within few days only: the others are spared a look at each of their steps.
    noted = np.array(
        [_offset_s(int(one) * _DAY_S, zone) for one in range(int(day[0]), int(day[-1]) + 2)]
    )
    offset_s = noted[day - day[0]]
    for i in np.flatnonzero(offset_s != noted[day - day[0] + 1]):
        offset_s[i] = _offset_s(int(utc_s[i]), zone)
    local_s = utc_s + offset_s
    return local_s // _DAY_S + _EPOCH_ORDINAL, local_s % _DAY_S // step_s


def _offset_s(utc_s: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _SECOND
