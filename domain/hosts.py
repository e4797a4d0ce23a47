"""Which hosts may be called, and at which addresses: what `PARLEY_OUTBOUND_HOSTS` says."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from domain.model import Frozen

SETTING = "PARLEY_OUTBOUND_HOSTS"
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_USUAL_PORTS = frozenset({80, 443})
_ENTRY = re.compile(r"(\[[0-9a-f:.]+\]|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(\d{1,5}|\*))?", re.ASCII)
# What is read as an IPv4 address by some and as a name by others: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII)
_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# The registries of special addresses, and one that a cloud answers at from inside alone. Not `is_private`: what that
# says depends on Python's version, and a multicast address is none to it.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(one)
    for one in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
# Nothing else of IPv6 is given out: mapped, translated (64:ff9b::/96), local, link and multicast lie outside.
_PUBLIC_6 = IPv6Network("2000::/3")


class AllowedHost(Frozen):
    """An entry of the list."""

    name: str
    """In lower case, without a dot at its end; or an address."""
    subdomains: bool = False
    """It stands for every name below, and not for itself."""
    ports: frozenset[int] | None = _USUAL_PORTS
    """None: any."""
    inside: tuple[Network, ...] = ()
    """Where else than at a public address it may be."""

    @classmethod
    def read(cls, text: str) -> "AllowedHost":
        """`host`, `host:port`, `host:*`, `*.example.com`, each with `=network` where it is not public.

        Raises ValueError.
        """
        given, _, network = text.strip().lower().partition("=")
        found = _ENTRY.fullmatch(given)
        if found is None:
            raise ValueError(f"{text.strip()!r}: a host, host:port, host:* or *.example.com is expected, in ASCII")
        name, port = plain(found[1].strip("[]")), found[2]
        literal = _literal(name)
        number = literal is None and _NUMBER.fullmatch(name)
        if number or given.startswith("[") != isinstance(literal, IPv6Address):
            raise ValueError(f"{text.strip()!r}: an address is written as 192.0.2.1 or [2001:db8::1]")
        if literal is not None and network:
            raise ValueError(f"{text.strip()!r}: an address is where it is: leave {'=' + network!r} out")
        return cls(
            name=name.removeprefix("*."),
            subdomains=name.startswith("*."),
            ports=_ports(port, text),
            inside=_inside(name, literal, network, text),
        )

    def matches(self, host: str, port: int) -> bool:
        """Whether the entry is about it; `host` as `plain` gives it."""
        if self.ports is not None and port not in self.ports:
            return False
        return host.endswith(f".{self.name}") if self.subdomains else host == self.name

    def admits(self, address: Address) -> bool:
        """Whether it may be there."""
        return is_public(address) or any(address in network for network in self.inside)


def _ports(port: str | None, text: str) -> frozenset[int] | None:
    if port is None:
        return _USUAL_PORTS
    if port == "*":
        return None
    if not 0 < int(port) < 65536:
        raise ValueError(f"{text.strip()!r}: a port from 1 to 65535 is expected")
    return frozenset({int(port)})


def _inside(name: str, literal: Address | None, network: str, text: str) -> tuple[Network, ...]:
    if literal is not None:
        return (ip_network(literal),)
    if network:
        try:
            return (ip_network(network),)
        except ValueError as error:
            raise ValueError(f"{text.strip()!r}: a network as 10.0.0.0/8 is expected after `=`: {error}") from error
    return _LOOPBACK if name == "localhost" else ()


def read_hosts(value: object) -> object:
    """The entries of a comma list; anything else as it is. Raises ValueError."""
    if not isinstance(value, str):
        return value
    return tuple(AllowedHost.read(entry) for entry in value.split(",") if entry.strip())


def plain(host: str) -> str:
    """The one way to write it."""
    name = host.lower().removesuffix(".")
    literal = _literal(name)
    return name if literal is None else str(literal)


def is_public(address: Address) -> bool:
    """Whether it is one that anybody on the internet may have."""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_6:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def allowing(hosts: Sequence[AllowedHost], host: str, port: int) -> tuple[AllowedHost, ...]:
    """The entries that are about it; none: it may not be called."""
    name = plain(host)
    return tuple(one for one in hosts if one.matches(name, port))


def entry_for(host: str, port: int) -> str:
    """How it is named in the setting."""
    literal = _literal(plain(host))
    name = f"[{literal}]" if isinstance(literal, IPv6Address) else plain(host)
    return name if port in _USUAL_PORTS else f"{name}:{port}"


def _literal(name: str) -> Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
