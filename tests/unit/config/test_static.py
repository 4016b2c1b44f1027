"""What a reload may not change."""

import pytest

from gateway.config.static import static_changes
from tests.unit.config.conftest import Files, config


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"server": "server: {listen: '127.0.0.1:8001'}"}, ("server.listen",)),
        ({"server": "server: {admin: {listen: '127.0.0.1:9001'}}"}, ("server.admin",)),
        ({"state": "state: {dir: elsewhere}"}, ("state",)),
        ({"server": "server: {listen: 'unix:x', admin: {key: k}}"}, ("server.listen", "server.admin")),
        ({"server": "server: {listen: ['127.0.0.1:8000'], drain: {grace: 1s}, limits: {body: 1MiB}, watch: true}"}, ()),
        ({"routes": "routes: [{name: s, match: [b], to: m}]", "observe": "observe: {log: {level: debug}}"}, ()),
    ],
)
def test_static_settings_are_named(change: dict[str, str], named: tuple[str, ...], files: Files) -> None:
    assert static_changes(files.load(config()).spec, files.load(config(**change)).spec) == named
