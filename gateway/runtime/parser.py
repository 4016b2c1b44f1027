"""Whether aiohttp will read requests with its C parser, told without loading it: the start has no time for that."""

from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec


def has_strict_parser(environ: Mapping[str, str]) -> bool:
    """Whether the parser in C is installed and wanted. The one in Python is another program, with other ideas of HTTP."""
    package = find_spec("aiohttp")
    if package is None or environ.get("AIOHTTP_NO_EXTENSIONS"):
        return False
    return PathFinder.find_spec("_http_parser", package.submodule_search_locations) is not None
