"""What each enterprise gets and pays."""

from __future__ import annotations

from decimal import Decimal

from vpp.model.settlement import Statement
from vpp.service import accounting
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import StatementLineView, StatementsView, StatementView
from vpp.service.plant import Plant
from vpp.wire import Span


async def list_statements(plant: Plant, call: Call[Nothing, Nothing]) -> StatementsView:
    statements = accounting.current_statements(plant)
    names = {e.enterprise_id: e.name for e in plant.file.park.enterprises}
    return StatementsView(
        currency=plant.file.park.currency,
        total=sum((one.total for one in statements), Decimal(0)),
        statements=[view_of(one, names[one.enterprise_id]) for one in statements],
    )


def view_of(of: Statement, name: str) -> StatementView:
    """A statement as it is shown; `name` is its enterprise's."""
    return StatementView(
        enterprise_id=of.enterprise_id,
        name=name,
        span=Span(start=of.span.start, end=of.span.end),
        currency=of.currency,
        lines=[
            StatementLineView(
                item=line.item, detail=line.detail, energy_kwh=line.energy_kwh, amount=line.amount
            )
            for line in of.lines
        ],
        total=of.total,
        import_kwh=of.import_kwh,
        export_kwh=of.export_kwh,
        baseline_kwh=of.baseline_kwh,
        carbon_kgco2=of.carbon_kgco2,
        carbon_by_figure_kwh=of.carbon_by_figure_kwh,
        provisional=of.provisional,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/statements",
        "The statement of each enterprise so far",
        list_statements,
        gives=StatementsView,
    ),
)
