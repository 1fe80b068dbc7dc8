"""`vpp timeline`: a running service is asked for a call, its instructions and its power, and they are drawn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from vpp.service.api.views import ParkView
from vpp.service.demandresponse.timelineplot import CallSeen, draw_timeline
from vpp.service.plantclient import ask
from vpp.wiredr import InvitationView
from vpp.wireinstruction import InstructionsView


def timeline(url: str, product: str, invitation_id: str, target: Path) -> CallSeen:
    """Ask the service at `url`, draw, and give back what was drawn.

    Raises:
        UnavailableError: It does not answer.
        RejectedError: It has no such invitation.
        DataError: It answers something else than its contract says.
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    call = asyncio.run(seen(url, product, invitation_id))
    draw_timeline(call, target)
    return call


async def seen(url: str, product: str, invitation_id: str) -> CallSeen:
    """What the service says of a call. Raises as `timeline`."""
    base = url.rstrip("/")
    return CallSeen(
        invitation=await ask(
            f"{base}/v1/markets/{quote(product, safe='')}/invitations/{quote(invitation_id, safe='')}",
            InvitationView,
        ),
        instructions=await ask(f"{base}/v1/instructions", InstructionsView),
        park=await ask(f"{base}/v1/park", ParkView),
    )
