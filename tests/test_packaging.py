"""The wheel works where there is no source tree: in a fresh environment, from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.patience import PROGRAM_S

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints, run with nothing of this environment but the machine's own PATH."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "VPP_", "UV_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment that holds the wheel and what it needs.

    pip, not uv: it keeps to the index that the machine's owner has set up, and `make` has left
    what is needed in its cache.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", home / "venv", cwd=home)
    pip = (home / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-compile")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements/run.txt", cwd=home)
    run(*pip, "--no-deps", wheel, cwd=home)
    return home / "venv/bin"


def test_the_wheel_holds_the_packages_and_the_config_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "vpp",
        "adapters",
        "strategies",
    }
    for file in (ROOT / "config").rglob("*"):
        if file.is_file():
            assert f"vpp/_config/{file.relative_to(ROOT / 'config')}" in names
    for park in ("demo", "demo_cn"):
        assert f"vpp/_config/parks/{park}.yaml" in names
        assert f"vpp/_config/series/{park}/SOURCE.md" in names
    assert "vpp/py.typed" in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_names_its_licence_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(metadata).decode())

    assert headers["License-Expression"] == "Apache-2.0"
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert [name for name in names if name.endswith("licenses/NOTICE")]
    needed = headers.get_all("Requires-Dist") or []
    assert "aiomqtt<3,>=2.5" in needed
    assert not [line for line in needed if "@" in line]


def test_a_fresh_environment_has_all_that_the_wheel_asks_for(installed: Path) -> None:
    run(installed / "python", "-m", "pip", "check", cwd=installed)


def test_the_command_explains_itself(installed: Path, tmp_path: Path) -> None:
    assert "demo" in run(installed / "vpp", "--help", cwd=tmp_path)
    assert "demo" in run(installed / "python", "-m", "vpp", "--help", cwd=tmp_path)


def test_the_demo_runs_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    options = ("--for", "1h", "--speed", "max", "--seed", "1", "--port", "0", "--json")
    summary = json.loads(run(installed / "vpp", "demo", *options, cwd=tmp_path))

    assert summary["seed"] == 1
    assert summary["messages_lost"] == 0
    assert summary["plans"] > 0
    assert summary["plans_fallback"] == 0
