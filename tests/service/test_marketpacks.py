"""The market files that are shipped, what may be bid by them, and what a newer one changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from vpp.errors import ConfigError
from vpp.service.markets.check import changes, market_facts
from vpp.service.markets.pack import Pack, read_pack, shipped_packs
from vpp.service.markets.sources import SOURCED, key_path, leaves
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.trading.schema import TradingSection
from vpp.service.trading.waivers import WaiverSection

PACKS = {str(pack.product_id): pack for pack in shipped_packs()}
SE3 = shipped("markets/se3_day_ahead.yaml")


def waiver(*fields: str, version: str = "1.1.0") -> WaiverSection:
    return WaiverSection(
        product="se3-day-ahead",
        version=version,
        fields=list(fields),
        reason="a trial at 1 MW",
        by="Li",
        date=date(2026, 1, 5),
    )


def test_every_shipped_product_has_an_id_of_its_own() -> None:
    files = list(shipped("markets").glob("*.yaml"))
    assert len(files) == len(PACKS) > 50


@pytest.mark.parametrize(
    ("product_id", "field", "value"),
    [
        ("cn.gd.spot.da.load_vpp", "offer.price.max", 1000),
        ("cn.sd.spot.da.load_vpp", "offer.price.min", -80),
        ("cn.sx.spot.da.load_vpp", "offer.segments.min", 3),
        ("cn.hn.fr.mileage", "performance.params.k1_cap", 3),
        ("cn.generic.dr.peak.day_ahead", "performance.bands.1.factor", 0.6),
        ("cn.hi.dr.contracted.peak", "settlement.params.reserve_price_per_mw_month", 300),
        ("cn.gd.dr.peak.day_ahead", "settlement.penalties.0.ratio", 0.5),
        ("eu.sdac.de.da15", "offer.segments.max", 256),
        ("de.fcr", "calendar.gate_close", "D-1T08:00"),
        ("de.afrr.capacity.pos", "calendar.gate_close", "D-1T09:00"),
        ("de.mfrr.capacity.neg", "calendar.gate_close", "D-1T10:00"),
        ("de.afrr.energy.pos", "calendar.gate_close", "T-25min"),
        ("de.mfrr.energy.pos", "eligibility.max_response_s", 750),
        ("gb.bm.secondary_bmu", "calendar.delivery_interval", "PT30M"),
        ("us.caiso.pdr.da", "baseline.adjustment.max", 1.2),
        ("au.nem.energy.bdu", "offer.price.max", 20300),
        ("au.nem.fcas.raise6s", "activation.full_activation_s", 6),
    ],
)
def test_a_shipped_number_is_the_one_of_the_reference(
    product_id: str, field: str, value: float | str
) -> None:
    tree = PACKS[product_id].tree
    path = key_path(field, tree)
    assert path is not None
    assert leaves(tree)[path] == value


@pytest.mark.parametrize("product_id", PACKS)
def test_what_no_text_was_seen_for_is_open_and_the_rest_names_its_source(product_id: str) -> None:
    pack = PACKS[product_id]
    found = {f for s in pack.section.sources if s.mark == "found" for f in s.fields}
    roots = [p for f in pack.open_fields if (p := key_path(f.path, pack.tree)) is not None]
    for path, value in leaves(pack.tree).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and path[0] in SOURCED and path[:2] != ("settlement", "gap_rules"):
            texts = {".".join(map(str, path[:n])) for n in range(1, len(path) + 1)}
            is_open = any(path[: len(root)] == root for root in roots)
            assert is_open or texts & found, path


def unbuilt(pack: Pack) -> Pack:
    """A product whose interval no offers are made for."""
    calendar = pack.section.calendar.model_copy(update={"delivery_interval": "PT25M"})
    return replace(pack, section=pack.section.model_copy(update={"calendar": calendar}))


def test_every_shipped_product_can_be_offered_and_what_cannot_says_why() -> None:
    assert {name: why for name, pack in PACKS.items() if (why := pack.not_built())} == {}
    said = "PT25M is neither a part of a quarter-hour nor some of them"
    assert unbuilt(PACKS["de.fcr"]).not_built() == said
    assert unbuilt(PACKS["de.fcr"]).product() is None
    with_steps = PACKS["se3-day-ahead"].product()
    assert with_steps is not None
    assert (with_steps.lot_mw, with_steps.most_steps) == (Decimal("0.1"), 256)


def test_a_live_park_needs_a_waiver_for_each_field_that_costs_money() -> None:
    pack = PACKS["se3-day-ahead"]
    assert str(pack.not_live(())).endswith(
        ": calendar.gate_open (gate), offer.quantity.max (quantity)"
    )
    assert str(pack.not_live([waiver("offer.quantity")])).endswith(": calendar.gate_open (gate)")
    assert pack.not_live([waiver("offer.quantity", "calendar.gate_open")]) is None
    assert pack.not_live([waiver("offer", "calendar", version="1.0.0")]) is not None


def live(tmp_path: Path, waivers: str = "") -> Path:
    """The demo park without its simulation."""
    park = shipped_park("demo")
    text = park.read_text()
    text = text[: text.index("\nsimulation:")] + waivers
    text = text.replace("mode: simulated", "mode: live")
    for name in ("markets", "strategies"):
        text = text.replace(f"../{name}", str(park.parent.parent / name))
    (tmp_path / "live.yaml").write_text(text)
    return tmp_path / "live.yaml"


WAIVERS = """
waivers:
  - product: se3-day-ahead
    version: 1.1.0
    fields: [calendar.gate_open, offer.quantity.max]
    reason: the operator confirmed both by telephone
    by: Li
    date: 2026-01-05
