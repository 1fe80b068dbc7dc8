"""What a plant keeps of its shift log: the newest entries; all of them are in the journal."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from vpp.wiredesk import HandoverView, LogEntryView

KEPT_ENTRIES = 1000
KEPT_HANDOVERS = 100


@dataclass(slots=True, kw_only=True)
class ShiftDesk:
    """Filled from the journal, oldest first."""

    entries: deque[LogEntryView] = field(default_factory=lambda: deque(maxlen=KEPT_ENTRIES))
    handovers: deque[HandoverView] = field(default_factory=lambda: deque(maxlen=KEPT_HANDOVERS))
    entry_number: int = 0
    handover_number: int = 0
