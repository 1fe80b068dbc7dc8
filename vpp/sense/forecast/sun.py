"""What a cloudless sky would send onto a panel: where the sun stands, irradiance, and the panel's tilt.

    site, time ─▶ sun (elevation, azimuth) ─▶ clear sky (Ineichen) ─▶ on the panel's plane ─▶ power
                                              measured or forecast ghi ─▶ split by Erbs ─┘

By pvlib, imported where it is used. Of the panel nothing need be known: tilt, azimuth and gain are
those whose clear-sky course lies as an upper edge along the measured power.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.errors import PlanError
from vpp.model.horizon import Floats, Horizon
from vpp.model.resource import Panels
from vpp.sense.forecast.base import Past, Site

_TURBIDITY = 3.0
"""Linke turbidity of a clean sky in a temperate climate. A wrong one goes into the gain; the yearly
course of it is small beside that of clouds."""

_ALBEDO = 0.2
_FINEST = timedelta(minutes=15)
"""Longer steps are the mean of pieces of about so long: over an hour the sun's course is bent."""

_TILTS_DEG = (0.0, 10, 20, 30, 40, 50, 60, 70, 90)
_AZIMUTHS_DEG = tuple(float(one) for one in range(75, 286, 15))
_EDGE = 0.85
"""Level of the quantile regression that finds the upper edge of the measured power."""

_HORIZON_DEG = 89.5
"""Beyond this zenith the clear-sky formula leaves its range, and nothing worth naming arrives."""