"""


def test_a_live_park_trades_by_what_is_waived_and_a_simulated_one_by_all(tmp_path: Path) -> None:
    assert load_park(shipped_park("demo")).not_biddable("se3-quarter-hour") is None
    file = load_park(live(tmp_path, WAIVERS))
    assert file.not_biddable("se3-day-ahead") is None
    assert str(file.not_biddable("se3-quarter-hour")).startswith("unverified and neither")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("version: 1.1.0", "version: 1.0.0", "se3-day-ahead is of version 1.1.0 now: decide again"),
        ("offer.quantity.max]", "offer.price]", "offer.price is not unverified in se3-day-ahead"),
        ("product: se3-day-ahead", "product: se4", "unknown product 'se4'"),
    ],
)
def test_a_waiver_that_fits_nothing_is_refused(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load_park(live(tmp_path, WAIVERS.replace(old, new)))
    assert told in str(refused.value)


def with_reserve(plant: Plant, pack: Pack) -> None:
    plant.file = replace(plant.file, packs=(*plant.file.packs, pack))


DELIVERY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}


def test_a_product_without_bids_is_listed_with_the_reason_and_refuses(
    plant: Plant, serving: Any
) -> None:
    with_reserve(plant, unbuilt(PACKS["de.fcr"]))

    async def run() -> None:
        async with serving(plant) as client:
            shown = await (await client.get("/v1/markets/de.fcr")).json()
            listed = (await (await client.get("/v1/markets")).json())["products"]
            ask = {"request_id": "r1", "delivery": DELIVERY}
            refused = await client.post("/v1/markets/de.fcr/bids", json=ask)
            assert listed[2] == shown
            assert (shown["biddable"], shown["market"]) == (False, "simulated")
            assert "PT25M" in shown["not_biddable"]
            assert shown["unverified"] == [
                "eligibility.min_mw",
                "offer.quantity",
                "offer.price",
            ]
            assert shown["sources"][0]["mark"] == "found"
            assert shown["sources"][0]["valid_from"] == "2020-07-01"
            assert (refused.status, (await refused.json())["code"]) == (422, "not_biddable")

    asyncio.run(run())


def test_a_live_park_gives_no_bids_by_unverified_rules_but_shows_them_dry(
    plant: Plant, serving: Any
) -> None:
    plant.file = replace(plant.file, simulation=None, trading=TradingSection(mode="live"))

    async def run() -> None:
        async with serving(plant) as client:
            ask = {"request_id": "r1", "delivery": DELIVERY}
            refused = await client.post("/v1/markets/se3-day-ahead/bids", json=ask)
            dry = await client.post("/v1/markets/se3-day-ahead/bids", json=ask | {"dry_run": True})
            shown = await (await client.get("/v1/markets/se3-day-ahead")).json()
            assert (refused.status, (await refused.json())["code"]) == (422, "not_biddable")
            assert (await dry.json())["pack_digest"] == shown["pack_digest"]
            assert (shown["biddable"], shown["market"]) == (False, "shadow")
            assert not list(plant.book.all_bids())

    asyncio.run(run())


def test_a_newer_pack_tells_its_difference_in_words_money_first(tmp_path: Path) -> None:
    newer = (
        SE3.read_text()
        .replace("version: 1.1.0", "version: 1.2.0")
        .replace("max: 4000", "max: 5000")
        .replace("gate_close: D-1T12:00", "gate_close: D-1T11:00")
        .replace("  - offer.quantity.max\n", "", 1)
        .replace("mark: ours", "mark: found")
    )
    (tmp_path / "newer.yaml").write_text(newer)
    assert changes(SE3, tmp_path / "newer.yaml") == (
        "se3-day-ahead: calendar.gate_close (gate): D-1T12:00 becomes D-1T11:00",
        "se3-day-ahead: offer.price.max (price): 4000 becomes 5000 (+1000)",
        "se3-day-ahead: version: 1.1.0 becomes 1.2.0",
        "se3-day-ahead: unverified: now without offer.quantity.max",
        (
            "se3-day-ahead: sources: now without Opening of the order book, and a bound for one unit:"
            " chosen for this project (ours), with Opening of the order book, and a bound for one unit:"
            " chosen for this project (found)"
        ),
    )
    assert changes(SE3, SE3) == ()
    assert market_facts(SE3)["digest"] == read_pack(SE3).digest
    with pytest.raises(ConfigError, match="two products"):
        changes(shipped("markets/de_fcr.yaml"), SE3)
