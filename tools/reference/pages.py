"""What each page of the reference holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from tools.reference.commands import commands_page
from tools.reference.events import events_page
from tools.reference.metrics import metrics_page
from tools.reference.packages import packages_page
from tools.reference.routes import routes_page
from tools.reference.tables import Schema, sections
from vpp.service.park.schemas import SCHEMAS

MADE = "<!-- made by `python -m tools.reference`: do not edit -->\n"
FILES = {
    "park": ("The park file", "What it is for is told in [the park file](../park-file.md)."),
    "strategies": (
        "The strategy file",
        "What each strategy does: [strategies](../strategies.md).",
    ),
    "market": ("The market file", "How to write one: [market products](../markets.md)."),
    "case": ("The case file", "How to plan one: [planning one horizon](../planning.md)."),
}
"""Files with a page of their own."""

SMALL = {
    "venue-mapping": "How a venue speaks ([venues](../venues.md)).",
    "registers": "Where a Modbus device keeps what ([Modbus](../modbus.md)).",
    "payload-map": "How a gateway speaks ([MQTT](../mqtt.md), [HTTP](../http-devices.md)).",
    "charging-station": "A make of charging stations ([OCPP](../ocpp.md)).",
    "device-template": "A machine of a usual kind, for each kW of its size ([the park file](../park-file.md)).",
    "faults": "What goes wrong with simulated devices ([devices](../devices.md)).",
}
MESSAGES = {
    "telemetry": "A device tells how it is ([MQTT](../mqtt.md)).",
    "command": "A set-point, to a device.",
    "ack": "What a device answers to a command.",
    "resend": "What a gateway is asked to tell again.",
    "bid-request": "A market asks for bids ([for market simulators](../simulators.md)).",
    "bid-set": "What it is answered ([offers](../offers.md)).",
    "award": "What was cleared.",
    "series": "Prices, weather and other series.",
    "window-state": "A resource in the window ([Redis](../redis.md)).",
    "window-setpoint": "A set-point in the window.",
    "window-plan": "A step of the plan in the window.",
}


def several(title: str, names: Mapping[str, str]) -> str:
    """A page of several small schemas."""
    text = f"# {title}\n"
    for name, about in names.items():
        text += f"\n## {name}\n\n{about} `vpp schema {name}` prints its JSON Schema.\n\n"
        text += sections(SCHEMAS[name](), level=3)
    return text


def one(name: str) -> str:
    """The page of one file."""
    title, about = FILES[name]
    schema: Schema = SCHEMAS[name]()
    return (
        f"# {title}\n\n{schema.get('description', '')}\n\n{about}"
        f" `vpp schema {name}` prints this as JSON Schema.\n\n{sections(schema)}"
    )


@cache
def pages() -> dict[str, str]:
    """Every page by its file name."""
    made: dict[str, Callable[[], str]] = {
        "files.md": lambda: several("Other files", SMALL),
        "messages.md": lambda: several("Messages", MESSAGES),
        "routes.md": routes_page,
        "events.md": events_page,
        "commands.md": commands_page,
        "packages.md": packages_page,
        "metrics.md": metrics_page,
    }
    texts = {f"{name}-file.md": one(name) for name in FILES if name in SCHEMAS}
    return {
        name: MADE + text.rstrip() + "\n"
        for name, text in (texts | {name: make() for name, make in made.items()}).items()
    }
