"""Multipart forms as bytes."""

from collections.abc import Mapping

BOUNDARY = "simulated-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
"""The header of a request with a form."""


def form(texts: Mapping[str, str], content: bytes, name: str = "a.wav") -> bytes:
    """Return a form with texts, followed by one file."""
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{one}"\r\n\r\n{text}\r\n'.encode()
        for one, text in texts.items()
    ]
    disposition = f'content-disposition: form-data; name="file"; filename="{name}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\ncontent-type: audio/wav\r\n\r\n"
    return b"".join(parts) + head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
