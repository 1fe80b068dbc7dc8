"""The tree itself: no file too large, no trace of one machine, promises of the README kept."""

from __future__ import annotations

import ast
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vpp", "adapters", "strategies")
LOCKED = ("run", "build", "dev")

FOREIGN = re.compile(
    r"""
      (?<![\w.~-])/(?:root|home|Users|wo[r]k|mnt)/[\w.]   # a path that one machine has
    | py[p]i\.org | pythonhosted[.]org | registry\.n[p]mjs | deb\.debia[n]\.org
    | file:/{3}                                           # an index on a disk
    | \.\./share[d]                                       # a neighbour of the repository
    """,
    re.VERBOSE,
)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """All files of the repository that are in the work tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout -> clone the repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


def modules() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def text_of(file: Path) -> str | None:
    """The text of a file; None where it is binary."""
    content = file.read_bytes()
    return None if b"\0" in content[:8000] or content[:2] == b"\x1f\x8b" else content.decode()


def test_no_file_is_over_a_megabyte(tracked: list[Path]) -> None:
    assert not {str(file): size for file in tracked if (size := file.stat().st_size) > 1_000_000}


def test_the_measured_series_stay_small(tracked: list[Path]) -> None:
    series = [file for file in tracked if file.is_relative_to(ROOT / "config" / "series")]
    assert sum(file.stat().st_size for file in series) <= 3_000_000


def test_no_file_names_a_path_of_one_machine_or_a_registry(tracked: list[Path]) -> None:
    found = {
        f"{file.relative_to(ROOT)}:{number}": line.strip()[:120]
        for file in tracked
        if "vendor" not in file.parts  # copied unchanged: what others wrote
        for number, line in enumerate((text_of(file) or "").splitlines(), start=1)
        if FOREIGN.search(line)
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("series: /ho" + "me/ann/prices.csv", id="a home folder"),
        pytest.param("cd /ro" + "ot/vpp", id="the home of root"),
        pytest.param("--index-url https://py" + "pi.org/simple", id="a registry"),
        pytest.param("-f file:" + "///srv/wheels", id="a folder of wheels"),
    ],
)
def test_the_search_for_traces_finds(line: str) -> None:
    assert FOREIGN.search(line)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_fits_a_sitting(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))
    assert len(source.splitlines()) < 600


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(
            r"[a-z0-9._-]+==\S+( ; [^\n]+?)? \\\n {4}--hash=sha256:[0-9a-f]{64}", entry
        ), entry[:200]
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_one_version_of_each_package_everywhere() -> None:
    pins = {
        name: dict(
            re.findall(
                r"^([a-z0-9._-]+)==(\S+)",
                (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        for name in LOCKED
    }
    for smaller in ("run", "build"):
        assert pins[smaller].items() <= pins["dev"].items()


def test_the_readme_starts_with_two_commands_that_make_knows() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    commands = [line.split("#")[0].strip() for line in blocks[0].splitlines() if line.strip()]
    assert commands == ["make demo", "make test"]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_make_target_that_is_named_exists(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(
        re.findall(
            r"(?:`|^|part )make ([a-z]+)", (ROOT / document).read_text("utf-8"), re.MULTILINE
        )
    )
    assert named
    assert named <= targets


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_relative_link_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_changelog_newest_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    dates = re.findall(r"^## \[[\d.]+\] - (\d{4}-\d{2}-\d{2})$", text, re.MULTILINE)
    assert all(newer >= older for newer, older in pairwise(dates))
