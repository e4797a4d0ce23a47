"""Calls to the outside: to hosts that are named, at the addresses that were looked at, without detours."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from ipaddress import ip_address

import httpx

from domain.errors import OutboundRefused
from domain.hosts import SETTING, Address, AllowedHost, allowing, entry_for, plain

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises OSError."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in found]


class Outbound:
    """Says where a host may be reached, and makes clients that reach nothing else."""

    def __init__(self, hosts: Sequence[AllowedHost], resolve: Resolve = look_up) -> None:
        self._hosts, self._resolve = tuple(hosts), resolve

    def client(self, timeout: float) -> httpx.AsyncClient:
        """One that follows no redirect and knows of no proxy. What it sends raises OutboundRefused."""
        # httpcore takes 0.14 s to import, and a command that only reads the catalog calls nobody.
        from tasks.pinned import PinnedTransport

        transport = PinnedTransport(self._tls, self.addresses)
        return httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False, transport=transport)

    async def addresses(self, host: str, port: int) -> tuple[Address, ...]:
        """Where it is, asked once; every address was looked at. Raises OutboundRefused, OSError."""
        entries = allowing(self._hosts, host, port)
        if not entries:
            wanted = entry_for(host, port)
            raise OutboundRefused(f"{wanted} is not a host that may be called: name it in {SETTING}")
        found = await self._found(plain(host), port)
        for address in found:
            if not any(entry.admits(address) for entry in entries):
                raise OutboundRefused(
                    f"{host} is at {address}, which is no public address: where it belongs there, "
                    f"say so in {SETTING}: {entry_for(host, port)}={address}"
                )
        return found

    async def _found(self, host: str, port: int) -> tuple[Address, ...]:
        try:
            return (ip_address(host),)
        except ValueError:
            pass
        try:
            rows = await self._resolve(host, port)
        except UnicodeError as error:
            raise OSError(f"{host} is no name that can be looked up: {error}") from error
        if not rows:
            raise OSError(f"{host} has no address")
        return tuple(dict.fromkeys(ip_address(row) for row in rows))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading the certificates takes 10 ms and more. SSL_CERT_FILE counts, unlike the environment's proxies.
        return httpx.create_ssl_context()
