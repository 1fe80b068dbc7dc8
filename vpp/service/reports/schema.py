"""The section `reporting` of a park file: where reports are sent, and how long an old value is told at all.

What is owed, and how often, stands in each product's market file (`reporting`, in `markets/schema.py`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from vpp.service.feeds.schema import HeaderName
from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Section
from vpp.service.secretfiles import SecretSection, no_list_of_values
from vpp.service.venues.schema import CertificateSection, TokenSection, Url


class PlatformSection(Section):
    """A platform that reports are sent to over HTTP."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,20}$")]
    url: Url
    """https, or http on this machine; `/point`, `/forecast` and `/day-plan` follow it."""
    products: Annotated[list[ProductName], Field(max_length=100)] | None = None
    """Whose reports it gets; left out: those of all products."""
    headers: Annotated[
        dict[HeaderName, SecretSection], Field(max_length=20), BeforeValidator(no_list_of_values)
    ] = Field(default_factory=dict)
    """Sent along, by name; the file says only where a value is kept: `{env: NAME}` or `{file: NAME}`."""
    token: TokenSection | None = None
    certificate: CertificateSection | None = None
    timeout_s: Annotated[float, Field(ge=0.5, le=30)] = 5.0
    longest_retry_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Between two tries while it does not answer."""
    backlog: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """So many reports that it missed are sent once it answers again, the oldest first, after what is new."""


class ReportingSection(Section):
    """Reports to dispatch centres and platforms."""

    carried_minutes: Annotated[float, Field(ge=0, le=1440)] = 30.0
    """A value that is too old is told as not topical, with its own time, for so long; then there is none."""
    platforms: Annotated[list[PlatformSection], Field(max_length=20)] = Field(default_factory=list)
