"""A market file read, checked and made into nouns: what can be traded, and what stands in the way.

    file ──▶ shape ──▶ rules ──▶ sources ──▶ Pack ─┬─▶ ProductCalendar   every product has one
                                                   └─▶ MarketProduct     where we can bid it, else the reason

A pack is dated and named by the SHA-256 of its bytes: every bid cites it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from vpp.account.completion import Band
from vpp.model.calendar import Calendar
from vpp.model.gate import HOUR, ProductCalendar
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct, PriceGrid
from vpp.service.config import ConfigErrors, Document, Fault, read_document, shipped
from vpp.service.marketrules import RULES
from vpp.service.marketschema import MarketSection
from vpp.service.marketsources import OpenField, broken, open_fields
from vpp.service.markettime import day_kinds, duration, gate_of
from vpp.service.waivers import WaiverSection
from vpp.trade.formrules import FormRules

_MARKET: TypeAdapter[MarketSection] = TypeAdapter(MarketSection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One product under rules of one date."""

    section: MarketSection
    tree: Any
    """As it was written."""
    digest: str
    """SHA-256 of the file's bytes."""
    open_fields: tuple[OpenField, ...]
    """What no official text was seen for and nobody has cleared."""

    @property
    def product_id(self) -> ProductId:
        return ProductId(self.section.id)

    def calendar(self, days: Calendar | None = None) -> ProductCalendar:
        """Deliveries and gates; `days` says which are holidays."""
        section = self.section.calendar
        return ProductCalendar(
            product_id=self.product_id,
            timezone=ZoneInfo(section.tz),
            delivery_interval=duration(section.delivery_interval),
            gate=gate_of(section),
            day_kinds=day_kinds(section),
            days=days,
        )

    def product(self, days: Calendar | None = None) -> MarketProduct | None:
        """The product as the planner and the bid book know it; None where `not_built` says why not."""
        section, offer = self.section, self.section.offer
        price, most = offer.price, offer.quantity.max
        series_id = section.settlement.price_refs.clearing
        if self.not_built() is not None or price is None or most is None or series_id is None:
            return None
        calendar = self.calendar(days)
        return MarketProduct(
            product_id=calendar.product_id,
            timezone=calendar.timezone,
            delivery_interval=calendar.delivery_interval,
            gate=calendar.gate,
            day_kinds=calendar.day_kinds,
            days=days,
            kind=section.kind,
            currency=section.currency,
            lot_mw=offer.quantity.step,
            price=PriceGrid(least=price.min, most=price.max, tick=price.step),
            max_quantity_mw=most,
            most_steps=None if offer.segments is None else offer.segments.max,
            price_series_id=series_id,
            exclusivity_group=section.exclusivity_group,
            unverified=tuple(field.path for field in self.open_fields),
            pack_digest=self.digest,
        )

    def form_rules(self) -> FormRules:
        """The bounds of an offer into this product."""
        offer = self.section.offer
        segments, price = offer.segments, offer.price
        return FormRules(
            sense=offer.sense,
            least_segments=1 if segments is None else segments.min,
            most_segments=1 if segments is None else segments.max,
            least_mw=offer.quantity.min,
            step_mw=offer.quantity.step,
            min_price=None if price is None else price.min,
            max_price=None if price is None else price.max,
            tick=None if price is None else price.step,
        )

    def bands(self) -> tuple[Band, ...]:
        """How completion is paid."""
        return tuple(
            Band(
                start=band.from_,
                end=band.to,
                factor=band.factor,
                by_cleared=band.basis == "cleared",
                cap_ratio=band.cap_ratio,
            )
            for band in self.section.performance.bands
        )

    def not_built(self) -> str | None:
        """Why nothing is bid into this product, by anyone; None where bids can be made."""
        section, offer = self.section, self.section.offer
        block = offer.block is not None and offer.block.min_acceptance_ratio
        reasons = {
            f"no bids of kind {section.kind} are made yet": section.kind
            not in ("energy_da", "energy_id"),
            f"no offers of the form {offer.form} are made yet": offer.form != "curve_step",
            f"no bids of direction {section.direction} are made yet": section.direction != "net",
            "no block orders are made yet": bool(block),
            "a curve with fewer steps than it asks for cannot be ruled out": offer.segments
            is not None
            and offer.segments.min > 1,
            "a least quantity above one step cannot be kept yet": offer.quantity.min
            > offer.quantity.step,
            "offer.quantity.max is not given": offer.quantity.max is None,
            f"{section.calendar.delivery_interval} is no quarter-hour, half-hour or hour": (
                duration(section.calendar.delivery_interval) not in (HOUR / 4, HOUR / 2, HOUR)
            ),
            "calendar.results_at is not given": section.calendar.results_at is None,
            f"deliveries are not settled by {section.settlement.formula} yet": (
                section.settlement.formula != "exchange_imbalance"
            ),
            "no series holds its price (settlement.price_refs.clearing)": (
                section.settlement.price_refs.clearing is None
            ),
        }
        said = [reason for reason, holds in reasons.items() if holds]
        return "; ".join(said) or None

    def not_live(self, waivers: Sequence[WaiverSection]) -> str | None:
        """Why a live park must not bid it: rules that cost money if wrong, unverified and not waived."""
        own = [
            w for w in waivers if (w.product, w.version) == (self.section.id, self.section.version)
        ]
        waived = {field for waiver in own for field in waiver.fields}
        left = [
            f for f in self.open_fields if f.concern is not None and not _covered(f.path, waived)
        ]
        if not left:
            return None
        told = ", ".join(f"{field.path} ({field.concern})" for field in left)
        return f"unverified and neither cleared nor waived: {told}"


def _covered(path: str, roots: set[str]) -> bool:
    words = path.split(".")
    return any(".".join(words[:count]) in roots for count in range(1, len(words) + 1))


def shipped_packs() -> list[Pack]:
    """Every market file that comes with the package, by product.

    Raises:
        ConfigErrors: One of them breaks a rule.
    """
    found = [read_pack(path) for path in sorted(shipped("markets").glob("*.yaml"))]
    return sorted(found, key=lambda pack: pack.product_id)


def read_pack(path: Path) -> Pack:
    """Read one market file.

    Raises:
        ConfigErrors: Every fault, each with the name of the rule that it breaks.
    """
    document = read_document(path)
    found = pack_of(document)
    if isinstance(found, Pack):
        return found
    faults = dict.fromkeys([*document.faults, *found])
    raise ConfigErrors(sorted(faults, key=lambda fault: (fault.line, fault.column)))


def pack_of(document: Document) -> Pack | list[Fault]:
    """The pack that a document holds, or what is wrong with it (and with its YAML, where that is alone)."""
    if not isinstance(document.tree, dict):
        return [*document.faults, document.fault((), "is no mapping of keys to values [schema]")]
    section = document.parse(_MARKET, (), document.tree)
    if isinstance(section, list):
        return [_named(fault, "schema") for fault in section]
    faults = [
        document.fault(path, f"{what} [{name}]")
        for name, rule in RULES.items()
        for path, what in rule(section)
    ]
    faults += [
        document.fault(path, f"{what} [{name}]")
        for name, path, what in broken(section, document.tree)
    ]
    if faults or document.faults:
        return faults
    return Pack(
        section=section,
        tree=document.tree,
        digest=document.digest,
        open_fields=open_fields(section, document.tree),
    )


def _named(fault: Fault, rule: str) -> Fault:
    return Fault(fault.file, fault.line, fault.column, fault.path, f"{fault.what} [{rule}]")
