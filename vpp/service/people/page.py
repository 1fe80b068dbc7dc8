"""The page that a one-time link leads to, at a listener of its own.

    GET, HEAD   shows the question, or what became of it; whoever follows links by itself changes nothing
    POST        answers: a form of the page, or JSON from a system behind a webhook

    200 shown · 303 answered (a form) · 400 no answer · 404 no link of ours · 409 answered before
    410 over · 413, 415 nothing that we read · 503 not on record, try again

The token is in the path and nowhere else: nothing here logs it, the page links to nothing, and no browser tells
another site where it came from (Referrer-Policy).
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from math import isfinite
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vpp.errors import DataError, UnavailableError
from vpp.model.message import Language
from vpp.service.api.pages import web_folder
from vpp.service.listeners import OuterFace
from vpp.service.people import answers as peopleanswers
from vpp.service.people.answers import (
    Accept,
    Answered,
    Asked,
    Choice,
    Decline,
    Less,
    NoLink,
    Opened,
)
from vpp.service.people.html import MAX_REASON_CHARS, page
from vpp.service.plant import Plant

NAME = "people"
MAX_BYTES = 4096
"""Of an answer."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
STYLE = "people.css"

log = structlog.get_logger("vpp.people")


class Result(StrEnum):
    """What came of a request."""

    SHOWN = "shown"
    ANSWERED = "answered"
    ALREADY = "already_answered"
    OVER = "over"
    UNKNOWN = "unknown_link"
    NO_ANSWER = "no_answer"
    TRY_AGAIN = "try_again"


STATUS = {
    Result.SHOWN: 200,
    Result.ANSWERED: 200,
    Result.ALREADY: 409,
    Result.OVER: 410,
    Result.UNKNOWN: 404,
    Result.NO_ANSWER: 400,
    Result.TRY_AGAIN: 503,
}


class AnswerBody(BaseModel):
    """An answer as JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    answer: Literal["accept", "less", "decline"]
    amount_kw: Annotated[float, Field(gt=0, le=1e9)] | None = None
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] = ""


def faces(plant: Plant) -> tuple[OuterFace, ...]:
    """The page of a park that asks people; none where it asks nobody."""
    section = plant.file.people.page
    if section is None or not plant.people.persons:
        return ()
    base = urlsplit(section.url).path.rstrip("/")
    style = (web_folder() / STYLE).read_bytes()
    routes = (
        web.get(f"{base}/{STYLE}", partial(_style, style)),
        web.get(f"{base}/{{token}}", partial(_show, plant)),
        web.post(f"{base}/{{token}}", partial(_answer, plant)),
    )
    return (OuterFace(name=NAME, listen=section.listen, routes=routes),)


async def _style(style: bytes, request: web.Request) -> web.StreamResponse:
    return web.Response(
        body=style, content_type="text/css", headers={"Cache-Control": "max-age=3600"}
    )


async def _show(plant: Plant, request: web.Request) -> web.StreamResponse:
    opened = peopleanswers.look_up(plant, request.match_info["token"], plant.clock.now())
    match opened:
        case Asked() | Answered():
            result = Result.SHOWN
        case NoLink():
            result = Result.UNKNOWN
        case _:
            result = Result.OVER
    return _html(plant, request, result, opened)


async def _answer(plant: Plant, request: web.Request) -> web.StreamResponse:
    """Take an answer; whatever is no answer to an open question changes nothing."""
    kind = request.content_type
    if kind not in ("application/json", "application/x-www-form-urlencoded"):
        raise web.HTTPUnsupportedMediaType
    body = await request.read()
    if len(body) > MAX_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=MAX_BYTES, actual_size=len(body))
    is_json = kind == "application/json"
    token, now, fault = request.match_info["token"], plant.clock.now(), ""
    taken, opened = False, peopleanswers.look_up(plant, token, now)
    if isinstance(opened, Asked):
        try:
            choice = _choice_of_json(body) if is_json else _choice_of_form(body)
            taken, opened = await peopleanswers.answer(plant, token, choice, now)
        except ValidationError:
            fault = "no_answer"
        except DataError:
            fault = "no_amount"
        except UnavailableError as error:
            log.error("an answer could not be taken", why=str(error))
            fault = "try_again"
    result = _result(taken, opened, fault)
    if is_json:
        plant.metrics.people.page(result)
        return web.json_response({"result": result}, status=STATUS[result], headers=HEADERS)
    if taken:  # so that loading the page again sends nothing again
        plant.metrics.people.page(result)
        back = f"?lang={_language(request, opened)}"  # the same page: its token is in no header
        return web.Response(status=303, headers={**HEADERS, "Location": back})
    return _html(plant, request, result, opened, fault=fault)


def _result(taken: bool, opened: Opened, fault: str) -> Result:
    if fault:
        return Result.TRY_AGAIN if fault == "try_again" else Result.NO_ANSWER
    if taken:
        return Result.ANSWERED
    match opened:
        case Answered():
            return Result.ALREADY
        case NoLink():
            return Result.UNKNOWN
        case _:
            return Result.OVER


def _choice_of_json(body: bytes) -> Choice:
    """Raises ValidationError: it is none."""
    return _choice(AnswerBody.model_validate_json(body))


def _choice_of_form(body: bytes) -> Choice:
    """Raises ValidationError: it is none. DataError: the amount is no number."""
    try:
        form = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=5)
    except ValueError:  # not UTF-8, too many fields
        form = {}
    given: dict[str, Any] = {name: values[-1] for name, values in form.items()}
    if given.get("answer") == "less":
        given["amount_kw"] = _number(given.get("amount_kw", ""))
    return _choice(AnswerBody.model_validate(given))


def _number(text: str) -> float:
    """A number as people write it, with a point or a comma. Raises DataError: it is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise DataError("no number above 0", where="amount_kw", fix="Give one")
    return value


def _choice(body: AnswerBody) -> Choice:
    match body.answer:
        case "accept":
            return Accept()
        case "less":
            if body.amount_kw is None:
                raise DataError("there is no amount_kw", where="amount_kw", fix="Give it")
            return Less(amount_kw=body.amount_kw)
        case "decline":
            return Decline(reason="".join(c for c in body.reason if c.isprintable()))


def _html(
    plant: Plant, request: web.Request, result: Result, opened: Opened, *, fault: str = ""
) -> web.Response:
    plant.metrics.people.page(result)
    section = plant.file.people.page
    base = "" if section is None else urlsplit(section.url).path.rstrip("/")
    zone = plant.file.park.timezone
    text = page(opened, _language(request, opened), zone, f"{base}/{STYLE}", fault=fault)
    return web.Response(text=text, status=STATUS[result], content_type="text/html", headers=HEADERS)


def _language(request: web.Request, opened: Opened) -> Language:
    """As asked for by the page's own link, else that of the person, else that of the browser."""
    match request.query.get("lang"):
        case "zh":
            return "zh"
        case "en":
            return "en"
    match opened:
        case Asked(person=person) | Answered(person=person):
            return person.language
        case NoLink():
            return "zh" if request.headers.get("Accept-Language", "").startswith("zh") else "en"
        case _:
            return opened.language
