"""The page at `/`, the API browser at `/docs`, and the files they are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from vpp.errors import ConfigError
from vpp.service.security import API_BROWSER_CSP

PAGES = {"/": "index.html", "/docs": "docs.html", "/favicon.ico": "favicon.svg"}
API_PAGES = {"/": "docs.html", "/docs": "docs.html", "/favicon.ico": "favicon.svg"}
"""Where there is no park to show."""

STATIC = (
    "app.js",
    "charts.js",
    "tables.js",
    "app.css",
    "docs.css",
    "favicon.svg",
    "vendor/uPlot.iife.min.js",
    "vendor/uPlot.min.css",
    "vendor/uPlot.LICENSE.txt",
    "vendor/rapidoc-min.js",
    "vendor/rapidoc.LICENSE.txt",
)
"""Everything that is served under `/static/`; no name of a request ever reaches the file system."""


def add_pages(app: web.Application, pages: Mapping[str, str]) -> None:
    """Serve `pages` by path, and their files.

    Raises:
        ConfigError: A file is missing from this installation.
    """
    folder = web_folder()
    for path, name in pages.items():
        app.router.add_get(path, _file(folder / name), allow_head=False)
    for name in STATIC:
        app.router.add_get(f"/static/{name}", _file(folder / name), allow_head=False)


def web_folder() -> Path:
    """Where the page's files lie.

    Raises:
        ConfigError: The installation has none.
    """
    folder = files("vpp.service") / "web"
    if not isinstance(folder, Path) or not folder.is_dir():
        raise ConfigError(
            f"{folder} is no folder", where="page", fix="Install the package again, unpacked"
        )
    return folder


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing", where="page", fix="Install the package again")
    headers = {"Cache-Control": "no-cache"}
    if path.name == "docs.html":
        headers["Content-Security-Policy"] = API_BROWSER_CSP

    async def send(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers=headers)

    return send
