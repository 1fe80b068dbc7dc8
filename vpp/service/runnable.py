"""What a park must say, beyond being without faults, so that the daemon can live it."""

from __future__ import annotations

from vpp.errors import ConfigError
from vpp.service.inputs import reference_product_of
from vpp.service.park.parkfile import ParkFile


def require_runnable(file: ParkFile) -> None:
    """Said before a port is open: what is found in the first cycle only would end the daemon in the middle of it.

    Raises:
        ConfigError: The park names no market whose price says what energy is worth, or no bidding unit.
    """
    reference_product_of(file)
    if not file.park.bidding_units:
        raise ConfigError(
            "there is none, and what is planned and settled is a unit's",
            where="bidding_units",
            fix="Name one; without `products` it bids nowhere",
        )


def require_real_market(file: ParkFile) -> None:
    """With `simulated` everything leaves and nobody is asked: not beside real devices and a real market.

    Raises:
        ConfigError: The market is simulated with the park.
    """
    if file.trading.mode == "simulated":
        raise ConfigError(
            "is simulated, and a live park has no simulated market",
            where="trading.mode",
            fix="Say shadow, or live, which lets a product leave once a person has taken it live;"
            " `vpp demo` and `vpp backtest` simulate by themselves",
        )
