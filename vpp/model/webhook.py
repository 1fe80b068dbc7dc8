"""What a request that is signed as Standard Webhooks asks is made of: its secret, and the headers that are its own.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii

from vpp.errors import UnavailableError

PREFIX = "whsec_"

OWN_HEADERS = frozenset(
    {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-type",
        "content-length",
        "transfer-encoding",
        "host",
    }
)
"""In lower case: each stands once in a request, and we alone write it. A receiver that found two could take the
wrong one for signed."""


def key_of(secret: str, *, where: str) -> bytes:
    """The key that a secret stands for: 24 to 64 bytes, as the specification asks.

    Raises:
        UnavailableError: The secret is none; its value is not repeated.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not (secret.startswith(PREFIX) and 24 <= len(key) <= 64):
        raise UnavailableError(
            "the secret is none",
            where=f"receiver {where}",
            fix="Use whsec_ and the Base64 of 24 to 64 random bytes",
        )
    return key
