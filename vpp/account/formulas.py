"""Settlement formulas of market products, one function each, over one interval (or call, or month).

A sum over intervals is the caller's. Energies in MWh and powers in MW count net injection (sold, fed and
regulated up above 0), prices are per MWh unless the name says else, results are money to us, unrounded.
Sources: the rules that a market file names; the arithmetic is common to them.
"""

from __future__ import annotations

from decimal import Decimal

from vpp.account.completion import Band, paid_quantity

ZERO = Decimal(0)


def two_settlement(
    *,
    contract_mwh: Decimal,
    contract_price: Decimal,
    day_ahead_mwh: Decimal,
    day_ahead_price: Decimal,
    actual_mwh: Decimal,
    real_time_price: Decimal,
) -> Decimal:
    """A contract, what the day-ahead market adds to it, what the real time adds to that."""
    return (
        contract_mwh * contract_price
        + (day_ahead_mwh - contract_mwh) * day_ahead_price
        + (actual_mwh - day_ahead_mwh) * real_time_price
    )


def single_spot(*, actual_mwh: Decimal, real_time_price: Decimal) -> Decimal:
    """All that flows at the price of the real time."""
    return actual_mwh * real_time_price


def exchange_imbalance(
    *,
    day_ahead_mwh: Decimal,
    day_ahead_price: Decimal,
    intraday_mwh: Decimal,
    intraday_price: Decimal,
    actual_mwh: Decimal,
    imbalance_price: Decimal,
    activated_mwh: Decimal = ZERO,
) -> Decimal:
    """What was traded, and the rest at the imbalance price; balancing energy belongs to the schedule."""
    scheduled = day_ahead_mwh + intraday_mwh + activated_mwh
    return (
        day_ahead_mwh * day_ahead_price
        + intraday_mwh * intraday_price
        + (actual_mwh - scheduled) * imbalance_price
    )


def deviation_only(
    *, actual_mwh: Decimal, baseline_mwh: Decimal, real_time_price: Decimal
) -> Decimal:
    """The difference to the baseline alone: the members' supplier settles the rest."""
    return (actual_mwh - baseline_mwh) * real_time_price


def capacity_availability(
    *,
    awarded_mw: Decimal,
    price_per_mw_h: Decimal,
    hours: Decimal,
    availability: Decimal,
    forfeited: Decimal = ZERO,
) -> Decimal:
    """Capacity held, as far as it was there (0 to 1), less what is forfeited."""
    return awarded_mw * price_per_mw_h * hours * availability - forfeited


def reserve_energy(*, activated_mwh: Decimal, price: Decimal) -> Decimal:
    """Activated energy at its price, as bid or as cleared."""
    return activated_mwh * price


def mileage_k(
    *,
    mileage_mw: Decimal,
    price_per_mw: Decimal,
    performance: Decimal,
    m_factor: Decimal,
    capacity_mw: Decimal = ZERO,
    capacity_price_per_mw_h: Decimal = ZERO,
    hours: Decimal = ZERO,
) -> Decimal:
    """Regulation mileage by price and performance index, and capacity where the rule pays it."""
    paid = m_factor * mileage_mw * price_per_mw * performance
    return paid + capacity_mw * capacity_price_per_mw_h * hours


def baseline_energy(
    *, response_mwh: Decimal, cleared_mwh: Decimal, price: Decimal, bands: tuple[Band, ...]
) -> Decimal:
    """Demand response by energy: the completion band says which part is paid and up to how much."""
    return paid_quantity(response_mwh, cleared_mwh, bands) * price


def baseline_capacity(
    *,
    response_mw: Decimal,
    cleared_mw: Decimal,
    price_per_mw: Decimal,
    bands: tuple[Band, ...],
    speed_coefficient: Decimal = Decimal(1),
    time_coefficient: Decimal = Decimal(1),
) -> Decimal:
    """Demand response by the mean power of a call."""
    paid_mw = paid_quantity(response_mw, cleared_mw, bands)
    return paid_mw * price_per_mw * speed_coefficient * time_coefficient


