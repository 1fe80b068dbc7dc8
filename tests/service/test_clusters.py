"""Like resources are measured and forecast as one, and each does its part by its size."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.service.test_fleetfile import PARK, POINTS
from vpp.model.horizon import Horizon, Profile
from vpp.model.park import Park
from vpp.model.resource.series import available_series, power_series
from vpp.model.time import EPOCH
from vpp.service import inputs
from vpp.service.forecasting.possible import bounds_of
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park
from vpp.service.planning.margins import margins

ROOFS = """\
id,template,point,max_feed_kw,max_draw_kw
roof-1,roof,gate,30,
roof-2,roof,yard,10,
mill,mill,gate,,50
"""
TEMPLATES = """\
      roof: {kind: generator, forecast_as: roofs}
      mill: {kind: fixed_load}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Park]:
    def write_and_load(resources: str) -> Park:
        park = PARK.replace("    points: points.csv\n", f"{TEMPLATES}    points: points.csv\n")
        (tmp_path / "park.yaml").write_text(park, encoding="utf-8")
        (tmp_path / "points.csv").write_text(POINTS, encoding="utf-8")
        (tmp_path / "resources.csv").write_text(resources, encoding="utf-8")
        return load_park(tmp_path / "park.yaml").park

    return write_and_load


@pytest.fixture
def park(load: Callable[[str], Park]) -> Park:
    return load(ROOFS)


def test_a_cluster_has_one_series_and_each_member_its_part_by_size(park: Park) -> None:
    assert {available_series(r) for r in park.resources} == {"available.roofs", None}
    assert [power_series(r) for r in park.resources] == [None, "power.mill", None]
    parts = {r.resource_id: park.part_of_series(r.resource_id) for r in park.resources}
    assert parts == {"roof-1": 0.75, "roof-2": 0.25, "mill": 1.0}


def test_a_cluster_cannot_do_more_than_its_members_together(park: Park) -> None:
    assert bounds_of(park) == {"available.roofs": (0.0, 40.0), "power.mill": (-50.0, 0.0)}


@pytest.mark.parametrize(
    ("heard", "seen"),
    [
        ({"roof-1": 15.0, "roof-2": 5.0}, {"available.roofs": 20.0}),
        ({"roof-1": 15.0}, {"available.roofs": 20.0}),  # the silent one does as the other, by size
        ({"roof-2": 5.0}, {}),  # too little was heard
    ],
)
def test_what_a_cluster_did_is_what_was_heard_of_it(
    park: Park, heard: dict[str, float], seen: dict[str, float]
) -> None:
    found: dict[str, float] = {}
    clusters = inputs.Clusters(park)
    for resource in park.resources:
        if (kw := heard.get(resource.resource_id)) is not None:
            clusters.add(found, resource, available_series(resource), kw)
    clusters.fill(found)

    assert found == seen


def test_a_point_keeps_room_for_its_own_part_of_a_clusters_error(park: Park) -> None:
    errors = {"available.roofs": np.full((40, 4), -8.0)}

    rooms = margins(park, errors, 4, probability=0.9, price_per_kwh=1.0)

    drawing = {str(margin.place): float(margin.import_kw.max()) for margin in rooms}
    assert drawing["gate"] == pytest.approx(3 * drawing["yard"])
    assert drawing["fleet"] == pytest.approx(4 * drawing["yard"])


def test_no_cluster_is_called_as_a_resource_is(load: Callable[[str], Park]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(ROOFS.replace("roof-2", "roofs"))

    (first, *_) = caught.value.faults
    assert (first.path, first.line) == ("forecast_as", 2)
    assert "roofs is the id of a resource" in first.what


@pytest.mark.parametrize(
    ("template", "row", "told"),
    [
        ("mill: {kind: fixed_load, forecast_as: roofs}", "", "mill is of another kind than roof-1"),
        (
            "sloped: {kind: generator, forecast_as: roofs, panels: {tilt_deg: 30, azimuth_deg: 180}}",
            "roof-3,sloped,gate,10,\n",
            "of roof-3 and roof-1 one has panels and one has none",
        ),
    ],
)
def test_what_is_forecast_as_one_is_of_one_sort(
    load: Callable[[str], Park],
    monkeypatch: pytest.MonkeyPatch,
    template: str,
    row: str,
    told: str,
) -> None:
    templates = TEMPLATES.replace("      mill: {kind: fixed_load}\n", "") + f"      {template}\n"
    if "mill" not in template:
        templates += "      mill: {kind: fixed_load}\n"
    monkeypatch.setattr("tests.service.test_clusters.TEMPLATES", templates)
    with pytest.raises(ConfigErrors) as caught:
        load(ROOFS + row)

    assert [fault.path for fault in caught.value.faults] == ["forecast_as"]
    assert caught.value.faults[0].what.startswith(told)


def test_roofs_of_two_enterprises_may_be_forecast_as_one(load: Callable[[str], Park]) -> None:
    park = load(ROOFS + "roof-3,roof,gate-12,10,\n")

    assert len({r.enterprise_id for r in park.resources if available_series(r)}) == 2


def test_a_profile_times_one_is_itself() -> None:
    profile = Profile(Horizon(EPOCH, timedelta(hours=1), 2), np.array([1.0, 2.0]))

    assert profile.times(1.0) is profile
    assert profile.times(0.5).values.tolist() == [0.5, 1.0]
