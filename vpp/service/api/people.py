"""People: over what they are reached, how each channel does, and what is on its way or was not heard."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, assert_never

from vpp.model.message import Delivered, Language, NotReached, OnItsWay, Reached, Topic
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.people.desk import Channel, Tracked
from vpp.service.plant import Plant
from vpp.wire import WireModel

MOST_SHOWN = 500


class ChannelView(WireModel):
    """A mail server, or a receiver of webhooks."""

    channel: str
    failures: int
    """Letters in a row that could not be handed over; 0 where it takes them."""
    sending: int
    """Letters that it is given now."""


class PersonView(WireModel):
    """Somebody who can be asked; where the letters go is not shown."""

    person: str
    name: str
    language: Language
    channels: list[str]
    """Empty where the market is simulated with the park: nobody is asked for what is not real."""


class MessageView(WireModel):
    """One message, the newest first; forgotten a day after its window."""

    message_id: str
    instruction: str
    person: str
    topic: Topic
    deliver_until: datetime
    state: Literal["on_its_way", "reached", "not_reached"]
    at: datetime | None
    """When somebody had it, or everybody had given up."""
    tries: int
    what: str
    """Of what failed last, or the channel that has it."""


class PeopleView(WireModel):
    now: datetime
    channels: list[ChannelView]
    persons: list[PersonView]
    messages: list[MessageView]


async def list_people(plant: Plant, call: Call[Nothing, Nothing]) -> PeopleView:
    desk = plant.people
    newest = list(desk.tracked.values())[-MOST_SHOWN:]
    return PeopleView(
        now=call.now,
        channels=[
            ChannelView(channel=one.name, failures=one.failures, sending=one.sending)
            for one in _channels(plant)
        ],
        persons=[
            PersonView(
                person=one.person_id,
                name=one.name,
                language=one.language,
                channels=[address.channel.name for address in one.addresses],
            )
            for one in desk.persons.values()
        ],
        messages=[_message(tracked) for tracked in reversed(newest)],
    )


def _channels(plant: Plant) -> list[Channel]:
    """Each once, in the order in which persons name them."""
    persons = plant.people.persons.values()
    named = [address.channel for person in persons for address in person.addresses]
    return list({channel.name: channel for channel in named}.values())


def _message(tracked: Tracked) -> MessageView:
    message = tracked.message
    state, at, what = _stands(tracked.delivered, tracked)
    return MessageView(
        message_id=message.message_id,
        instruction=message.instruction_id,
        person=message.person_id,
        topic=message.topic,
        deliver_until=message.deliver_until,
        state=state,
        at=at,
        tries=sum(errand.tries for errand in tracked.errands),
        what=what,
    )


def _stands(
    delivered: Delivered, tracked: Tracked
) -> tuple[Literal["on_its_way", "reached", "not_reached"], datetime | None, str]:
    match delivered:
        case OnItsWay():
            failed = [e.newest.what for e in tracked.errands if e.newest is not None]
            return "on_its_way", None, "; ".join(failed)[:500]
        case Reached(channel=channel, at=at):
            return "reached", at, channel
        case NotReached(what=what, at=at):
            return "not_reached", at, what
        case _:
            assert_never(delivered)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/people",
        "Who can be asked over what, how each channel does, and where each message stands",
        list_people,
        gives=PeopleView,
    ),
)
