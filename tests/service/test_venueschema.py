"""The section `venues` of a park file: what it takes, what it refuses and where, and the example mapping."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.venue_mapping import VenueMapping
from tests.service.smallpark import MARKET, PARK
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.venues.schema import HttpVenueSection
from vpp.service.venues.wiring import http_access

VENUE = """\
venues:
  - {id: exchange, kind: http, url: "https://market.example", products: [quarter]}
"""


def loaded(folder: Path, venues: str, **files: str) -> ParkFile:
    for name, text in {"park": PARK + venues, "market": MARKET, **files}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_park(folder / "park.yaml")


def faults(folder: Path, venues: str, **files: str) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        loaded(folder, venues, **files)
    return [f"{fault.path}: {fault.what}" for fault in raised.value.faults]


def test_a_venue_needs_an_address_and_products_and_speaks_as_the_simulated_one(
    tmp_path: Path,
) -> None:
    file = loaded(tmp_path, VENUE)

    (venue,) = file.venues
    assert isinstance(venue, HttpVenueSection)
    assert (venue.ask_before_minutes, venue.alarm_before_minutes) == (20, 7)
    assert http_access(venue, file.mappings["exchange"], tmp_path).mapping == VenueMapping()


def test_the_example_mapping_is_the_default_in_full(tmp_path: Path) -> None:
    example = shipped("venues/example.yaml").read_text(encoding="utf-8")
    named = VENUE.replace("products", "mapping: mapping.yaml, products")
    file = loaded(tmp_path, named, mapping=example)

    (venue,) = file.venues
    assert isinstance(venue, HttpVenueSection)
    assert http_access(venue, file.mappings["exchange"], tmp_path).mapping == VenueMapping()


def test_a_faulty_mapping_is_told_in_its_own_file(tmp_path: Path) -> None:
    named = VENUE.replace("products", "mapping: mapping.yaml, products")
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, named, mapping="bids:\n  statuses: {'200': yesterday}\n")

    (fault,) = raised.value.faults
    assert str(fault).startswith(f"{tmp_path / 'mapping.yaml'}:2:14: bids.statuses.200: ")


FAULTS = [
    pytest.param(
        "products: [quarter]", "products: [other]", "products.0: unknown product", id="product"
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], alarm_before_minutes: 20",
        "alarm_before_minutes must be below ask_before_minutes",
        id="an alarm before the first try",
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], ask_before_minutes: 60, alarm_before_minutes: 50",
        "the gate of quarter is open for 45 minutes alone",
        id="an alarm before the gate opens",
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], alarm_before_minutes: 4",
        "alarm_before_minutes",
        id="an alarm too late",
    ),
    pytest.param("kind: http", "kind: fax", "none of 'http', 'files'", id="another kind"),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], mapping: nowhere.yaml",
        "cannot be read",
        id="no mapping",
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], headers: {X-Key: hush}",
        "say where the value is kept",
        id="a secret in the file",
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], token: {url: 'https://t.example', client_id: {env: VPP_NO_ID},"
        " client_secret: {file: no.secret}}",
        "environment variable VPP_NO_ID: there is no value",
        id="a secret that is not there",
    ),
    pytest.param(
        "products: [quarter]",
        "products: [quarter], certificate: {cert: no.pem, key: no.key}",
        "there is no file 'no.pem'",
        id="a certificate that is not there",
    ),
    pytest.param(
        "products: [quarter]", "products: [quarter], colour: red", "unknown key", id="unknown"
    ),
]


@pytest.mark.parametrize(("good", "bad", "what"), FAULTS)
def test_what_does_not_fit_is_told(tmp_path: Path, good: str, bad: str, what: str) -> None:
    assert what in "\n".join(faults(tmp_path, VENUE.replace(good, bad)))


def test_a_product_is_traded_at_one_venue(tmp_path: Path) -> None:
    second = VENUE + VENUE.splitlines()[1].replace("exchange", "other") + "\n"

    assert faults(tmp_path, second) == [
        "venues.1.products.0: product 'quarter' is traded at venue 'exchange' already"
    ]


def test_a_product_of_a_venue_is_traded_by_a_unit(tmp_path: Path) -> None:
    assert "products: [quarter]" in PARK
    untraded = PARK.replace("products: [quarter]", "products: []") + VENUE
    (tmp_path / "market.yaml").write_text(MARKET, encoding="utf-8")
    (tmp_path / "park.yaml").write_text(untraded, encoding="utf-8")

    with pytest.raises(ConfigErrors) as raised:
        load_park(tmp_path / "park.yaml")

    assert [f"{fault.path}: {fault.what}" for fault in raised.value.faults] == [
        "venues.0.products.0: product 'quarter' is traded by no bidding unit"
    ]


MAPPINGS = [
    pytest.param(
        "bids: {statuses: {'200': declined}}", "no answer means `taken`", id="never taken"
    ),
    pytest.param("bids: {words: {}}", "no answer means `taken`", id="no word for taken"),
    pytest.param("bids: {path: bids}", "no path", id="no path"),
    pytest.param("bids: {path: '/bids/{id}'}", "only {bid_set_id}", id="another brace"),
    pytest.param("status: {path: /status}", "must name {bid_set_id}", id="a status of nothing"),
    pytest.param("bids: {method: PATCH}", "method", id="another method"),
    pytest.param("status: {words: {ok: fine}}", "words.ok", id="another word of ours"),
]


@pytest.mark.parametrize(("mapping", "what"), MAPPINGS)
def test_a_mapping_that_makes_no_sense_is_refused(tmp_path: Path, mapping: str, what: str) -> None:
    named = VENUE.replace("products", "mapping: mapping.yaml, products")
    assert what in "\n".join(faults(tmp_path, named, mapping=mapping + "\n"))
