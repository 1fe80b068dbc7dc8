"""A recorded decision to trade live by rules that nobody has seen in an official text yet."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Section, Text


class WaiverSection(Section):
    """Who takes it upon himself that these fields of one version of a product may be wrong.

    It stands in the park file, beside what it lets happen; a newer version of the rules needs a new one.
    """

    product: ProductName
    version: Text
    fields: Annotated[list[Text], Field(min_length=1)]
    """Dotted paths of the market file that stand in its `unverified`."""
    reason: Text
    by: Text
    date: date
