"""TLS over a pinned connection: the name is what is asked for and verified, wherever the address leads."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.hosts import Address, AllowedHost
from tasks.outbound import Outbound
from tasks.pinned import PinnedBackend


def _certificate(folder: Path, name: str) -> Path:
    """Key and certificate for the name, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "made.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def _server(certificate: Path, asked: list[str | None], hosts: list[bytes]) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: asked.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        hosts.extend(line for line in lines if line.lower().startswith(b"host:"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _local(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_the_name_is_asked_for_verified_and_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path, "pay.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outbound = Outbound([AllowedHost.read("*.example:*=127.0.0.1")], _local)
    asked, hosts = list[str | None](), list[bytes]()
    async with _server(certificate, asked, hosts) as port, outbound.client(5.0) as client:
        assert (await client.get(f"https://pay.example:{port}/")).json() == {}
        assert (asked, hosts) == (["pay.example"], [f"Host: pay.example:{port}".encode()])
        with pytest.raises(httpx.ConnectError, match=r"(?i)hostname mismatch"):
            await client.get(f"https://other.example:{port}/")
        assert len(hosts) == 1


class Network(httpcore.AsyncNetworkBackend):
    """Notes what is connected to, in how long a time, and fails."""

    def __init__(self) -> None:
        self.tried: list[tuple[str, int, float | None]] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # type: ignore[no-untyped-def]
        self.tried.append((host, port, timeout))
        raise httpcore.ConnectTimeout(host)


async def test_some_addresses_are_tried_within_the_time_and_nothing_else() -> None:
    async def find(host: str, port: int) -> Sequence[Address]:
        return [ip_address(f"192.0.2.{last}") for last in range(1, 9)]

    network = Network()
    with pytest.raises(httpcore.ConnectTimeout, match=r"192\.0\.2\.4"):
        await PinnedBackend(find, network).connect_tcp("pay.example", 443, timeout=8.0)
    assert [(host, port) for host, port, _ in network.tried] == [(f"192.0.2.{last}", 443) for last in range(1, 5)]
    assert network.tried[0][2] == pytest.approx(2.0, abs=0.5)
    with pytest.raises(NotImplementedError):
        await PinnedBackend(find, network).connect_unix_socket("/run/some.sock")
