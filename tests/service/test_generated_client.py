"""A client that knows nothing but `/openapi.json` asks for bids of every sample product.

It builds each request from the document, refuses to send a body that does not fit its schema, and takes no
answer that the document does not promise: a status, a body that fits, and of a refusal a code that is listed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from vpp.service.markets.pack import shipped_packs
from vpp.service.plant import Plant


@dataclass(frozen=True)
class Reply:
    status: int
    content: Any


class Generated:
    """Operations by name, made from the document alone."""

    def __init__(self, session: Any, document: dict[str, Any]) -> None:
        self._session, self._document = session, document
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource("urn:doc", resource)
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, by_method in document["paths"].items()
            for method, operation in by_method.items()
        }

    async def do(self, operation_id: str, body: Any = None, **parameters: str) -> Reply:
        """Call an operation; what goes out and what comes back fits the document."""
        method, path, operation = self._operations[operation_id]
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(parameters) == set(re.findall(r"{(\w+)}", path))
        if body is not None:
            self._check(operation["requestBody"]["content"]["application/json"]["schema"], body)
        async with self._session.request(method, path.format(**parameters), json=body) as answer:
            promised = operation["responses"][str(answer.status)]
            content = await answer.json(content_type=None)
            self._check(promised["content"][answer.content_type]["schema"], content)
            if answer.status != 200:
                assert f"`{content['code']}`" in promised["description"]
            return Reply(answer.status, content)

    def _check(self, schema: dict[str, Any], value: Any) -> None:
        where = {"$ref": "urn:doc" + schema["$ref"]}
        faults = [
            e.message for e in OAS31Validator(where, registry=self._registry).iter_errors(value)
        ]
        assert faults == []


def first_quantity(offer: Any) -> dict[str, str]:
    """The first part of an offer that has a quantity and a price, as an award names them."""
    if isinstance(offer, dict):
        if isinstance(offer.get("quantity_mw"), str) and "price_per_mwh" in offer:
            return {k: offer[k] for k in ("quantity_mw", "price_per_mwh")}
        parts = list(offer.values())
    else:
        parts = offer if isinstance(offer, list) else []
    for part in parts:
        if found := first_quantity(part):
            return found
    return {}


def with_every_product(plant: Plant) -> None:
    packs = tuple(shipped_packs())
    products = tuple(p for pack in packs if (p := pack.product(plant.file.calendar)) is not None)
    plant.file = replace(plant.file, packs=packs, products=products)


def test_it_bids_every_sample_product_that_can_be_bid_and_is_told_why_of_the_others(
    plant: Plant, serving: Any
) -> None:
    with_every_product(plant)

    async def live() -> dict[str, Reply]:
        replies = {}
        async with serving(plant) as session:
            client = Generated(session, await (await session.get("/openapi.json")).json())
            listed = (await client.do("list_markets")).content["products"]
            for view in listed:
                product = view["product"]
                asked = {
                    "request_id": f"generated-{product}",
                    "delivery": view["next_delivery"]["delivery"],
                }
                reply = await client.do("make_bids", asked, product=product)
                replies[product] = reply
                if reply.status != 200:
                    if not view["biddable"]:
                        assert reply.content["code"] == "not_biddable"
                        assert view["not_biddable"]
                    continue
                cleared = [
                    {k: bid[k] for k in ("bid_id", "start", "end")} | first_quantity(bid["offer"])
                    for bid in reply.content["bids"]
                ]
                award = {
                    "award_id": f"award-{product}",
                    "revision": 1,
                    "final": True,
                    "bid_set_id": reply.content["bid_set_id"],
                    "cleared": cleared,
                }
                taken = await client.do("take_award", award, product=product)
                assert taken.content["status"] == "booked"
                assert (await client.do("list_deliveries", product=product)).status == 200
        return replies

    replies = asyncio.run(live())

    assert len(replies) > 50
    assert {name for name, reply in replies.items() if reply.status == 200} >= {"se3-day-ahead"}
    assert len(replies["se3-day-ahead"].content["bids"]) > 90


def test_a_body_that_the_document_does_not_allow_is_not_sent(plant: Plant, serving: Any) -> None:
    async def live() -> None:
        async with serving(plant) as session:
            client = Generated(session, await (await session.get("/openapi.json")).json())
            with pytest.raises(AssertionError, match=r"is not of type|required"):
                await client.do("make_bids", {"request_id": 7}, product="se3-day-ahead")

    asyncio.run(live())
