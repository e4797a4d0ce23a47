"""httpx over connections whose address was looked at: the name is asked for once, and connected to where it was found.

The name stays what TLS verifies and what the Host header says.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore
import httpx

from domain.hosts import Address

Find = Callable[[str, int], Awaitable[Sequence[Address]]]
_TRIED = 4
"""So many of a host's addresses are tried, one after the other; each has an equal share of the time that is left."""


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses alone; `find` says which, or refuses."""

    def __init__(self, find: Find, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._find, self._inner = find, inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Find, then connect, in `timeout` seconds over both. Raises ConnectError, ConnectTimeout, OutboundRefused."""
        until = None if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(until):
                addresses = await self._find(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not found in time") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        tried, failure = addresses[:_TRIED], None
        for index, address in enumerate(tried):
            share = (
                None if until is None else max(0.0, until - asyncio.get_running_loop().time()) / (len(tried) - index)
            )
            try:
                return await self._inner.connect_tcp(str(address), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")


class PinnedTransport(httpx.AsyncHTTPTransport):
    """The usual transport, but for who connects."""

    def __init__(self, tls: ssl.SSLContext, find: Find) -> None:
        # Not its own __init__, which would make a pool that connects anywhere: should httpx call the pool otherwise
        # one day, nothing is sent.
        self._pool = httpcore.AsyncConnectionPool(ssl_context=tls, network_backend=PinnedBackend(find))
