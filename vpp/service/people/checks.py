"""What joins the section `people` of a park file: every way to a person is there, and every secret."""

from __future__ import annotations

import ssl
from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.webhook import key_of
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.people.schema import PeopleSection
from vpp.service.secretfiles import SecretSection, read_secret


def check_people(parts: Parts) -> None:
    """Whoever is named can be reached and can answer."""
    people = parts.people
    if people is None:
        return
    if people.persons and people.page is None:
        parts.fault(("people",), "there is nobody's page: give `page`, where answers come in")
    for place, person in enumerate(people.persons):
        path: KeyPath = ("people", "persons", place)
        if person.mail is None and person.webhook is None:
            parts.fault(path, "cannot be reached: give mail or webhook")
        if person.mail is not None and people.mail is None:
            parts.fault((*path, "mail"), "there is no mail server: give people.mail")
        if person.webhook is not None:
            require(parts, (*path, "webhook"), person.webhook, parts.known("receiver"), "receiver")
    _check_authorities(parts, people)
    for path, secret in _secrets(people):
        try:
            value = read_secret(secret, Path(parts.document.file).parent)
            if path[1] == "webhooks" and path[-1] == "secret":
                key_of(value, where=people.webhooks[int(path[2])].id)
        except UnavailableError as error:
            parts.fault(path, f"{error.where}: {error.what}: {error.fix}")


def _check_authorities(parts: Parts, people: PeopleSection) -> None:
    """Whom a mail server is trusted by is there, and can be read."""
    if people.mail is None or people.mail.ca is None:
        return
    file = Path(parts.document.file).parent / people.mail.ca
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:  # an SSLError is an OSError; ValueError: a zero byte
        parts.fault(("people", "mail", "ca"), f"{file} cannot be used as authorities: {error}")


def _secrets(people: PeopleSection) -> list[tuple[KeyPath, SecretSection]]:
    found: list[tuple[KeyPath, SecretSection]] = []
    if people.mail is not None and people.mail.password is not None:
        found.append((("people", "mail", "password"), people.mail.password))
    for place, one in enumerate(people.webhooks):
        path: KeyPath = ("people", "webhooks", place)
        found.append(((*path, "secret"), one.secret))
        found += [((*path, "headers", name), value) for name, value in one.headers.items()]
    return found
