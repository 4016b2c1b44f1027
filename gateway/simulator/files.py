"""Uploads and downloads: what comes is counted and forgotten, what goes out follows from its id.

An uploaded file's id holds its length, so that its content can be given without keeping it: as many bytes of noise. An id that is
a name of the simulator's language behaves so, as a stream of `tokens` chunks of `bytes` bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gateway.providers.simulator_behaviour import BASE_NAME
from gateway.simulator.answer import Answer, encode
from gateway.simulator.ask import Ask, BadAsk
from gateway.simulator.chat import ChatShape
from gateway.simulator.documents import BYTES, CHUNK_BYTES, Binary
from gateway.simulator.face import Stream

FILES: Final = "/v1/files"
ID_PREFIX: Final = "file-sim"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form: where it stood, what it is called, how long it is, and a digest of it."""

    field: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str

    def shape(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: its texts and its files, in order."""

    texts: tuple[tuple[str, str], ...] = ()
    files: tuple[Upload, ...] = ()

    def text(self, name: str) -> str:
        """Give a field's text; "" where it did not come."""
        return dict(self.texts).get(name, "")


class _FormFace(ChatShape):
    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        form = given["form"]
        if not form.files:
            raise BadAsk("the form holds no file")
        return Ask(model=form.text("model") or BASE_NAME, kept=given)


class Transcriptions(_FormFace):
    """`POST /v1/audio/transcriptions`: the text says what came; `form` and `files` say it again, to be read."""

    path: ClassVar[str] = "/v1/audio/transcriptions"

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        form: Form = answer.ask.kept["form"]
        files = [one.shape() for one in form.files]
        said = " ".join(f"{one.name} {one.size_bytes} bytes" for one in form.files)
        usage = {"type": "duration", "seconds": 1}
        return encode({"text": said, "usage": usage, "form": [list(pair) for pair in form.texts], "files": files})


class FileUploads(_FormFace):
    """`POST /v1/files`."""

    path: ClassVar[str] = FILES

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        form: Form = answer.ask.kept["form"]
        one = form.files[0]
        name = f"{ID_PREFIX}-{answer.number}-{one.size_bytes}"
        return encode(
            {**_file(name, one.size_bytes, answer.created, one.name, form.text("purpose")), "sha256": one.sha256}
        )


class _FileFace(ChatShape):
    @staticmethod
    def read(body: bytes, given: Mapping[str, Any]) -> Ask:
        name = given.get("id", BASE_NAME)
        return Ask(model=name if name.split("-")[0] == BASE_NAME else BASE_NAME, kept=given)


class FileFacts(_FileFace):
    """`GET /v1/files`, with an id in the path those of one file."""

    path: ClassVar[str] = FILES

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        name = answer.ask.kept.get("id")
        if name is None:
            return encode({"object": "list", "data": [], "has_more": False})
        return encode(_file(name, _size(name, answer), answer.created, "simulated.bin", "batch"))


class FileRemoval(_FileFace):
    """`DELETE /v1/files/{id}`."""

    path: ClassVar[str] = FILES

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        return encode({"id": answer.ask.kept["id"], "object": "file", "deleted": True})


class FileContent(_FileFace):
    """`GET /v1/files/{id}/content`."""

    path: ClassVar[str] = f"{FILES}/content"

    @staticmethod
    def tell(answer: Answer) -> bytes | Stream:
        name = answer.ask.kept["id"]
        if name.split("-")[0] == BASE_NAME:
            return Binary(BYTES, answer.count, answer.behaviour.bytes or CHUNK_BYTES)
        return Binary(BYTES, 1, _size(name, answer))


def _size(name: str, answer: Answer) -> int:
    last = name.rpartition("-")[2]
    if name.startswith(ID_PREFIX) and last.isdigit():
        return int(last)
    return answer.count * (answer.behaviour.bytes or CHUNK_BYTES)


def _file(name: str, size_bytes: int, created: int, filename: str, purpose: str) -> dict[str, Any]:
    facts = {"id": name, "object": "file", "bytes": size_bytes, "created_at": created, "filename": filename}
    return {**facts, "purpose": purpose or "batch", "status": "processed"}
