"""What joins the section `people` of a park file: every way to a person is there, and every secret."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
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
    for path, secret in _secrets(people):
        try:
            read_secret(secret, Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault(path, f"{error.where}: {error.what}: {error.fix}")


def _secrets(people: PeopleSection) -> list[tuple[KeyPath, SecretSection]]:
    found: list[tuple[KeyPath, SecretSection]] = []
    if people.mail is not None and people.mail.password is not None:
        found.append((("people", "mail", "password"), people.mail.password))
    for place, one in enumerate(people.webhooks):
        path: KeyPath = ("people", "webhooks", place)
        found.append(((*path, "secret"), one.secret))
        found += [((*path, "headers", name), value) for name, value in one.headers.items()]
    return found
