"""Every outer face of a plant, each at its own listener."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from vpp.service.listeners import OuterFace, serve_face
from vpp.service.people import page as peoplepage
from vpp.service.plant import Plant

FACES: tuple[Callable[[Plant], tuple[OuterFace, ...]], ...] = (peoplepage.faces,)
"""Whoever takes connections says here with what."""


def outer_faces(plant: Plant) -> tuple[OuterFace, ...]:
    """What this plant shows to others than its operator; nothing where its market is simulated with it."""
    if plant.file.trading.mode == "simulated":
        return ()
    return (*plant.link_faces, *(face for faces_of in FACES for face in faces_of(plant)))


@asynccontextmanager
async def serve_outside(plant: Plant) -> AsyncIterator[dict[str, str]]:
    """Serve all of them until the block is left; yields the address of each. Raises as `serve_face`."""
    async with AsyncExitStack() as stack:
        yield {
            face.name: await stack.enter_async_context(serve_face(face, folder=plant.file.folder))
            for face in outer_faces(plant)
        }
