"""Asking a device for telemetry again: the message, for both sides of the wire.

    service ─▶ vpp/v1/{enterprise}/{site}/{device}/resend     numbers that never came
    device ─▶ …/telemetry                                      the same messages again, as far as it has them

A device that keeps no buffer need not listen. Nothing is owed: what it no longer has stays missing.
"""

from __future__ import annotations

import msgspec

RESEND = "resend"
"""The leaf of the topic."""


class ResendMessage(msgspec.Struct, frozen=True):
    """Telemetry with these numbers did not arrive. Never retained."""

    issued_at: str
    expires_at: str
    """Older requests are not answered: another one may have been since."""

    ranges: tuple[tuple[int, int], ...]
    """First and last number of each, both included."""
