"""What the clients of one vendor go by beside the bodies: which header names a request, and how they show themselves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VERSION_HEADER: Final = "anthropic-version"  # sent by every client of Anthropic's API, whatever it asks for

ID_HEADERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"openai": ("x-request-id",), "anthropic": ("x-request-id", "request-id")}
)
"""By vendor, the headers of an answer that hold the request's id."""

_ID_LINES: Final = MappingProxyType(
    {vendor: "".join(f"{name}: {{0}}\r\n" for name in names) for vendor, names in ID_HEADERS.items()}
)


def id_lines(vendor: str, request_id: str) -> str:
    """Give the lines of an answer's head that hold the request's id."""
    return _ID_LINES[vendor].format(request_id)


def vendor_of(headers: Mapping[str, str]) -> str:
    """Give whose client asks, where the path is the same for all."""
    return "anthropic" if VERSION_HEADER in headers else "openai"
