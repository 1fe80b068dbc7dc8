"""What a park file says of people, with its adapters: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from adapters.smtp_mail import MailServer, SmtpMail
from adapters.webhook import Receiver, Webhook
from vpp.clock import Watch
from vpp.model.ids import PersonId
from vpp.service.park.parkfile import ParkFile
from vpp.service.people.desk import Address, Channel, PeopleDesk, Person
from vpp.service.people.schema import MailSection, PersonSection, WebhookSection
from vpp.service.secretfiles import headers_of, read_secret

MAIL = "mail"


async def open_people(file: ParkFile, clock: Watch, stack: AsyncExitStack) -> PeopleDesk:
    """Everybody who can be asked, with the channels to them, closed with `stack`.

    Where the market is simulated with the park nobody has a channel: no person is asked for what is not real.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password.
    """
    people = file.people
    channels: dict[str, Channel] = {}
    if file.trading.mode != "simulated":
        if people.mail is not None:
            channels[MAIL] = Channel(name=MAIL, port=SmtpMail(server_of(people.mail, file)))
        for one in people.webhooks:
            port = await stack.enter_async_context(Webhook(receiver_of(one, file), now=clock.now))
            channels[f"webhook-{one.id}"] = Channel(name=f"webhook-{one.id}", port=port)
    persons = [_person(one, channels) for one in people.persons]
    return PeopleDesk(
        persons={person.person_id: person for person in persons},
        page_url="" if people.page is None else people.page.url.rstrip("/"),
    )


def server_of(section: MailSection, file: ParkFile) -> MailServer:
    """A mail server as its section says."""
    secret = section.password
    return MailServer(
        host=section.host,
        port=section.port,
        tls=section.tls,
        sender=section.sender,
        sender_name=file.park.name,
        origin=file.park.park_id,
        username=section.username,
        password=str if secret is None else partial(read_secret, secret, file.folder),
        ca=None if section.ca is None else file.folder / section.ca,
        timeout_s=section.timeout_s,
    )


def receiver_of(section: WebhookSection, file: ParkFile) -> Receiver:
    """A receiver of webhooks as its section says."""
    return Receiver(
        name=section.id,
        url=section.url,
        secret=partial(read_secret, section.secret, file.folder),
        headers=partial(headers_of, section.headers, file.folder),
        timeout_s=section.timeout_s,
    )


def _person(section: PersonSection, channels: dict[str, Channel]) -> Person:
    """Of the ways that the park file names, those that are open here."""
    found = []
    if section.mail is not None and MAIL in channels:
        found.append(Address(channel=channels[MAIL], to=section.mail))
    if (receiver := channels.get(f"webhook-{section.webhook}")) is not None:
        found.append(Address(channel=receiver, to=section.id))
    return Person(
        person_id=PersonId(section.id),
        name=section.name,
        language=section.language,
        addresses=tuple(found),
    )
