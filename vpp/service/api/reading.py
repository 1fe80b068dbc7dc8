"""Requests become values, or a refusal that names every mistake by its path.

A body passes twice: once for what a model cannot see (a key twice, `NaN`, a tower of brackets),
once through pydantic, strictly: text is no number, a number is no time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, TypeAdapter, ValidationError

from vpp.service.api.problems import HttpRefusal
from vpp.wire import ProblemFault

MAX_BODY_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_FAULTS = 100
"""How many mistakes one answer names."""

READ_S = 15.0
"""A body that takes longer than this is given up."""

BIG_BYTES = 50_000
"""From here on a body is parsed beside the event loop."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: web.Request, adapter: TypeAdapter[M]) -> M:
    """The body as a checked model.

    Raises:
        HttpRefusal: It does not come, is no JSON, or does not fit.
        web.HTTPRequestEntityTooLarge: It has more than `MAX_BODY_BYTES`.
    """
    try:
        async with asyncio.timeout(READ_S):
            content = await request.read()
    except TimeoutError:
        raise HttpRefusal(
            f"it did not come within {READ_S:g} s",
            code="request_timeout",
            where="body",
            fix="Send it again, faster",
        ) from None
    if len(content) > BIG_BYTES:
        return await asyncio.to_thread(parse_body, content, adapter)
    return parse_body(content, adapter)


def parse_body(content: bytes, adapter: TypeAdapter[M]) -> M:
    """JSON bytes as a checked model.

    Raises:
        HttpRefusal: `malformed_json`, `duplicate_key` or `invalid_body`.
    """
    try:
        tree = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_not_finite
        )
    except (ValueError, RecursionError) as error:
        what = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise HttpRefusal(
            what, code="malformed_json", where="body", fix="Send one JSON document in UTF-8"
        ) from None
    _refuse_depth(tree)
    try:
        return adapter.validate_json(content, strict=True)
    except ValidationError as error:
        raise _unfit(error, "invalid_body", "body") from None


def read_query(query: MultiMapping[str], adapter: TypeAdapter[M]) -> M:
    """The query string as a checked model.

    Raises:
        HttpRefusal: `invalid_query`.
    """
    if twice := sorted({name for name in query if len(query.getall(name)) > 1}):
        raise HttpRefusal(
            f"{', '.join(twice)[:200]} stands twice",
            code="invalid_query",
            where="query",
            fix="Give each once",
        )
    try:
        return adapter.validate_strings(dict(query), strict=True)
    except ValidationError as error:
        raise _unfit(error, "invalid_query", "query") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise HttpRefusal(
            f"{', '.join(twice)[:200]} stands twice in one object",
            code="duplicate_key",
            where="body",
            fix="Give each key once",
        )
    return found


def _not_finite(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _refuse_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise HttpRefusal(
        f"it is nested deeper than {MAX_DEPTH} levels",
        code="malformed_json",
        where="body",
        fix="Keep to the schema",
    )


def _children(node: Any) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def _unfit(error: ValidationError, code: str, where: str) -> HttpRefusal:
    faults = [
        ProblemFault(path=_path(where, item["loc"]), what=str(item["msg"]))
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return HttpRefusal(
        f"{len(faults)} mistake{'s' if len(faults) > 1 else ''}, the first in {faults[0].path}:"
        f" {faults[0].what}",
        code=code,
        where=where,
        fix="Mend what `errors` names",
        faults=faults[:MAX_FAULTS],
    )


def _path(where: str, location: Sequence[str | int]) -> str:
    """`body.values[3].interval_start`; an unknown key is shown, but never more than 80 letters."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in location]
    return where + "".join(parts)
