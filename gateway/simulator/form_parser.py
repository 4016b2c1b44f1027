"""Parse a multipart form piece by piece. Files are measured, not stored; a behaviour can limit the reading rate."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

from aiohttp import BodyPartReader, web

from gateway.core.clock import Clock
from gateway.simulator.files import Form, Upload
from gateway.simulator.request import BadRequest

PIECE_BYTES: Final = 16 * 1024

# Returns how many bytes of files per second a model reads; None: unlimited.
UploadRate = Callable[[str], int | None]


async def read_form(request: web.Request, clock: Clock, upload_rate: UploadRate) -> Form:
    """Parse the whole form. The rate of its model applies to files after the field `model`. Raises BadRequest."""
    if not request.content_type.startswith("multipart/"):
        raise BadRequest("the body is not a multipart form")
    texts: list[tuple[str, str]] = []
    files: list[Upload] = []
    rate: int | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise BadRequest("the form contains another form")
            if part.filename is None:
                texts.append((part.name or "", await part.text()))
                if part.name == "model":
                    rate = upload_rate(texts[-1][1])
            else:
                files.append(await _file(part, clock, rate))
    except ValueError as error:
        raise BadRequest(f"the body is not a multipart form: {error}") from error
    return Form(tuple(texts), tuple(files))


async def _file(part: BodyPartReader, clock: Clock, rate: int | None) -> Upload:
    began, size, digest = clock.monotonic(), 0, hashlib.sha256()
    while piece := await part.read_chunk(PIECE_BYTES):
        size += len(piece)
        digest.update(piece)
        if rate:
            await asyncio.sleep(began + size / rate - clock.monotonic())
    content_type = part.headers.get("content-type", "")
    return Upload(part.name or "", part.filename or "", content_type, size, digest.hexdigest())
