"""A running service is asked over its own HTTP contract: what commands of people speak by."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from vpp.errors import DataError, RejectedError, UnavailableError
from vpp.wire import Problem

M = TypeVar("M", bound=BaseModel)

TIMEOUT_S = 30.0
MOST_BYTES = 50_000_000


async def ask(
    address: str,
    kind: type[M],
    *,
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET",
    body: BaseModel | None = None,
) -> M:
    """What the service at `address` answers.

    Raises:
        UnavailableError: It does not answer.
        RejectedError: It refuses; each fault that it tells stands in a line of its own.
        DataError: It answers something else than its contract says.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                method,
                address,
                data=None if body is None else body.model_dump_json(),
                headers={} if body is None else {"Content-Type": "application/json"},
                allow_redirects=False,
            ) as answer,
        ):
            status, content = answer.status, bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                content += chunk
                if len(content) > MOST_BYTES:
                    raise DataError(
                        f"is more than {MOST_BYTES} bytes", where=address, fix="Ask a plant"
                    )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnavailableError(
            f"does not answer: {type(error).__name__}", where=address, fix="Start it with `vpp run`"
        ) from error
    if status != 200:
        raise _refusal(status, bytes(content), address)
    try:
        return kind.model_validate_json(bytes(content))
    except ValidationError as error:
        raise DataError(
            "is no answer of this contract", where=address, fix="Ask a service of this version"
        ) from error


def _refusal(status: int, body: bytes, address: str) -> RejectedError:
    """What a refusal says for people: the detail of a problem with the fix that it ends with, else its beginning."""
    try:
        problem = Problem.model_validate_json(body)
        detail = problem.detail
        if problem.errors:
            told = "".join(f"\n  {one.path}: {one.what}" for one in problem.errors)
            return RejectedError(f"refuses:{told}", where=address, fix="Mend these")
    except ValidationError:
        detail = body[:200].decode(errors="replace")
    what, arrow, fix = detail.rpartition(" -> ")
    return RejectedError(
        f"answers {status}: {what if arrow else detail}",
        where=address,
        fix=fix if arrow else "Ask a service of this version",
    )
