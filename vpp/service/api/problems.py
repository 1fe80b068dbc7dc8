"""How the service says no: RFC 9457 problem+json, with a code that never changes its meaning.

`CODES` is the whole list; the OpenAPI document, the answers and the tests read it from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aiohttp import web

from vpp.errors import (
    ConflictError,
    DataError,
    PlanError,
    UnavailableError,
    VppError,
)
from vpp.trade.calendar import TradeRefusal
from vpp.wire import Problem, ProblemFault

CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "bad_request": (400, "The request cannot be read"),
        "malformed_json": (400, "The body is not JSON"),
        "duplicate_key": (400, "A key stands twice in the body"),
        "origin_not_allowed": (403, "The request comes from another site"),
        "not_found": (404, "There is nothing at this path"),
        "unknown_product": (404, "No such product"),
        "unknown_enterprise": (404, "No such enterprise"),
        "unknown_bid_set": (404, "No such bid set"),
        "unknown_limit": (404, "No such limit order"),
        "unknown_override": (404, "No such override"),
        "unknown_resource": (404, "No such resource"),
        "unknown_instruction": (404, "No such instruction"),
        "unknown_invitation": (404, "No such invitation"),
        "unknown_series": (404, "No such series"),
        "unknown_simulation": (404, "No such simulation"),
        "unknown_nomination": (404, "No such nomination"),
        "unknown_trade": (404, "No such outside trade"),
        "unknown_snapshot": (404, "No such snapshot"),
        "unknown_venue": (404, "No such venue"),
        "unknown_version": (404, "No such version of the strategies"),
        "unknown_preview": (404, "No such preview"),
        "unknown_report": (404, "No such reports are owed"),
        "unknown_platform": (404, "No such platform"),
        "method_not_allowed": (405, "Not with this method"),
        "request_timeout": (408, "The body did not arrive in time"),
        "conflict": (409, "Known already, with other content"),
        "shadow": (409, "The bids stay in the shadow"),
        "over": (409, "Its time has passed"),
        "locked": (409, "A person locked what is bid for it"),
        "gate_closed": (409, "The gate has closed"),
        "gate_not_open": (409, "The gate is not open yet"),
        "body_too_large": (413, "The body is too large"),
        "unsupported_media_type": (415, "Not JSON"),
        "host_not_allowed": (421, "This host is not served here"),
        "invalid_body": (422, "The body does not fit the schema"),
        "invalid_query": (422, "The query does not fit the schema"),
        "invalid_data": (422, "A value breaks a rule"),
        "off_grid": (422, "No such delivery"),
        "wrong_length": (422, "Not one value for each interval"),
        "unknown_unit": (422, "No such unit"),
        "unknown_park": (422, "No such park, or none that can be simulated"),
        "invalid_strategies": (422, "The strategy file has faults"),
        "not_biddable": (422, "Nothing is bid into this product"),
        "rate_exceeded": (429, "Too many bid sets"),
        "what_if_running": (429, "One what-if at a time"),
        "preview_running": (429, "One preview at a time"),
        "too_many_simulations": (429, "So many simulations are run already"),
        "internal": (500, "A fault of the service"),
        "simulation_failed": (500, "The simulation broke"),
        "unavailable": (503, "Not possible now"),
        "not_ready": (503, "Not ready"),
        "stalled": (503, "The cycles stand still"),
        "too_many_streams": (503, "Too many listeners"),
        "no_plan": (503, "There is no plan"),
        "plan_stale": (503, "The plan is too old"),
        "plan_too_short": (503, "The plan does not reach so far"),
        "prices_missing": (503, "Prices are missing"),
        "limits_breached": (503, "The bids would break a limit"),
        "needs_approval": (503, "A person must look at these bids"),
        "no_new_bids": (503, "No new bids for now"),
        "killed": (503, "The kill switch is set"),
    }
)
"""Code → (HTTP status, title)."""

RETRY_AFTER_S = 10
"""What a 503 suggests; a plan is made every quarter-hour, a broker comes back sooner."""


class HttpRefusal(VppError):  # noqa: N818  (a refusal is an answer, not a fault)
    """A request that is answered with a problem."""

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str,
        fix: str,
        faults: Sequence[ProblemFault] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`code` is one of `CODES`; `faults` are all that is wrong, each with its path."""
        super().__init__(what, where=where, fix=fix)
        self.code = code
        self.faults = tuple(faults)
        self.headers = headers

    @property
    def status(self) -> int:
        return CODES[self.code][0]


def refusal_of(error: VppError) -> HttpRefusal | None:
    """How an error of the inside is told to the outside; None where it is a fault of our own."""
    match error:
        case HttpRefusal():
            return error
        case TradeRefusal():
            code = error.code
        case ConflictError():
            code = "conflict"
        case UnavailableError():
            code = "unavailable"
        case PlanError():
            code = "no_plan"
        case DataError():
            code = "invalid_data"
        case _:
            return None
    return HttpRefusal(error.what, code=code, where=error.where, fix=error.fix)


def refusal_of_http(error: web.HTTPException) -> HttpRefusal:
    """What aiohttp refuses by itself: an unknown path, another method, too large a body."""
    codes = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
    kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    fixes = {
        404: "Look at /docs for what there is",
        405: f"Use {kept.get('Allow', 'another method')}",
        413: "Send at most 1 MB",
    }
    return HttpRefusal(
        error.reason,
        code=codes.get(error.status, "bad_request"),
        where="request",
        fix=fixes.get(error.status, "Look at /docs"),
        headers=kept,
    )


def problem_response(refusal: HttpRefusal, correlation_id: str) -> web.Response:
    """The problem+json of a refusal."""
    status, title = CODES[refusal.code]
    problem = Problem(
        type=f"urn:vpp:problem:{refusal.code}",
        title=title,
        status=status,
        code=refusal.code,
        detail=str(refusal),
        errors=list(refusal.faults),
        correlation_id=correlation_id,
    )
    headers = dict(refusal.headers)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return web.Response(
        status=status,
        body=problem.model_dump_json().encode(),
        content_type="application/problem+json",
        headers=headers,
    )
