"""Named rules that join the keys of one market file; each fault tells its place and the rule's name.

    for name, rule in RULES: rule(market) ──▶ (path, what) … ──▶ file:line:col: path: what [name]

What is about sources and what a person has cleared is in `sources.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TypeAlias

from vpp.account import rulebook
from vpp.account.rulebook import NamedRule
from vpp.model.gate import HOUR, DayMoment
from vpp.model.time import QUARTER
from vpp.service.markets.markettime import duration, gate_moment, wall
from vpp.service.markets.schema import MarketSection, PriceRange
from vpp.service.park.config import KeyPath

Broken: TypeAlias = Iterator[tuple[KeyPath, str]]
MarketRule: TypeAlias = Callable[[MarketSection], Broken]

DAY = timedelta(days=1)
NEEDS_SEGMENTS = ("curve_linear", "segments_mw_price", "price_bands_fixed", "bid_offer_pairs")
NEEDS_BASELINE = (
    "baseline_energy",
    "baseline_capacity",
    "contract_reserve",
    "pdr",
    "deviation_only",
)


def validity_is_a_span(market: MarketSection) -> Broken:
    if market.valid_to is not None and market.valid_to <= market.valid_from:
        yield ("valid_to",), f"{market.valid_to} is not after valid_from {market.valid_from}"


def unit_names_the_currency(market: MarketSection) -> Broken:
    for path, prices in _prices(market):
        if not prices.unit.startswith(f"{market.currency}/"):
            yield (*path, "unit"), f"{prices.unit} is not in {market.currency}"


# ---------------------------------------------------------------- calendar


def intervals_divide_the_day(market: MarketSection) -> Broken:
    calendar = market.calendar
    for key in ("delivery_interval", "settlement_interval"):
        if DAY % duration(getattr(calendar, key)):
            yield ("calendar", key), f"{getattr(calendar, key)} does not divide a day"
    count = DAY // duration(calendar.delivery_interval)
    if calendar.intervals_per_day not in (None, count):
        yield ("calendar", "intervals_per_day"), f"a day of 24 hours has {count}"


def gate_forms_match(market: MarketSection) -> Broken:
    """A day-ahead gate opens and tells results on days, a rolling one may open on a day before too."""
    calendar = market.calendar
    rolling = isinstance(gate_moment(calendar.gate_close), timedelta)
    for key in ("gate_open", "results_at"):
        text = getattr(calendar, key)
        if text is None or (key == "gate_open" and rolling):
            continue
        if isinstance(gate_moment(text), timedelta) != rolling:
            yield ("calendar", key), f"{text} does not go with a gate at {calendar.gate_close}"
    if rolling and duration(calendar.delivery_interval) > HOUR:
        yield ("calendar", "gate_close"), "a gate for each interval needs intervals up to an hour"
    if rolling and calendar.day_starts is not None:
        yield ("calendar", "day_starts"), "a gate for each interval knows no delivery day"


def gates_in_order(market: MarketSection) -> Broken:
    """Open, close, results (which may come while the delivery runs); the gate before the delivery."""
    calendar = market.calendar
    closes = gate_moment(calendar.gate_close)
    opens = None if calendar.gate_open is None else gate_moment(calendar.gate_open)
    results = None if calendar.results_at is None else gate_moment(calendar.results_at)
    if isinstance(closes, DayMoment):
        starts = timedelta(0)
        if calendar.day_starts is not None:
            starts = timedelta(hours=calendar.day_starts.hour, minutes=calendar.day_starts.minute)
        if wall(closes) > starts:
            yield ("calendar", "gate_close"), f"{calendar.gate_close} is after the delivery starts"
        if isinstance(opens, DayMoment) and wall(opens) >= wall(closes):
            yield ("calendar", "gate_open"), f"{calendar.gate_open} is not before the gate closes"
        if isinstance(results, DayMoment) and wall(results) < wall(closes):
            yield ("calendar", "results_at"), f"{calendar.results_at} is before the gate closes"
        return
    if isinstance(opens, timedelta) and opens <= closes:
        yield ("calendar", "gate_open"), f"{calendar.gate_open} is not before the gate closes"
    if isinstance(opens, DayMoment) and wall(opens) >= -closes:
        yield ("calendar", "gate_open"), f"{calendar.gate_open} is after the first gate of a day"
    if isinstance(results, timedelta) and results > closes:
        yield ("calendar", "results_at"), f"{calendar.results_at} is before the gate closes"


def day_types_hold_a_weekday(market: MarketSection) -> Broken:
    """Holidays alone may not come for a year, and no next delivery could be told."""
    types = market.calendar.day_types
    if types is not None and not {"business", "weekend"} & set(types):
        yield ("calendar", "day_types"), "name business or weekend days too"


# ---------------------------------------------------------------- offer


def offer_form_has_its_fields(market: MarketSection) -> Broken:
    offer, form = market.offer, market.offer.form
    if form in NEEDS_SEGMENTS and offer.segments is None:
        yield ("offer",), f"{form} needs segments"
    if form in ("quantity_only", "self_schedule") and offer.price is not None:
        yield ("offer", "price"), f"{form} has no price"
    if form not in ("quantity_only", "self_schedule") and offer.price is None:
        yield ("offer",), f"{form} needs a price"
    if form == "block" and (offer.block is None or not offer.block.allowed):
        yield ("offer",), "block needs `block: {allowed: true}`"
    if form == "single" and offer.segments is not None:
        yield ("offer", "segments"), "a single offer has no segments"
    if form == "price_bands_fixed" and offer.per_interval:
        yield ("offer",), "price_bands_fixed holds prices for the day: per_interval: false"
    if offer.undo_price and form != "bid_offer_pairs":
        yield ("offer", "undo_price"), "only bid_offer_pairs have undo prices"
    if offer.trapezium and market.kind not in ("fcas_contingency", "regulation"):
        yield ("offer", "trapezium"), f"{market.kind} has no trapezium"


def segments_in_order(market: MarketSection) -> Broken:
    segments = market.offer.segments
    if segments is not None and segments.min > segments.max:
        yield ("offer", "segments", "min"), f"{segments.min} is above max {segments.max}"


def prices_on_their_grid(market: MarketSection) -> Broken:
    for path, prices in _prices(market):
        if prices.min >= prices.max:
            yield (*path, "min"), f"{prices.min} is not below max {prices.max}"
        for key in ("min", "max"):
            if getattr(prices, key) % prices.step:
                yield (*path, key), f"{getattr(prices, key)} is no multiple of step {prices.step}"
        if prices.decimals is not None and prices.step % (Decimal(1).scaleb(-prices.decimals)):
            yield (*path, "step"), f"{prices.step} has more than {prices.decimals} decimals"


def quantities_on_their_grid(market: MarketSection) -> Broken:
    quantity = market.offer.quantity
    for key in ("min", "max"):
        value = getattr(quantity, key)
        if value is not None and value % quantity.step:
            yield ("offer", "quantity", key), f"{value} is no multiple of step {quantity.step}"
    if quantity.max is not None and quantity.max < quantity.min:
        yield ("offer", "quantity", "max"), f"{quantity.max} is below min {quantity.min}"


def sense_fits_the_direction(market: MarketSection) -> Broken:
    if market.offer.sense == "demand" and market.direction in ("up", "symmetric"):
        yield ("offer", "sense"), f"a demand curve does not fit the direction {market.direction}"


def eligibility_in_order(market: MarketSection) -> Broken:
    wanted = market.eligibility
    if wanted.min_mw is not None and wanted.max_mw is not None and wanted.min_mw > wanted.max_mw:
        yield ("eligibility", "max_mw"), f"{wanted.max_mw} is below min_mw {wanted.min_mw}"


def holds_in_order(market: MarketSection) -> Broken:
    call = market.activation
    if call is None or call.min_hold_s is None or call.max_hold_s is None:
        return
    if call.min_hold_s > call.max_hold_s:
        yield ("activation", "max_hold_s"), f"{call.max_hold_s} is below min_hold_s"


# ---------------------------------------------------------------- named rules


def formula_resolves(market: MarketSection) -> Broken:
    settlement = market.settlement
    yield from _resolves(("settlement", "formula"), settlement.formula, rulebook.FORMULAS)
    known = rulebook.FORMULAS.get(settlement.formula)
    if known is not None:
        yield from _params(("settlement", "params"), set(settlement.params), known)


def index_resolves(market: MarketSection) -> Broken:
    performance = market.performance
    yield from _resolves(("performance", "index"), performance.index, rulebook.INDEXES)
    known = rulebook.INDEXES.get(performance.index)
    if known is not None:
        yield from _params(("performance", "params"), set(performance.params), known)
    if performance.index == "tolerance_band" and performance.tolerance is None:
        yield ("performance",), "tolerance_band needs a tolerance"


def method_resolves(market: MarketSection) -> Broken:
    baseline = market.baseline
    yield from _resolves(("baseline", "method"), baseline.method, rulebook.METHODS)
    known = rulebook.METHODS.get(baseline.method)
    if known is not None and "n_days" in known.params and baseline.n_days is None:
        yield ("baseline",), f"{baseline.method} needs n_days"
    if market.settlement.formula in NEEDS_BASELINE and baseline.method == "none":
        yield (
            ("baseline",),
            f"{market.settlement.formula} settles against a baseline: name a method",
        )


def penalty_resolves(market: MarketSection) -> Broken:
    for place, penalty in enumerate(market.settlement.penalties):
        path: KeyPath = ("settlement", "penalties", place)
        yield from _resolves((*path, "rule"), penalty.rule, rulebook.PENALTIES)
        known = rulebook.PENALTIES.get(penalty.rule)
        if known is not None:
            yield from _params(path, penalty.model_fields_set - {"rule"}, known)


def deviation_resolves(market: MarketSection) -> Broken:
    deviation = market.settlement.deviation
    if deviation is None:
        return
    path = ("settlement", "deviation")
    yield from _resolves((*path, "family"), deviation.family, rulebook.DEVIATIONS)
    known = rulebook.DEVIATIONS.get(deviation.family)
    if known is not None:
        yield from _params(path, deviation.model_fields_set - {"family"}, known)


def bands_are_contiguous(market: MarketSection) -> Broken:
    """From 0 on, without a hole, the last one without end: every completion is paid by one band."""
    bands = market.performance.bands
    path = ("performance", "bands")
    if not bands:
        return
    if bands[0].from_ != 0:
        yield (*path, 0, "from"), f"begins at {bands[0].from_}, not at 0"
    for place, (one, following) in enumerate(pairwise(bands), start=1):
        if one.to != following.from_:
            yield (*path, place, "from"), f"{following.from_} is not where the band before ends"
    for place, band in enumerate(bands):
        if band.to is not None and band.to <= band.from_:
            yield (*path, place, "to"), f"{band.to} is not above from {band.from_}"
    if bands[-1].to is not None:
        yield (*path, len(bands) - 1, "to"), "the last band has no end: leave it out"


def gaps_are_ruled(market: MarketSection) -> Broken:
    """What is traded a day ahead here settles at once, also where an imbalance price is missing."""
    settlement = market.settlement
    traded = settlement.price_refs.clearing is not None and market.kind == "energy_da"
    if traded and not settlement.gap_rules:
        yield ("settlement",), "gap_rules: a day-ahead market that is traded needs at least one"


def real_time_is_named(market: MarketSection) -> Broken:
    """What two settlements leave over is paid at the price of a series: the file of a traded market names it."""
    refs = market.settlement.price_refs
    if market.settlement.formula == "two_settlement" and (refs.clearing is None) != (
        refs.rt is None
    ):
        yield ("settlement", "price_refs"), "two_settlement: give both clearing and rt, or neither"


def reports_on_their_grid(market: MarketSection) -> Broken:
    """Every report has a moment of the day at which it is owed, the same on each day."""
    owed = market.reporting
    if owed is None:
        return
    for key in ("telemetry_s", "members_s"):
        step_s = getattr(owed, key)
        if step_s is not None and 86_400 % step_s:
            yield ("reporting", key), f"{step_s} s do not divide a day"
    if owed.members_s is not None and (not owed.telemetry_s or owed.members_s % owed.telemetry_s):
        yield ("reporting", "members_s"), "is no multiple of telemetry_s, with which it is told"
    holds = [duration(hold) for hold in owed.holds]
    if any(later <= sooner for sooner, later in pairwise(holds)):
        yield ("reporting", "holds"), "are not in order, shortest first"
    if owed.forecast is not None:
        step, horizon = duration(owed.forecast.step), duration(owed.forecast.horizon)
        if DAY % step or step % QUARTER:
            yield ("reporting", "forecast", "step"), "is no number of quarter-hours in a day"
        if horizon % step or horizon > DAY:
            yield ("reporting", "forecast", "horizon"), "is no number of steps up to a day"
    if owed.schedule_points is not None and 96 % owed.schedule_points:
        what = f"{owed.schedule_points} points do not divide a day into quarter-hours"
        yield ("reporting", "schedule_points"), what
    if isinstance(gate_moment(owed.schedule_at), timedelta):
        yield ("reporting", "schedule_at"), "is no local time of a day, such as D-1T18:00"


RULES: dict[str, MarketRule] = {
    rule.__name__: rule
    for rule in (
        validity_is_a_span,
        unit_names_the_currency,
        intervals_divide_the_day,
        gate_forms_match,
        gates_in_order,
        day_types_hold_a_weekday,
        offer_form_has_its_fields,
        segments_in_order,
        prices_on_their_grid,
        quantities_on_their_grid,
        sense_fits_the_direction,
        eligibility_in_order,
        holds_in_order,
        formula_resolves,
        index_resolves,
        method_resolves,
        penalty_resolves,
        deviation_resolves,
        bands_are_contiguous,
        gaps_are_ruled,
        real_time_is_named,
        reports_on_their_grid,
    )
}


def _prices(market: MarketSection) -> Iterator[tuple[KeyPath, PriceRange]]:
    for key in ("price", "capacity_price"):
        prices = getattr(market.offer, key)
        if prices is not None:
            yield ("offer", key), prices


def _resolves(path: KeyPath, name: str, known: Mapping[str, NamedRule]) -> Broken:
    if name not in known:
        yield path, f"no rule {name!r} is known; known: {', '.join(sorted(known))}"


def _params(path: KeyPath, given: set[str], rule: NamedRule) -> Broken:
    for name in sorted(rule.params - given):
        yield path, f"the parameter {name} is missing"
    for name in sorted(given - rule.params):
        yield (
            (*path, name),
            f"no parameter of this rule; it has: {', '.join(sorted(rule.params)) or 'none'}",
        )
