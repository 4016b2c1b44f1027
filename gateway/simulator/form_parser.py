"""Read a multipart form piece by piece: nothing of its files is kept, and they are taken as slowly as a behaviour says."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

from aiohttp import BodyPartReader, web

from gateway.core.clock import Clock
from gateway.simulator.files import Form, Upload
from gateway.simulator.request import BadRequest

PIECE_BYTES: Final = 16 * 1024

# Gives how many bytes of files a second a model takes; None: all at once.
UploadRate = Callable[[str], int | None]


async def read_form(request: web.Request, clock: Clock, intake: UploadRate) -> Form:
    """Read the whole form. Its model's `intake` holds for files that come behind the field `model`. Raises BadAsk."""
    if not request.content_type.startswith("multipart/"):
        raise BadRequest("the body is no multipart form")
    texts: list[tuple[str, str]] = []
    files: list[Upload] = []
    pace: int | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise BadRequest("a form stands within the form")
            if part.filename is None:
                texts.append((part.name or "", await part.text()))
                if part.name == "model":
                    pace = intake(texts[-1][1])
            else:
                files.append(await _file(part, clock, pace))
    except ValueError as error:
        raise BadRequest(f"the body is no multipart form: {error}") from error
    return Form(tuple(texts), tuple(files))


async def _file(part: BodyPartReader, clock: Clock, pace: int | None) -> Upload:
    began, size, digest = clock.monotonic(), 0, hashlib.sha256()
    while piece := await part.read_chunk(PIECE_BYTES):
        size += len(piece)
        digest.update(piece)
        if pace:
            await asyncio.sleep(began + size / pace - clock.monotonic())
    content_type = part.headers.get("content-type", "")
    return Upload(part.name or "", part.filename or "", content_type, size, digest.hexdigest())
