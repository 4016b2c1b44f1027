"""The two listeners of the admin surface. Loaded after the workers are on their way: aiohttp takes its time."""

import socket

from aiohttp import web

from gateway.api.admin import Control, Guard, make_admin_runner
from gateway.config.spec import Listen
from gateway.core.secret import Secret


class AdminDoors:
    """Serves the admin surface of `control` until closed."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._runners: list[web.ServerRunner] = []

    async def open(
        self, public: list[socket.socket], listen: Listen, key: Secret, private: list[socket.socket]
    ) -> None:
        """Serve on the `public` sockets, bound to `listen`, behind `key`; on the `private` ones without one."""
        await self._open(public, Guard(key, listen))
        await self._open(private, None)

    async def close(self) -> None:
        """Stop serving; what is being answered has a second."""
        for runner in self._runners:
            await runner.cleanup()

    async def _open(self, sockets: list[socket.socket], guard: Guard | None) -> None:
        runner = make_admin_runner(self._control, guard)
        self._runners.append(runner)
        await runner.setup()
        for one in sockets:
            await web.SockSite(runner, one).start()
