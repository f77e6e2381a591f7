"""Open connections, so that one can be cut without an answer, as a failing network would."""

import asyncio

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Key in the server's state under which the open connections are, by the address of their client.
_OPEN = "open_connections"


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, remembering its transport where `cut_connection` finds it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        """Remembers the connection."""
        super().connection_made(transport)
        self.app_state.setdefault(_OPEN, {})[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self.app_state.get(_OPEN, {}).pop(self.client, None)
        super().connection_lost(exc)


async def cut_connection(request: Request) -> None:
    """Closes the connection of the request; a later answer is lost."""
    transport: asyncio.Transport = request.scope["state"][_OPEN][request.scope["client"]]
    transport.abort()
    await asyncio.sleep(
        0
    )  # the loss is noticed in the next turn of the loop; only then is an answer swallowed
    await asyncio.sleep(0)
