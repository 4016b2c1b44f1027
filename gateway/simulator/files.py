"""Uploads and downloads. Nothing is stored: an upload is measured and dropped, a download is derived from its id.

The id of an uploaded file holds its length; its content is that many filler bytes. An id in the language of model names
behaves like that model: `sim-tokens20-bytes1k` is a stream of 20 chunks of 1000 bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gateway.providers.simulator_behaviour import BASE_NAME
from gateway.simulator.chat import ChatConventions
from gateway.simulator.handler import StreamedBody
from gateway.simulator.model_output import ModelOutput, encode
from gateway.simulator.request import BadRequest, SimulatedRequest
from gateway.simulator.small_endpoints import BYTES, CHUNK_BYTES, ByteStream

FILES: Final = "/v1/files"
ID_PREFIX: Final = "file-sim"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form: its field, its name, its size and its SHA-256."""

    field: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: its texts and its files, in order."""

    texts: tuple[tuple[str, str], ...] = ()
    files: tuple[Upload, ...] = ()

    def text(self, name: str) -> str:
        """Return the text of a field; "" if the form has no such field."""
        return dict(self.texts).get(name, "")


class _FormHandler(ChatConventions):
    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        form = params["form"]
        if not form.files:
            raise BadRequest("the form has no file")
        return SimulatedRequest(model=form.text("model") or BASE_NAME, extra=params)


class Transcriptions(_FormHandler):
    """`POST /v1/audio/transcriptions`: the text names the received files; `form` and `files` repeat them for tests."""

    path: ClassVar[str] = "/v1/audio/transcriptions"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        form: Form = output.request.extra["form"]
        files = [one.as_dict() for one in form.files]
        summary = " ".join(f"{one.name} {one.size_bytes} bytes" for one in form.files)
        usage = {"type": "duration", "seconds": 1}
        return encode({"text": summary, "usage": usage, "form": [list(pair) for pair in form.texts], "files": files})


class FileUploads(_FormHandler):
    """`POST /v1/files`."""

    path: ClassVar[str] = FILES

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        form: Form = output.request.extra["form"]
        one = form.files[0]
        name = f"{ID_PREFIX}-{output.number}-{one.size_bytes}"
        return encode(
            {**_file(name, one.size_bytes, output.created, one.name, form.text("purpose")), "sha256": one.sha256}
        )


class _FileHandler(ChatConventions):
    @staticmethod
    def read_request(body: bytes, params: Mapping[str, Any]) -> SimulatedRequest:
        name = params.get("id", BASE_NAME)
        return SimulatedRequest(model=name if name.split("-")[0] == BASE_NAME else BASE_NAME, extra=params)


class FileFacts(_FileHandler):
    """`GET /v1/files`, and with an id in the path the facts of one file."""

    path: ClassVar[str] = FILES

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        name = output.request.extra.get("id")
        if name is None:
            return encode({"object": "list", "data": [], "has_more": False})
        return encode(_file(name, _size(name, output), output.created, "simulated.bin", "batch"))


class FileRemoval(_FileHandler):
    """`DELETE /v1/files/{id}`."""

    path: ClassVar[str] = FILES

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        return encode({"id": output.request.extra["id"], "object": "file", "deleted": True})


class FileContent(_FileHandler):
    """`GET /v1/files/{id}/content`."""

    path: ClassVar[str] = f"{FILES}/content"

    @staticmethod
    def render(output: ModelOutput) -> bytes | StreamedBody:
        name = output.request.extra["id"]
        if name.split("-")[0] == BASE_NAME:
            return ByteStream(BYTES, output.token_count, output.behaviour.bytes or CHUNK_BYTES)
        return ByteStream(BYTES, 1, _size(name, output))


def _size(name: str, output: ModelOutput) -> int:
    last = name.rpartition("-")[2]
    if name.startswith(ID_PREFIX) and last.isdigit():
        return int(last)
    return output.token_count * (output.behaviour.bytes or CHUNK_BYTES)


def _file(name: str, size_bytes: int, created: int, filename: str, purpose: str) -> dict[str, Any]:
    facts = {"id": name, "object": "file", "bytes": size_bytes, "created_at": created, "filename": filename}
    return {**facts, "purpose": purpose or "batch", "status": "processed"}
