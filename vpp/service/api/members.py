"""Members: one enterprise's own view and statement, windows that it asks for, what operators decide.

Nothing that these routes answer under `/v1/members/{enterprise}` is about another enterprise, refusals included,
so that a log-in can let a member in here and nowhere else.
"""

from __future__ import annotations

from typing import Literal

from vpp.errors import ConfigError, DataError
from vpp.service.accounts import books, periods
from vpp.service.accounts.views import PeriodStatementsView, PeriodsView, StatementRow
from vpp.service.api.accounts import Period, enterprise_of
from vpp.service.api.positions import csv_response
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.reading import MAX_FAULTS
from vpp.service.api.routes import Answer, AnyRoute, Call, Nothing, reading, writing
from vpp.service.csvtext import csv_of
from vpp.service.members import asking, own
from vpp.service.members.views import MemberView
from vpp.service.park.config import ConfigErrors
from vpp.service.plant import Plant
from vpp.service.tuning.view import fault_views
from vpp.wire import ProblemFault, WireModel
from vpp.wiremembers import (
    DecisionRequest,
    WindowRequest,
    WindowRequestsView,
    WindowRequestView,
    WithdrawalRequest,
)


class OwnStatementQuery(WireModel):
    period: Period
    """A local day, `2025-12-03`, or a month, `2025-12`."""
    format: Literal["json", "csv"] = "json"


async def show_member(plant: Plant, call: Call[Nothing, Nothing]) -> MemberView:
    return own.member_view(plant, enterprise_of(plant, call.path["enterprise"]), call.now)


async def list_own_periods(plant: Plant, call: Call[Nothing, Nothing]) -> PeriodsView:
    enterprise_of(plant, call.path["enterprise"])
    return periods.periods(plant)


async def show_own_statement(plant: Plant, call: Call[OwnStatementQuery, Nothing]) -> Answer:
    owner, period = enterprise_of(plant, call.path["enterprise"]), call.query.period
    view: PeriodStatementsView = books.statements_of(plant, period, owner, call.now)
    if call.query.format == "csv":
        rows = books.statement_rows(view)
        return csv_response(f"statement-{period}-{owner}", csv_of(StatementRow, rows))
    return view


async def ask_for_window(plant: Plant, call: Call[Nothing, WindowRequest]) -> WindowRequestView:
    owner = enterprise_of(plant, call.path["enterprise"])
    return own.request_view(await asking.ask(plant, owner, call.body, now=call.now))


async def withdraw_request(
    plant: Plant, call: Call[Nothing, WithdrawalRequest]
) -> WindowRequestView:
    owner, number = enterprise_of(plant, call.path["enterprise"]), _number(call.path["request"])
    said = call.body
    done = await asking.withdraw(plant, owner, number, by=said.by, reason=said.reason, now=call.now)
    return own.request_view(done)


async def list_requests(plant: Plant, call: Call[Nothing, Nothing]) -> WindowRequestsView:
    return WindowRequestsView(requests=own.requests_of(plant, None))


async def decide_request(plant: Plant, call: Call[Nothing, DecisionRequest]) -> WindowRequestView:
    number, said = _number(call.path["request"]), call.body
    try:
        done = await asking.decide(
            plant, number, accept=said.accept, by=said.by, reason=said.reason, now=call.now
        )
    except ConfigErrors as error:
        raise HttpRefusal(
            "with it the strategy file would not hold",
            code="invalid_data",
            where=f"request {number}",
            fix="Refuse it, or change the strategy file",
            faults=[
                ProblemFault(path=fault.path, what=fault.what)
                for fault in fault_views(error.faults[:MAX_FAULTS])
            ],
        ) from error
    except ConfigError as error:
        raise DataError(error.what, where=error.where, fix=error.fix) from error
    return own.request_view(done)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise DataError(
            f"{text[:20]} is no number of a request",
            where="requests",
            fix="Name one that is listed",
        )
    return int(text)


_MEMBER = "/v1/members/{enterprise}"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        _MEMBER,
        "One enterprise's own view: load, plan, agreement, invitations, calls; nothing of the others",
        show_member,
        gives=MemberView,
        codes=("unknown_enterprise",),
    ),
    reading(
        f"{_MEMBER}/periods",
        "Days and months of which there is a statement",
        list_own_periods,
        gives=PeriodsView,
        codes=("unknown_enterprise",),
    ),
    reading(
        f"{_MEMBER}/statement",
        "Its statement of a day or month; `format=csv` for a table",
        show_own_statement,
        gives=PeriodStatementsView,
        query=OwnStatementQuery,
        codes=("invalid_data", "unknown_enterprise"),
    ),
    writing(
        "POST",
        f"{_MEMBER}/requests",
        "Ask for a window: maintenance, no steering, no calls; an operator confirms it",
        ask_for_window,
        takes=WindowRequest,
        gives=WindowRequestView,
        codes=("unknown_enterprise", "invalid_data", "unavailable"),
    ),
    writing(
        "POST",
        f"{_MEMBER}/requests/{{request}}/withdraw",
        "Take back what was asked for and is not decided",
        withdraw_request,
        takes=WithdrawalRequest,
        gives=WindowRequestView,
        codes=("unknown_enterprise", "invalid_data", "conflict", "unavailable"),
    ),
    reading(
        "/v1/member-requests",
        "Windows that members asked for, and what became of them",
        list_requests,
        gives=WindowRequestsView,
    ),
    writing(
        "POST",
        "/v1/member-requests/{request}/decision",
        "Confirm a window, so that it stands in the strategy file from the next plan on, or refuse it",
        decide_request,
        takes=DecisionRequest,
        gives=WindowRequestView,
        codes=("invalid_data", "conflict", "unavailable"),
    ),
)
