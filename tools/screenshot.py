"""Take the picture of the page that the README shows: `make picture`.

    vpp demo, as fast as it goes ──▶ ten in the morning of its day ──▶ Chromium ──▶ docs/pictures/

Everything on it comes from the running demo; nothing is drawn by hand. It takes about a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
PORT = 8188
ALOFT = datetime(2025, 12, 3, 9, 0, tzinfo=UTC)
"""Ten in the morning in Stockholm, on the day that the demo is scored on."""
PATIENCE_S = 1200
SETTLED_MS = 3000
"""So long the page gets to draw what it has asked for."""


def main() -> int:
    chromium = which("chromium")
    if chromium is None:
        print("chromium is not installed -> make system", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as data:
        demo = subprocess.Popen(
            [
                *(sys.executable, "-m", "vpp", "demo", "--data", data),
                *("--speed", "max", "--port", str(PORT)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(ALOFT, demo)
            take(chromium, f"http://127.0.0.1:{PORT}", PICTURES / "overview.png")
        finally:
            demo.terminate()
            demo.wait(timeout=30)
    return 0


def wait_until(moment: datetime, demo: subprocess.Popen[bytes]) -> None:
    """Wait until the demo has made the plan of `moment`.

    Raises:
        SystemExit: It ended before, or does not get there.
    """
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and demo.poll() is None:
        time.sleep(0.5)
        try:
            with urlopen(f"http://127.0.0.1:{PORT}/v1/plan", timeout=5) as answer:
                plan = json.load(answer)
        except (URLError, TimeoutError):  # not there yet, or no plan yet
            continue
        made = plan["schedule"] and datetime.fromisoformat(plan["schedule"]["issued_at"])
        if made and made >= moment:
            return
    raise SystemExit("the demo did not get there")


def take(chromium: str, address: str, target: Path) -> None:
    """Open the page at `address` as a desk has it, in English, and keep what is seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{address}/?lang=en#/overview")
        page.wait_for_timeout(SETTLED_MS)
        page.screenshot(path=target)
        browser.close()
    print(target)


if __name__ == "__main__":
    sys.exit(main())
