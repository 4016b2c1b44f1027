"""The two listeners of the admin API. Imported once the first worker is launched: importing aiohttp takes long."""

import socket
import ssl

from aiohttp import web

from gateway.api.admin import Control, Guard, make_admin_runner
from gateway.compile.certificates import context_for, context_of
from gateway.config.spec import Listen
from gateway.core.secret import Secret


class AdminListener:
    """Serves the admin API of `control` until closed."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._runners: list[web.ServerRunner] = []
        self._certificate: ssl.SSLContext | None = None

    async def open(
        self, public: list[socket.socket], listen: Listen, key: Secret, private: list[socket.socket]
    ) -> None:
        """Serve on the `public` sockets, bound to `listen`, behind `key`; on the `private` ones without one."""
        self.renew(listen)
        await self._open(public, Guard(key, listen), context_for(listen, lambda: self._certificate))
        await self._open(private, None, None)

    def renew(self, listen: Listen) -> None:
        """Show the certificate of `listen` from the next connection on."""
        self._certificate = context_of(listen)

    async def close(self) -> None:
        """Stop serving; running requests have a second."""
        for runner in self._runners:
            await runner.cleanup()

    async def _open(self, sockets: list[socket.socket], guard: Guard | None, context: ssl.SSLContext | None) -> None:
        runner = make_admin_runner(self._control, guard)
        self._runners.append(runner)
        await runner.setup()
        for one in sockets:
            await web.SockSite(runner, one, ssl_context=context).start()
