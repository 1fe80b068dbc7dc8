"""The shipped park, damaged at random: faults come of it and nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import load_park

DEMO_LINES = shipped("parks/demo.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
SCRAPS = st.sampled_from(
    [
        "-1",
        "0",
        "1e9",
        ".nan",
        "on",
        "~",
        "[]",
        "{}",
        "steel",
        '"',
        "&a",
        "*a",
        "24:00",
        "96",
        "'",
        ": ",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(DEMO_LINES) - 1),
    st.integers(0, 80),
    st.integers(0, 12),
    SCRAPS,
    st.sampled_from(["cut", "twice", "scrap", "word"]),
)
def test_a_damaged_file_gives_faults_and_nothing_else(
    line: int, column: int, length: int, scrap: str, how: str
) -> None:
    lines = list(DEMO_LINES)
    old = lines[line]
    column = min(column, len(old) - 1)
    match how:
        case "cut":
            del lines[line]
        case "twice":
            lines.insert(line, old)
        case "scrap":
            lines[line] = old[:column] + scrap + old[column + length :]
        case _:
            key, colon, _ = old.partition(":")
            lines[line] = f"{key}{colon} {scrap}\n"
    with TemporaryDirectory() as folder:
        config = Path(folder)
        # The series are left out: they cost time, and all of their checks stand in tests above.
        (config / "markets").symlink_to(shipped("markets"), target_is_directory=True)
        (config / "parks").mkdir()
        (config / "parks" / "damaged.yaml").write_text("".join(lines), encoding="utf-8")
        try:
            load_park(config / "parks" / "damaged.yaml")
        except ConfigErrors as error:
            told = error.faults
        else:
            told = ()
    assert all(fault.line >= 1 and fault.column >= 1 and fault.what for fault in told)
