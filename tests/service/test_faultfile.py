from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from vpp.errors import ConfigError
from vpp.service.demo.faultfile import faults_asked
from vpp.simulate.devicefaults import KINDS, Delay, FaultPlan, Lie, MeterRegister, Register

FILE = """
seed: 7
faults:
  - devices: [bess-1, meter-1]
    what: [{kind: delay, seconds: 30}]
    from_s: 3600
    to_s: 7200
  - devices: all
    share: 0.05
    lasts_s: 300
    what:
      - kind: lie
      - {kind: meter_register, how: swap}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "faults.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_says_who_fails_how_and_when(tmp_path: Path) -> None:
    plan = faults_asked(written(tmp_path, FILE), seed=1)
    first, second = plan.faults
    assert plan.seed == 7
    assert first.whats == (Delay(seconds=30),)
    assert set(first.devices or ()) == {"bess-1", "meter-1"}
    assert (first.begins_after, first.ends_after) == (timedelta(hours=1), timedelta(hours=2))
    assert (second.devices, second.share, second.lasts) == (None, 0.05, timedelta(minutes=5))
    assert second.whats == (Lie(), MeterRegister(how=Register.SWAP))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_written_without_any_number(tmp_path: Path, kind: str) -> None:
    text = f"faults: [{{devices: all, what: [{{kind: {kind}}}]}}]"
    (fault,) = faults_asked(written(tmp_path, text), seed=3).faults
    assert fault.whats == (KINDS[kind](),)


def test_a_share_of_all_devices_fails_by_the_seed_of_the_run() -> None:
    assert faults_asked("5%", seed=4) == FaultPlan.at_random(0.05, seed=4)


@pytest.mark.parametrize("text", ["5 per cent%", "-1%", "101%", "%"])
def test_what_is_no_share_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="is no share"):
        faults_asked(text, seed=1)


def test_every_mistake_of_a_file_is_told_where_it_stands(tmp_path: Path) -> None:
    text = """
faults:
  - devices: all
    what: [{kind: dely}, {kind: lie, x: 2}]
    share: 3
"""
    with pytest.raises(ConfigError) as caught:
        faults_asked(written(tmp_path, text), seed=1)
    told = str(caught.value).splitlines()
    assert [line.split("faults.yaml:")[1].split(":")[0] for line in told] == ["4", "4", "5"]
    assert "'dely' is none of 'delay'" in told[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("what: [{kind: delay, seconds: -3}]", "seconds is -3"),
        ("what: [{kind: lie}]\n    from_s: 10\n    to_s: 5", "from 0:00:10 to 0:00:05"),
    ],
)
def test_numbers_that_cannot_be_meant_are_told_at_their_fault(
    tmp_path: Path, line: str, told: str
) -> None:
    path = written(tmp_path, f"faults:\n  - devices: all\n    {line}\n")
    with pytest.raises(ConfigError, match=told) as caught:
        faults_asked(path, seed=1)
    assert "faults.yaml:2:" in str(caught.value)
