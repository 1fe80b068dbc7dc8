"""Sun, clear sky and panel, where geometry says what must come out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vpp.model.horizon import Horizon
from vpp.model.resource import Panels
from vpp.sense.forecast.base import Site
from vpp.sense.forecast.sun import Plane, clear_sky, fitted_plane, split

HOUR = timedelta(hours=1)
EQUATOR = Site(latitude_deg=0, longitude_deg=0)
BERLIN = Site(latitude_deg=52.5, longitude_deg=13.4)
EQUINOX = Horizon(datetime(2025, 3, 20, tzinfo=UTC), timedelta(minutes=15), 96)
MONTH = Horizon(datetime(2025, 4, 1, tzinfo=UTC), HOUR, 30 * 24)


def test_at_the_equinox_the_sun_stands_over_the_equator_at_noon() -> None:
    sky = clear_sky(EQUATOR, EQUINOX)

    noon = int(sky.elevation_deg.argmax())
    assert 47 <= noon <= 49
    assert sky.elevation_deg[noon] == pytest.approx(90, abs=2)
    assert 950 < sky.ghi_w_per_m2[noon] < 1150
    assert sky.azimuth_deg[30] == pytest.approx(90, abs=1)  # it rises in the east


def test_there_is_no_light_at_night() -> None:
    sky = clear_sky(BERLIN, EQUINOX)

    night = sky.elevation_deg < 0
    assert night.sum() > 45
    assert (sky.ghi_w_per_m2[night] == 0).all()
    assert (sky.ghi_w_per_m2 >= 0).all()


def test_an_hour_is_the_mean_of_its_quarters() -> None:
    quarters = clear_sky(BERLIN, EQUINOX)
    hours = clear_sky(BERLIN, Horizon(EQUINOX.start, HOUR, 24))

    np.testing.assert_allclose(
        hours.ghi_w_per_m2, quarters.ghi_w_per_m2.reshape(24, 4).mean(axis=1)
    )


def test_a_flat_panel_gets_what_falls_on_the_ground() -> None:
    sky = clear_sky(BERLIN, EQUINOX)
    flat = Plane(tilt_deg=0, azimuth_deg=180, gain=0.01)

    np.testing.assert_allclose(flat.clear(sky), sky.ghi_w_per_m2 / 100, atol=0.05)


def test_an_eastern_panel_has_its_noon_in_the_morning() -> None:
    sky = clear_sky(BERLIN, EQUINOX)

    east = Plane(tilt_deg=40, azimuth_deg=90, gain=1).clear(sky)
    west = Plane(tilt_deg=40, azimuth_deg=270, gain=1).clear(sky)

    assert east.argmax() + 8 < west.argmax()


def test_diffuse_and_direct_light_make_up_the_global_one() -> None:
    sky = clear_sky(BERLIN, EQUINOX)
    high = sky.elevation_deg > 10
    for share in (0.2, 0.6, 0.95):
        ghi = share * sky.ghi_w_per_m2

        dhi, dni = split(sky, ghi)

        up = np.sin(np.radians(sky.elevation_deg))
        np.testing.assert_allclose((dhi + dni * up)[high], ghi[high])
    overcast, _ = split(sky, 0.1 * sky.ghi_w_per_m2)
    assert (
        overcast[high] > 0.095 * sky.ghi_w_per_m2[high]
    ).all()  # clouds leave diffuse light only


def test_the_plane_is_found_under_clouds() -> None:
    sky = clear_sky(BERLIN, MONTH)
    built = Plane(tilt_deg=30, azimuth_deg=210, gain=0.02)
    clouds = np.random.default_rng(5).choice([1.0, 1.0, 0.9, 0.4, 0.1], size=MONTH.steps)

    found = fitted_plane(sky, built.clear(sky) * clouds)

    assert (found.tilt_deg, found.azimuth_deg) == (30, 210)
    assert found.gain == pytest.approx(0.02, rel=0.05)


def test_what_is_known_of_the_plane_is_kept() -> None:
    sky = clear_sky(BERLIN, MONTH)

    found = fitted_plane(sky, sky.ghi_w_per_m2, Panels(tilt_deg=25.0, azimuth_deg=100.0))

    assert (found.tilt_deg, found.azimuth_deg) == (25, 100)
