"""The park file's section `people`: who can be asked, over what, and where the page is that answers come by.

    people:
      page: {url: https://…, listen: {…}}
      mail: {host: …, from: …}
      webhooks: [{id: …, url: https://…, secret: {file: …}}]
      persons: [{id: …, name: …, language: zh, mail: …, webhook: …}]

Shape and ranges; what joins them is in `checks.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from vpp.model.message import Language
from vpp.model.webhook import OWN_HEADERS
from vpp.service.listenerschema import ListenSection
from vpp.service.park.schematypes import FileName, Id, Section
from vpp.service.secretfiles import SecretSection, no_list_of_values
from vpp.service.security import is_loopback


def _kept_secret(url: str) -> str:
    """Links let their holders answer, and addresses are shown: neither is repeated where it is refused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no address") from None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ValueError("give an https address; http on this machine alone")
    if parts.username or parts.password or parts.fragment or parts.query:
        raise ValueError("leave out user, password, fragment and query")
    return url


Url = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_kept_secret)]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
Mailbox = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*"
        r"@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
    ),
]
"""What a header takes (RFC 5322, dot-atom): no point begins, ends or follows another."""


def _not_ours(name: str) -> str:
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"{name} is ours to write: leave it out")
    return name


HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$"), AfterValidator(_not_ours)
]


class PageSection(Section):
    """The page that a one-time link leads to."""

    url: Url
    """What links begin with, as people reach it: `https://park.example`; http on this machine alone."""
    listen: ListenSection
    """Where it is served; a proxy may stand before it."""


class MailSection(Section):
    """A mail server that takes our mail."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    host: HostName
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """`starttls` (587) and `implicit` (465) send nothing in the clear; `none` on this machine alone."""
    sender: Annotated[Mailbox, Field(alias="from")]
    username: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    password: SecretSection | None = None
    ca: FileName | None = None
    """Whom we trust instead of the machine's authorities, as PEM."""
    timeout_s: Annotated[float, Field(ge=1, le=120)] = 20.0
    """Of one try, from connecting to its answer."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password, or neither")
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError(f"{self.host} is not this machine: use starttls or implicit")
        return self


class WebhookSection(Section):
    """A receiver of signed requests."""

    id: Id
    url: Url
    """https, or http on this machine."""
    secret: SecretSection
    """What requests are signed with: `whsec_` and the Base64 of 24 to 64 random bytes."""
    headers: Annotated[
        dict[HeaderName, SecretSection], Field(max_length=20), BeforeValidator(no_list_of_values)
    ] = Field(default_factory=dict)
    """Sent along; values are secrets and kept elsewhere."""
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10.0


class PersonSection(Section):
    """Somebody who can be asked."""

    id: Id
    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
    """How the person is addressed."""
    language: Language
    mail: Mailbox | None = None
    webhook: Id | None = None
    """A receiver that passes it on to the person."""


class PeopleSection(Section):
    """People, and the ways to them."""

    page: PageSection | None = None
    """Needed as soon as there is anybody to ask."""
    mail: MailSection | None = None
    webhooks: Annotated[list[WebhookSection], Field(max_length=50)] = Field(default_factory=list)
    persons: Annotated[list[PersonSection], Field(max_length=1000)] = Field(default_factory=list)
