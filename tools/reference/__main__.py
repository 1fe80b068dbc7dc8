"""Write `docs/reference/`: every key, route, event and command, as the code has them.

    python -m tools.reference           writes the pages
    python -m tools.reference --check   says which of them are not as the code is; exit 1

A page that is written by hand tells what a thing is for; these tell all of it, and cannot lie.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference.pages import pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def stale() -> list[str]:
    """The names of pages that are not what the code says now, or that nothing makes any more."""
    made = pages()
    kept = {file.name for file in FOLDER.glob("*.md")}
    return [
        name
        for name in sorted(made.keys() | kept)
        if name not in made
        or name not in kept
        or (FOLDER / name).read_text(encoding="utf-8") != made[name]
    ]


def main() -> int:
    if "--check" in sys.argv:
        for name in stale():
            print(f"docs/reference/{name} is not as the code is -> python -m tools.reference")
        return 1 if stale() else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale():
        file = FOLDER / name
        if name in pages():
            file.write_text(pages()[name], encoding="utf-8")
        else:
            file.unlink()
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