_BRIGHT_W_PER_M2 = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """The sun and a cloudless sky, means of each step, all of shape (steps,)."""

    elevation_deg: Floats
    azimuth_deg: Floats
    """Clockwise from north."""

    ghi_w_per_m2: Floats
    """Global irradiance on the ground; the next two are its diffuse and its direct part."""

    dhi_w_per_m2: Floats
    dni_w_per_m2: Floats
    extra_w_per_m2: Floats
    """What arrives outside the atmosphere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """How a panel stands, and what it makes of the light."""

    tilt_deg: float
    azimuth_deg: float
    gain: float
    """Unit of the power series per W/m² on the panel."""

    def power(
        self, sky: Sky, *, ghi_w_per_m2: Floats, dhi_w_per_m2: Floats, dni_w_per_m2: Floats
    ) -> Floats:
        """Power of each step from irradiance of the same steps, W/m²; an isotropic diffuse sky."""
        tilt, zenith = np.radians(self.tilt_deg), np.radians(90 - sky.elevation_deg)
        turned = np.radians(sky.azimuth_deg - self.azimuth_deg)
        facing = np.cos(tilt) * np.cos(zenith) + np.sin(tilt) * np.sin(zenith) * np.cos(turned)
        up = (1 + np.cos(tilt)) / 2
        plane = (
            dni_w_per_m2 * np.maximum(facing, 0.0)
            + dhi_w_per_m2 * up
            + ghi_w_per_m2 * _ALBEDO * (1 - up)
        )
        return np.asarray(self.gain * plane)

    def clear(self, sky: Sky) -> Floats:
        """Power under a cloudless sky."""
        return self.power(
            sky,
            ghi_w_per_m2=sky.ghi_w_per_m2,
            dhi_w_per_m2=sky.dhi_w_per_m2,
            dni_w_per_m2=sky.dni_w_per_m2,
        )


def clear_sky(site: Site, horizon: Horizon) -> Sky:
    """The sun over `site`, seen in the middle of each step (of its quarters, where a step is long)."""
    import pandas as pd
    from pvlib import atmosphere, clearsky, irradiance, solarposition

    pieces = max(round(horizon.step / _FINEST), 1)
    piece = horizon.step / pieces
    at = pd.date_range(horizon.start + piece / 2, periods=horizon.steps * pieces, freq=piece)
    sun = solarposition.ephemeris(
        at, site.latitude_deg, site.longitude_deg, pressure=atmosphere.alt2pres(site.altitude_m)
    )
    zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
    extra = np.asarray(irradiance.get_extra_radiation(at))
    up = zenith < _HORIZON_DEG
    airmass = atmosphere.get_absolute_airmass(
        atmosphere.get_relative_airmass(zenith[up]), atmosphere.alt2pres(site.altitude_m)
    )
    clear = clearsky.ineichen(
        zenith[up], airmass, _TURBIDITY, altitude=site.altitude_m, dni_extra=extra[up]
    )

    def mean(values: Floats) -> Floats:
        return np.asarray(values.reshape(-1, pieces).mean(axis=1))

    def by_day(values: Floats) -> Floats:
        whole = np.zeros(at.size)
        whole[up] = values
        return mean(whole)

    return Sky(
        elevation_deg=mean(90 - zenith),
        azimuth_deg=azimuth[pieces // 2 :: pieces],
        ghi_w_per_m2=by_day(clear["ghi"]),
        dhi_w_per_m2=by_day(clear["dhi"]),
        dni_w_per_m2=by_day(clear["dni"]),
        extra_w_per_m2=mean(extra),
    )


def split(sky: Sky, ghi_w_per_m2: Floats) -> tuple[Floats, Floats]:
    """Diffuse and direct irradiance (dhi, dni) of a global one, W/m², NaN where that is not known.

    After Erbs, Klein and Duffie, Solar Energy 28 (1982), 293.
    """
    up = np.sin(np.radians(np.maximum(sky.elevation_deg, 3.0)))
    kt = np.clip(ghi_w_per_m2 / (sky.extra_w_per_m2 * up), 0.0, 1.0)
    low = 1 - 0.09 * kt
    middle = 0.9511 - 0.1604 * kt + 4.388 * kt**2 - 16.638 * kt**3 + 12.336 * kt**4
    diffuse = ghi_w_per_m2 * np.where(kt <= 0.22, low, np.where(kt <= 0.8, middle, 0.165))
    return np.asarray(diffuse), np.asarray((ghi_w_per_m2 - diffuse) / up)


def fitted_plane(sky: Sky, power: Floats, panels: Panels | None = None) -> Plane:
    """The plane whose clear-sky power is the upper edge of `power` (steps,), NaN where not known.

    Tried on a grid, unless `panels` says how they stand; the least pinball loss wins. Two grids of panels in one series (east and west)
    give the best single plane, and the rest is left to what learns the ratio.
    """
    seen = np.flatnonzero((sky.ghi_w_per_m2 > _BRIGHT_W_PER_M2) & ~np.isnan(power))
    bright = Sky(
        elevation_deg=sky.elevation_deg[seen],
        azimuth_deg=sky.azimuth_deg[seen],
        ghi_w_per_m2=sky.ghi_w_per_m2[seen],
        dhi_w_per_m2=sky.dhi_w_per_m2[seen],
        dni_w_per_m2=sky.dni_w_per_m2[seen],
        extra_w_per_m2=sky.extra_w_per_m2[seen],
    )
    measured = power[seen]
    best, least = Plane(tilt_deg=0, azimuth_deg=180, gain=0.0), np.inf
    tilts = _TILTS_DEG if panels is None else (panels.tilt_deg,)
    azimuths = _AZIMUTHS_DEG if panels is None else (panels.azimuth_deg,)
    for tilt in tilts:
        for azimuth in azimuths if tilt else azimuths[:1]:
            one = Plane(tilt_deg=tilt, azimuth_deg=azimuth, gain=1.0).clear(bright)
            for gain in np.quantile(measured / one, (0.75, 0.85, 0.92)):
                over = measured - gain * one
                loss = float(np.maximum(_EDGE * over, (_EDGE - 1) * over).mean())
                if loss < least:
                    best, least = Plane(tilt_deg=tilt, azimuth_deg=azimuth, gain=float(gain)), loss
    return best


def site_of(past: Past) -> Site:
    """Where the series is measured.

    Raises:
        PlanError: Nobody said.
    """
    if past.site is None:
        raise PlanError(
            "nobody said where it stands",
            where=f"sun over {past.series_id}",
            fix="Give the park's latitude and longitude, or choose another model",
        )
    return past.site
