"""Names of things. All of them may enter an MQTT topic, so none holds `+ # / $` or a space."""

from __future__ import annotations

import re
from typing import NewType

from vpp.errors import DataError

ParkId = NewType("ParkId", str)
EnterpriseId = NewType("EnterpriseId", str)
ConnectionPointId = NewType("ConnectionPointId", str)
FeederId = NewType("FeederId", str)
NodeId = NewType("NodeId", str)
ResourceId = NewType("ResourceId", str)
UnitId = NewType("UnitId", str)
ProductId = NewType("ProductId", str)
PersonId = NewType("PersonId", str)

ID_PATTERN = r"^[a-z0-9-]{1,32}$"
PRODUCT_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Of market products and exclusivity groups, which people call cn.gd.spot.da.load_vpp."""
_ID = re.compile(ID_PATTERN)


def require_id(text: str, *, where: str) -> None:
    """Refuse an id that could change the meaning of a topic or a path.

    Raises:
        DataError: Not 1 to 32 of `a-z`, `0-9` and `-`.
    """
    if not _ID.fullmatch(text):
        raise DataError(
            f"{text!r} is no id", where=where, fix="Use 1 to 32 of a-z, 0-9 and the hyphen"
        )
