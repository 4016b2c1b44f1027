"""Parts of a client's messages that several dialects write in the same way, as neutral parts."""

import re
from collections.abc import Iterable, Iterator

from gateway.core.conversation import Document, Image, Part, Text
from gateway.core.errors import InvalidRequest
from gateway.dialects.unsupported_params import untranslatable

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,(.*)", re.DOTALL)


def image_at(url: str, detail: str | None, path: str) -> Image:
    """Return the image at a URL, or in a data URL. Raises `InvalidRequest` for a data URL that is not base64."""
    if (found := _DATA_URL.fullmatch(url)) is not None:
        return Image(data=found[2], media_type=found[1] or "", detail=detail)
    if url.startswith("data:"):
        raise InvalidRequest(f"{path} is no base64 data URL", param=path, code="invalid_value")
    return Image(url=url, detail=detail)


def document_in(data_url: str, title: str | None) -> Document | None:
    """Return the document in a data URL; None if it is not one with base64."""
    found = _DATA_URL.fullmatch(data_url)
    return None if found is None else Document(data=found[2], media_type=found[1] or "", title=title)


def only_text(parts: Iterable[Part], path: str) -> Iterator[Text]:
    """Yield the texts of a system prompt. Raises `InvalidRequest` for any other part."""
    for part in parts:
        if not isinstance(part, Text):
            raise untranslatable(path, "only text can be in a system prompt")
        yield part


def missing(param: str) -> InvalidRequest:
    """Return the error for a member that the request lacks."""
    return InvalidRequest(f"{param} is missing", param=param, code="missing_required_parameter")
