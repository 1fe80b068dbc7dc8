"""`vpp timeline`: a running service is asked for a call, its instructions and its power, and they are drawn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from vpp.errors import DataError, RejectedError, UnavailableError
from vpp.service.api.views import ParkView
from vpp.service.demandresponse.timelineplot import CallSeen, draw_timeline
from vpp.wire import Problem
from vpp.wiredr import InvitationView
from vpp.wireinstruction import InstructionsView

M = TypeVar("M", bound=BaseModel)

TIMEOUT_S = 30.0
MOST_BYTES = 50_000_000


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
        invitation=await _get(
            f"{base}/v1/markets/{quote(product, safe='')}/invitations/{quote(invitation_id, safe='')}",
            InvitationView,
        ),
        instructions=await _get(f"{base}/v1/instructions", InstructionsView),
        park=await _get(f"{base}/v1/park", ParkView),
    )


def _refusal(status: int, body: bytes, address: str) -> RejectedError:
    """What a refusal says for people: the detail of a problem with the fix that it ends with, else its beginning."""
    try:
        detail = Problem.model_validate_json(body).detail
    except ValidationError:
        detail = body[:200].decode(errors="replace")
    what, arrow, fix = detail.rpartition(" -> ")
    return RejectedError(
        f"answers {status}: {what if arrow else detail}",
        where=address,
        fix=fix if arrow else "Ask a service of this version",
    )


async def _get(address: str, kind: type[M]) -> M:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            status, body = answer.status, bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise DataError(
                        f"is more than {MOST_BYTES} bytes", where=address, fix="Ask a plant"
                    )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnavailableError(
            f"does not answer: {type(error).__name__}", where=address, fix="Start it with `vpp run`"
        ) from error
    if status != 200:
        raise _refusal(status, bytes(body), address)
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise DataError(
            "is no answer of this contract", where=address, fix="Ask a service of this version"
        ) from error
