"""The command `vpp forecast`: a series' next days with their spread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpp.commands.shared import Json, length_of, wide_console
from vpp.errors import ConfigError

if TYPE_CHECKING:
    from vpp.sense.forecast.base import Site


def forecast(
    series: Annotated[Path, typer.Argument(help="CSV: interval_start, then NAME [unit] columns.")],
    score: Annotated[bool, typer.Option(help="Tell how good each model was, by lead.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw forecast and coverage as PNG.")] = None,
    model: Annotated[str, typer.Option(help="The model's name; auto takes the best.")] = "auto",
    column: Annotated[
        str | None, typer.Option("--series", help="Which column; the first where left out.")
    ] = None,
    regressor: Annotated[
        list[str] | None, typer.Option(help="A column that explains it; may be given again.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone whose clock the series follows.")] = "UTC",
    country: Annotated[str | None, typer.Option(help="Whose holidays are rest days: DE.")] = None,
    subdivision: Annotated[str | None, typer.Option(help="State or province: BY.")] = None,
    site: Annotated[str | None, typer.Option(help="LAT,LON of a PV plant: 48.1,11.6.")] = None,
    panels: Annotated[
        str | None, typer.Option(help="TILT,AZIMUTH in degrees, as built; needs --site.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(help="HH:MM when prices of the next day are out.")
    ] = None,
    stamps: Annotated[
        str, typer.Option(help="zoned; local: the clock of --zone; sun: PV, offset not trusted.")
    ] = "zoned",
    clean: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, what is a defect; may be given again.")
    ] = None,
    horizon: Annotated[str, typer.Option(help="How far ahead.")] = "48h",
    window: Annotated[
        str, typer.Option(help="The newest part, on which models are tried.")
    ] = "56d",
    json_: Json = False,
) -> None:
    """Forecast a series from a file, with its spread; tell how good its models were on it."""
    from vpp.service.forecasting.command import (
        ForecastOptions,
        cleaning_rules,
        clock_time,
        forecast_file,
    )
    from vpp.service.forecasting.plot import draw_forecast
    from vpp.service.forecasting.show import show_forecast
    from vpp.service.park.rawtable import stamps_named
    from vpp.service.planning.picture import require_matplotlib

    if plot is not None:
        require_matplotlib()
    result = forecast_file(
        ForecastOptions(
            file=series,
            series=column,
            regressors=tuple(regressor or ()),
            model=model,
            zone=zone,
            country=country,
            subdivision=subdivision,
            site=_site(site, panels),
            published_at=None if published is None else clock_time(published),
            stamps=stamps_named(stamps),
            cleaning=cleaning_rules(clean or ()),
            horizon=length_of(horizon, "--horizon"),
            window=length_of(window, "--window"),
        )
    )
    if plot is not None:
        draw_forecast(result, plot)
    if json_:
        print(json.dumps(result.document(scored=score)))
    else:
        show_forecast(result, wide_console(), scored=score)


def _site(site: str | None, panels: str | None) -> Site | None:
    from vpp.service.forecasting.command import place

    if site is None and panels is not None:
        raise ConfigError("nobody said where they stand", where="--panels", fix="Add --site")
    return None if site is None else place(site, panels)
