"""One peer on one set, in the peers' environment: nothing of ours is imported here.

    python -m benchmarks._forecast.peer_run PEER ASKED.npz ANSWERED.npz

Exit 0 where it ran, 3 with the reason on stderr where a library is not here.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

NOT_RUN = 3
WEEKS = 4
"""How much of the past a decomposition sees: more costs seconds a day at quarter-hours."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=tuple(PEERS))
    parser.add_argument("asked", type=Path)
    parser.add_argument("answered", type=Path)
    asked = parser.parse_args()
    with np.load(asked.asked) as arrays:
        given = dict(arrays)
    try:
        answer = PEERS[asked.peer](given)
    except ImportError as error:
        print(error, file=sys.stderr)
        return NOT_RUN
    np.savez(asked.answered, **answer)
    return 0


# ---------------------------------------------------------------- statsforecast


def seasonal_naive(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same weekday, with the intervals of the library."""
    from statsforecast.models import SeasonalNaive

    week = 7 * int(given["steps_a_day"])
    return _each_day(given, lambda: SeasonalNaive(season_length=week), whole=True)


def mstl(given: Mapping[str, Any]) -> dict[str, Any]:
    """Seasons of a day and a week and the library's own trend, over the last weeks."""
    from statsforecast.models import MSTL

    day = int(given["steps_a_day"])
    seasons = [day, 7 * day] if day > 1 else [7]
    return _each_day(given, lambda: MSTL(season_length=seasons), whole=False)


def _each_day(given: Mapping[str, Any], make: Callable[[], Any], *, whole: bool) -> dict[str, Any]:
    """Forecast each day from the values known then; gaps are filled with the week before."""
    week = 7 * int(given["steps_a_day"])
    levels = given["levels"]
    widths = [round(100 * (1 - 2 * p)) for p in levels if p < 0.5]
    answer: dict[str, Any] = {}
    issue_s = []
    for n, (known, first, last) in enumerate(
        zip(given["known"], given["first"], given["last"], strict=True)
    ):
        began = perf_counter()
        values = given["values"][:known].copy()
        values[given[f"defects_{n}"]] = np.nan
        values = _filled(values, week)
        y = values if whole else values[-WEEKS * week :]
        said = make().forecast(y=y, h=int(last - known), level=widths)
        day = slice(int(first - known), int(last - known))
        lows = [said[f"lo-{width}"][day] for width in widths]
        highs = [said[f"hi-{width}"][day] for width in reversed(widths)]
        answer[f"day_{n}"] = np.sort(np.array([*lows, said["mean"][day], *highs]), axis=0)
        issue_s.append(perf_counter() - began)
    return {**answer, "fit_s": np.array([]), "issue_s": np.array(issue_s)}


def _filled(values: Any, week: int) -> Any:
    """Steps that are not known take the value of a week before, the first week that of its mean."""
    filled = np.array(values, dtype=float)
    for step in np.flatnonzero(np.isnan(filled)):
        filled[step] = filled[step - week] if step >= week else np.nanmean(values)
    return filled


# ---------------------------------------------------------------- gradient boosting, our regressors


def lightgbm(given: Mapping[str, Any]) -> dict[str, Any]:
    """Its quantile objective, other settings as it brings them."""
    from lightgbm import LGBMRegressor

    return _boosted(
        given,
        lambda level: LGBMRegressor(objective="quantile", alpha=level, verbose=-1, n_jobs=1),
    )


def sklearn(given: Mapping[str, Any]) -> dict[str, Any]:
    """Histogram gradient boosting with the quantile loss, other settings as it brings them."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return _boosted(
        given, lambda level: HistGradientBoostingRegressor(loss="quantile", quantile=level)
    )


def _boosted(given: Mapping[str, Any], make: Callable[[float], Any]) -> dict[str, Any]:
    """One model for each level, learnt anew where the matrix for training is another one."""
    answer: dict[str, Any] = {}
    fit_s, issue_s = [], []
    models: list[Any] = []
    fit_of = -1
    for n, fit in enumerate(given["fit_of_day"]):
        if fit != fit_of:
            began, fit_of = perf_counter(), fit
            x, y = given[f"train_x_{fit}"], given[f"train_y_{fit}"]
            models = [make(float(level)).fit(x, y) for level in given["levels"]]
            fit_s.append(perf_counter() - began)
        began = perf_counter()
        said = np.array([model.predict(given[f"day_x_{n}"]) for model in models])
        answer[f"day_{n}"] = np.sort(said + given[f"day_base_{n}"], axis=0)
        issue_s.append(perf_counter() - began)
    return {**answer, "fit_s": np.array(fit_s), "issue_s": np.array(issue_s)}


PEERS = {
    "statsforecast-naive": seasonal_naive,
    "statsforecast-mstl": mstl,
    "lightgbm": lightgbm,
    "sklearn": sklearn,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    sys.exit(main())
