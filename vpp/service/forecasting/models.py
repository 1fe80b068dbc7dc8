"""The models by the names that a park file gives them; each is loaded, with what it needs, when asked for."""

from __future__ import annotations

from vpp.errors import DataError
from vpp.sense.forecast.base import Model


def model(name: str) -> Model:
    """The model of that name.

    Raises:
        DataError: There is none.
    """
    for family in (_of_days_before, _of_rows, _of_sun_and_weather, _of_days_alike):
        found = family(name)
        if found is not None:
            return found
    raise DataError(f"there is no model {name!r}", where="forecasts", fix="See docs/park-file.md")


def _of_days_before(name: str) -> Model | None:
    from vpp.sense.forecast.baseline import BASELINE
    from vpp.sense.forecast.naive import MEAN_OF_LAST, SAME_WEEKDAY, YESTERDAY

    return {
        "yesterday": YESTERDAY,
        "same-weekday": SAME_WEEKDAY,
        "mean-of-last": MEAN_OF_LAST,
        "seasonal-baseline": BASELINE,
    }.get(name)


def _of_rows(name: str) -> Model | None:
    match name:
        case "regression":
            from vpp.sense.forecast.regression import REGRESSION

            return REGRESSION
        case "boosting":
            from vpp.sense.forecast.boosting import BOOSTING

            return BOOSTING
        case "ensemble":
            from vpp.sense.forecast.ensemble import ENSEMBLE

            return ENSEMBLE
        case _:
            return None


def _of_sun_and_weather(name: str) -> Model | None:
    match name:
        case "clear-sky-persistence":
            from vpp.sense.forecast.clearsky import ClearSkyPersistence

            return ClearSkyPersistence()
        case "clear-sky":
            from vpp.sense.forecast.clearsky import ClearSky

            return ClearSky()
        case "climatology":
            from vpp.sense.forecast.climatology import Climatology

            return Climatology()
        case _:
            return None


def _of_days_alike(name: str) -> Model | None:
    match name:
        case "sessions":
            from vpp.sense.forecast.sessions import Sessions

            return Sessions()
        case "lear":
            from vpp.sense.forecast.lear import Lear

            return Lear()
        case _:
            return None