def contract_reserve(
    *,
    contracted_mw: Decimal,
    called_mw: Decimal,
    reserve_price_per_mw_month: Decimal,
    response_mwh: Decimal,
    cleared_mwh: Decimal,
    energy_price_per_mwh: Decimal,
    bands: tuple[Band, ...],
) -> Decimal:
    """A month of contracted response: a fee for what was not called, energy for what was."""
    held = max(ZERO, contracted_mw - called_mw) * reserve_price_per_mw_month
    return held + baseline_energy(
        response_mwh=response_mwh, cleared_mwh=cleared_mwh, price=energy_price_per_mwh, bands=bands
    )


def bm_accepted(
    *, accepted_mwh: Decimal, pair_price: Decimal, missing_mwh: Decimal, imbalance_price: Decimal
) -> Decimal:
    """An accepted offer (above 0) or bid at its own price, less the charge on what was not delivered."""
    return accepted_mwh * pair_price - abs(missing_mwh) * max(pair_price, imbalance_price)


def fcas_enabled(*, enabled_mw: Decimal, price_per_mw_h: Decimal, hours: Decimal) -> Decimal:
    """Enabled MW of one dispatch interval, by the hour."""
    return enabled_mw * price_per_mw_h * hours


def pdr(
    *,
    baseline_mwh: Decimal,
    actual_mwh: Decimal,
    locational_price: Decimal,
    bid_price: Decimal,
    threshold_price: Decimal,
) -> Decimal:
    """Draw below the baseline, never below 0, and only for bids that reach the net benefits threshold.

    Here both energies are draw above 0, as the meter of a proxy demand resource counts.
    """
    if bid_price < threshold_price:
        return ZERO
    return max(ZERO, baseline_mwh - max(ZERO, actual_mwh)) * locational_price


def penalty_band(
    *, actual_mwh: Decimal, set_mwh: Decimal, band: Decimal, price: Decimal, k: Decimal
) -> Decimal:
    """What is owed for a deviation beyond a band around what was set; never below 0."""
    return max(ZERO, abs(actual_mwh - set_mwh) - band * abs(set_mwh)) * price * k


def claw_back(
    *,
    day_ahead_mwh: Decimal,
    actual_mwh: Decimal,
    band: Decimal,
    day_ahead_price: Decimal,
    real_time_price: Decimal,
    k: Decimal = Decimal(1),
) -> Decimal:
    """The gain of a user who declared a day ahead too much or too little, beyond a band; owed, never below 0.

    Here both energies are draw above 0.
    """
    over = max(ZERO, day_ahead_mwh - (1 + band) * actual_mwh)
    under = max(ZERO, (1 - band) * actual_mwh - day_ahead_mwh)
    dearer = real_time_price - day_ahead_price
    return k * (over * max(ZERO, dearer) + under * max(ZERO, -dearer))


def imbalance_price(*, actual_mwh: Decimal, set_mwh: Decimal, price: Decimal) -> Decimal:
    """What is owed where the deviation settles at a price of its own."""
    return (set_mwh - actual_mwh) * price


def shortfall(
    *,
    cleared_mw: Decimal,
    response_mw: Decimal,
    hours: Decimal,
    price: Decimal,
    ratio: Decimal,
    multiplier: Decimal,
) -> Decimal:
    """What is owed for a response below a part of what was cleared; never below 0."""
    return max(ZERO, ratio * cleared_mw - response_mw) * hours * price * multiplier


def forfeit_capacity_below(
    *, response_mw: Decimal, cleared_mw: Decimal, capacity_fee: Decimal, ratio: Decimal
) -> Decimal:
    """The whole capacity fee is owed back where less than a part of what was cleared came."""
    return capacity_fee if response_mw < ratio * cleared_mw else ZERO


def trapezium_mw(
    power_mw: Decimal,
    *,
    enablement_min: Decimal,
    low_breakpoint: Decimal,
    high_breakpoint: Decimal,
    enablement_max: Decimal,
    max_available_mw: Decimal,
) -> Decimal:
    """How much of a frequency service can be enabled at an energy target (NEM); 0 outside the trapezium.

    enablement_min < low_breakpoint <= high_breakpoint < enablement_max, or a side that stands upright.
    """
    if not enablement_min <= power_mw <= enablement_max:
        return ZERO
    available = max_available_mw
    if low_breakpoint > enablement_min:
        rise = (power_mw - enablement_min) * max_available_mw / (low_breakpoint - enablement_min)
        available = min(available, rise)
    if enablement_max > high_breakpoint:
        fall = (enablement_max - power_mw) * max_available_mw / (enablement_max - high_breakpoint)
        available = min(available, fall)
    return available
