"""A market file read, checked and made into nouns: what can be traded, and what stands in the way.

    file ──▶ shape ──▶ rules ──▶ sources ──▶ Pack ─┬─▶ ProductCalendar   every product has one
                                                   └─▶ MarketProduct     where we can bid it, else the reason

A pack is dated and named by the SHA-256 of its bytes: every bid cites it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from vpp.account.completion import Band
from vpp.model.calendar import Calendar
from vpp.model.gate import ProductCalendar
from vpp.model.ids import ProductId
from vpp.model.market import Call, ClawBack, Direction, MarketProduct, PriceGrid
from vpp.model.offer import PriceUnit
from vpp.service.markets.markettime import day_kinds, duration, gate_of
from vpp.service.markets.rules import RULES
from vpp.service.markets.schema import MarketSection, PriceRange
from vpp.service.markets.sources import OpenField, broken, open_fields
from vpp.service.park.config import ConfigErrors, Document, Fault, read_document, shipped
from vpp.service.trading.waivers import WaiverSection
from vpp.trade.formrules import FormRules

_FORMS = {"segments_mw_price": "segments", "price_bands_fixed": "price_bands"}
"""What a market file calls otherwise than an offer does."""

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

    @property
    def by_invitation(self) -> bool:
        """Whether a platform invites to it, and what is confirmed is called by that alone."""
        activation = self.section.activation
        return activation is not None and activation.trigger == "invitation"

    @property
    def by_signal(self) -> bool:
        """Whether what is awarded is called by a signal that moves."""
        activation = self.section.activation
        return activation is not None and activation.trigger in ("agc", "setpoint", "frequency")

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

    @property
    def form(self) -> str:
        """The form of its offers, as `offer.form` says it."""
        offer = self.section.offer
        if offer.limits is not None and offer.limits.upper_lower_mw:
            return "envelope"
        return _FORMS.get(offer.form, offer.form)

    def product(self, days: Calendar | None = None) -> MarketProduct | None:
        """The product as the planner and the bid book know it; None where `not_built` says why not."""
        if self.not_built() is not None:
            return None
        section, offer, calendar = self.section, self.section.offer, self.calendar(days)
        price, capacity = offer.price, offer.capacity_price
        least = [offer.quantity.min, section.eligibility.min_mw or Decimal(0)]
        most = [m for m in (offer.quantity.max, section.eligibility.max_mw) if m is not None]
        own = None if price is None else _grid(price, self._price_unit())
        two_part = capacity is not None
        return MarketProduct(
            product_id=calendar.product_id,
            timezone=calendar.timezone,
            delivery_interval=calendar.delivery_interval,
            gate=calendar.gate,
            day_kinds=calendar.day_kinds,
            days=days,
            kind=section.kind,
            direction=Direction(section.direction),
            form=self.form,
            currency=section.currency,
            lot_mw=offer.quantity.step,
            least_mw=max(least),
            max_quantity_mw=min(most, default=None),
            price=own if capacity is None else _grid(capacity, PriceUnit.CAPACITY_HOUR),
            energy_price=own if two_part else None,
            least_steps=1 if offer.segments is None else offer.segments.min,
            most_steps=None if offer.segments is None else offer.segments.max,
            min_share=_min_share(section),
            linked_blocks=offer.block is not None and offer.block.linked,
            only_bought=offer.sense == "demand",
            prices_per_day=not offer.per_interval,
            trapezium=offer.trapezium,
            call=_call(section),
            by_invitation=self.by_invitation,
            settled_by=section.settlement.formula,
            price_series_id=section.settlement.price_refs.clearing or _series_id(section),
            real_time_series_id=section.settlement.price_refs.rt,
            claw_back=_claw_back(section),
            exclusivity_group=section.exclusivity_group,
            unverified=tuple(field.path for field in self.open_fields),
            pack_digest=self.digest,
        )

    def _price_unit(self) -> PriceUnit:
        section = self.section
        unit = "" if section.offer.price is None else section.offer.price.unit
        if unit.endswith("/MW/h") or section.offer.trapezium:
            return PriceUnit.CAPACITY_HOUR  # reserve that is enabled is paid by the hour
        if unit.endswith("/MWh"):
            return PriceUnit.ENERGY
        kinds = {"regulation": PriceUnit.MILEAGE, "dr_event": PriceUnit.CALL}
        return kinds.get(section.kind, PriceUnit.CAPACITY)

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
        interval_text = self.section.calendar.delivery_interval
        step, interval = timedelta(minutes=15), duration(interval_text)
        if interval % step and step % interval:
            return f"{interval_text} is neither a part of a quarter-hour nor some of them"
        return None

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


def _series_id(section: MarketSection) -> str:
    """Of its price, where the file names none."""
    return f"price.{section.id.replace('_', '-')}"[:64]


def _grid(price: PriceRange, unit: PriceUnit) -> PriceGrid:
    return PriceGrid(unit=unit, least=price.min, most=price.max, tick=price.step)


def _min_share(section: MarketSection) -> Decimal:
    """Of one quantity or a block; a curve is taken step by step, whatever blocks there may be beside it."""
    block = section.offer.block
    if section.offer.form not in ("single", "block") or block is None:
        return Decimal(0)
    return block.min_acceptance_ratio or Decimal(0)


def _call(section: MarketSection) -> Call | None:
    """How long it may be called; a service that does not say: all the time."""
    activation = section.activation
    if activation is None or section.kind.startswith("energy_"):
        return None
    longest, per_day = activation.max_hold_s, activation.max_hours_per_day
    return Call(
        longest=None if longest is None else timedelta(seconds=longest),
        most_hours_per_day=None if per_day is None else float(per_day),
        least_share=Decimal(1 if activation.divisible is False else 0),
        survives_largest=activation.survives_largest,
    )


def _claw_back(section: MarketSection) -> ClawBack | None:
    deviation = section.settlement.deviation
    if deviation is None or deviation.family != "clawback":
        return None
    return ClawBack(band=deviation.band_pct or Decimal(0), k=deviation.k or Decimal(0))


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
