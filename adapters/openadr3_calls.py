"""Subscriptions of OpenADR 3 as they come, and notifications as they leave. Pure, both dialects.

A client may be notified only where the park file says: scheme, host and port must be one of these, over https or on
this machine, without a password in the address. So no client makes us call anything that the operator did
not name; and because the name stands in a certificate that is checked, none moves that name elsewhere either.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from adapters.openadr3_shelf import OLD_WORDS, Callback, Operation, Subscription
from adapters.openadr3_wire import Name, Version
from adapters.openadr3_written import event_object
from vpp.errors import DataError, RejectedError
from vpp.model.programme import ProgrammeEvent

_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Kind = Literal["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]
_Word = Literal["CREATE", "READ", "UPDATE", "DELETE", "POST", "GET", "PUT"]


class Wish(msgspec.Struct, omit_defaults=True):
    """Which changes of what are told where."""

    objects: Annotated[list[_Kind], msgspec.Meta(max_length=20)]
    operations: Annotated[list[_Word], msgspec.Meta(max_length=20)]
    callbackUrl: _Url  # noqa: N815 - as the wire writes it
    bearerToken: Annotated[str, msgspec.Meta(max_length=4096)] | None = None  # noqa: N815


class SubscriptionBody(msgspec.Struct, omit_defaults=True):
    """A subscription as it comes; what else stands in it is not kept."""

    clientName: Name  # noqa: N815
    objectOperations: Annotated[list[Wish], msgspec.Meta(min_length=1, max_length=10)]  # noqa: N815
    programID: Name | None = None  # noqa: N815


def read_subscription(raw: bytes) -> SubscriptionBody:
    """A subscription by its shape.

    Raises:
        DataError: It is none.
    """
    try:
        return msgspec.json.decode(raw, type=SubscriptionBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(str(error)[:300], where="subscription", fix="Keep to the schema") from None


def callbacks_of(body: SubscriptionBody, allowed: tuple[str, ...]) -> tuple[Callback, ...]:
    """What is to be told where.

    Raises:
        RejectedError: An address that the park file does not name.
    """
    return tuple(
        Callback(
            url=_allowed(wish.callbackUrl, allowed),
            objects=frozenset(wish.objects),
            operations=frozenset(
                _OPERATIONS[word] for word in wish.operations if word in _OPERATIONS
            ),
            bearer=_header_safe(wish.bearerToken),
        )
        for wish in body.objectOperations
    )


_OPERATIONS = OLD_WORDS | {one.value: one for one in Operation}


def _allowed(url: str, allowed: tuple[str, ...]) -> str:
    if url.isascii() and url.isprintable() and " " not in url and "\\" not in url:
        try:
            parts = urlsplit(url)
            plain = parts.username is None and parts.password is None and not parts.fragment
            if plain and origin_of(url) in allowed:
                return url
        except ValueError:
            pass  # no address: refused like one that is not on the list
    raise RejectedError(
        "callbackUrl is none that this client may be notified at",
        where="subscription",
        fix="Let the operator of the plant name its scheme, host and port",
    )


def origin_of(url: str) -> str:
    """Scheme, host and port. Raises ValueError where it has none."""
    parts = urlsplit(url)
    port = {"https": 443, "http": 80}.get(parts.scheme) if parts.port is None else parts.port
    if not parts.hostname or port is None:
        raise ValueError("no address of a web server")
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _header_safe(token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable()):
        raise RejectedError(
            "bearerToken is nothing that a header can carry", where="subscription", fix="Use ASCII"
        )
    return token or None


def subscription_object(one: Subscription, program_id: str, version: Version) -> dict[str, Any]:
    """A subscription without its head; its token is not told again."""
    words = {op: word for word, op in OLD_WORDS.items()}
    return {
        "clientName": one.client_name,
        "objectOperations": [
            {
                "objects": sorted(callback.objects),
                "operations": sorted(
                    words[op] if version == "3.0" else op.value for op in callback.operations
                ),
                "callbackUrl": callback.url,
            }
            for callback in one.callbacks
        ],
    } | ({} if one.program_id is None and version == "3.1" else {"programID": program_id})


def notification(operation: Operation, event: ProgrammeEvent, *, old_words: bool) -> bytes:
    """What is told of an event."""
    words = {op: word for word, op in OLD_WORDS.items()}
    return msgspec.json.encode(
        {
            "objectType": "EVENT",
            "operation": words[operation] if old_words else operation.value,
            "object": event_object(event, "3.0" if old_words else "3.1"),
        }
    )
