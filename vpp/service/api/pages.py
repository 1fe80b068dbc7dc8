"""The page at `/`, the API browser at `/docs`, and the files they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path

from aiohttp import web

from vpp.errors import ConfigError
from vpp.service.api.shared import pack, takes_gzip
from vpp.service.security import API_BROWSER_CSP

PAGES = {"/": "index.html", "/docs": "docs.html", "/favicon.ico": "favicon.svg"}
API_PAGES = {"/": "docs.html", "/docs": "docs.html", "/favicon.ico": "favicon.svg"}
"""Where there is no park to show."""

SERVED = (".js", ".css", ".svg", ".txt")


def add_pages(app: web.Application, pages: Mapping[str, str]) -> None:
    """Serve `pages` by path, and every script, style and picture of the folder under `/static/`.

    What is served is what lies there now: no name of a request ever reaches the file system.

    Raises:
        ConfigError: A file is missing from this installation.
    """
    folder = web_folder()
    for path, name in pages.items():
        app.router.add_get(path, _file(folder / name), allow_head=False)
    for file in static_files(folder):
        name = file.relative_to(folder).as_posix()
        app.router.add_get(f"/static/{name}", _file(file), allow_head=False)


def static_files(folder: Path) -> list[Path]:
    """Every file below `folder` that is served, in order of its path."""
    return sorted(file for file in folder.rglob("*") if file.suffix in SERVED)


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
    """Gives a file from memory, packed for who takes it; 304 to who has it already."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} is missing", where="page", fix="Install the package again"
        ) from error
    packed = pack(body, level=9)
    etag = hashlib.sha256(body).hexdigest()[:20]
    kind = guess_type(path.name)[0] or "text/plain"
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": f'"{etag}"'}
    if path.name == "docs.html":
        headers["Content-Security-Policy"] = API_BROWSER_CSP

    async def send(request: web.Request) -> web.StreamResponse:
        if any(known.value == etag for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
        if takes_gzip(request):
            response.body = packed
            response.headers["Content-Encoding"] = "gzip"
        return response

    return send
