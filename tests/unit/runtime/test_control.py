"""Before the start, control finds out which parser aiohttp will use."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from aiohttp import http_parser

from gateway.runtime import control
from gateway.runtime.control import has_strict_parser


def test_the_strict_parser_is_there_and_is_what_serves() -> None:
    assert has_strict_parser({})
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


def test_it_is_not_there_where_extensions_are_not_wanted() -> None:
    assert not has_strict_parser({"AIOHTTP_NO_EXTENSIONS": "1"})
    assert has_strict_parser({"AIOHTTP_NO_EXTENSIONS": ""})


def test_it_is_not_there_where_no_wheel_has_brought_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_http_parser.pyx").touch()
    package = ModuleSpec("aiohttp", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(control, "find_spec", lambda name: package)
    assert not has_strict_parser({})
    monkeypatch.setattr(control, "find_spec", lambda name: None)
    assert not has_strict_parser({})
    assert importlib.util.find_spec("aiohttp") is not None
