"""Calls to the outside, with a resolver of the test's own: what is refused, and what is connected to."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest

from domain.errors import OutboundRefused
from domain.hosts import AllowedHost
from tasks.outbound import Outbound, look_up
from tests.fakes.server import FakeHandler, serving


class Resolver:
    """Gives each answer once, the last one again and again."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Seen:
    """Requests that a local server got."""

    def __init__(self) -> None:
        self.url, self.hosts = "", list[str]()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@pytest.fixture
def seen() -> Iterator[Seen]:
    found = Seen()

    class Handler(FakeHandler):
        def do_GET(self) -> None:
            found.hosts.append(self.headers["Host"])
            self.answer(302, {}, Location=f"{found.url}/elsewhere")

    with serving(Handler, threading.Event()) as found.url:
        yield found


def _outbound(entries: str, resolver: Resolver) -> Outbound:
    return Outbound([AllowedHost.read(one) for one in entries.split()], resolver)


async def _get(outbound: Outbound, url: str, timeout: float = 5.0) -> int:
    async with outbound.client(timeout) as client:
        return (await client.get(url)).status_code


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1"),
        *("127.1", "0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
        *("169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "10.0.0.5", "100.100.100.200", "metadata.internal"),
        *("good.example@127.0.0.1", "good.example:80@127.0.0.1", "good.example%40127.0.0.1", "good.example.evil.test"),
        *("evil.test#good.example", "evil.test?good.example", "evil.test\\good.example", "b\u00fccher.example"),
    ],
)
async def test_what_is_not_named_is_neither_looked_up_nor_called(seen: Seen, host: str) -> None:
    resolver = Resolver(["127.0.0.1"])
    outbound = _outbound("good.example:* *.good.example:*", resolver)
    for url in (f"http://{host}:{seen.port}/", f"http://{host}/"):
        with pytest.raises((OutboundRefused, httpx.InvalidURL), match=r"name it in PARLEY_OUTBOUND_HOSTS|Invalid"):
            await _get(outbound, url)
    assert (resolver.asked, seen.hosts) == ([], [])


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["64:ff9b::127.0.0.1"],
        ["fe80::1%lo"],
        ["0.0.0.0"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["2606:4700:4700::1111", "fd00::1"],
    ],
)
async def test_a_name_with_any_address_that_is_not_public_is_refused(seen: Seen, addresses: list[str]) -> None:
    outbound = _outbound("good.example:*", Resolver(addresses))
    with pytest.raises(OutboundRefused, match=r"good.example is at .* no public address"):
        await _get(outbound, f"http://good.example:{seen.port}/")
    assert seen.hosts == []


async def test_what_the_message_proposes_admits_it(seen: Seen) -> None:
    resolver = Resolver(["127.0.0.1"])
    url = f"http://good.example:{seen.port}/"
    with pytest.raises(OutboundRefused) as refused:
        await _get(_outbound("good.example:*", resolver), url)
    assert await _get(_outbound(str(refused.value).rsplit(" ", 1)[1], resolver), url) == 302


async def test_it_is_connected_to_what_was_looked_at_and_asked_for_once(seen: Seen) -> None:
    """The second answer would be refused, or lead elsewhere; nobody asks for it. No redirect is followed."""
    resolver = Resolver(["127.0.0.1"], ["10.0.0.5"])
    outbound = _outbound("good.example:*=127.0.0.1", resolver)
    assert await _get(outbound, f"http://good.example:{seen.port}/") == 302
    assert resolver.asked == ["good.example"]
    assert seen.hosts == [f"good.example:{seen.port}"]


async def test_a_second_connection_looks_anew(seen: Seen) -> None:
    outbound = _outbound("good.example:*=127.0.0.1", Resolver(["127.0.0.1"], ["10.0.0.5"]))
    assert await _get(outbound, f"http://good.example:{seen.port}/") == 302
    with pytest.raises(OutboundRefused):
        await _get(outbound, f"http://good.example:{seen.port}/")
    assert len(seen.hosts) == 1


@pytest.mark.parametrize("entry", ["127.0.0.1:*", "localhost:*"])
async def test_what_is_named_as_local_is_reached_by_the_real_resolver(seen: Seen, entry: str) -> None:
    host = entry.removesuffix(":*")
    assert await _get(Outbound([AllowedHost.read(entry)]), f"http://{host}:{seen.port}/") == 302
    assert list(await look_up("127.0.0.1", seen.port)) == ["127.0.0.1"]


async def test_the_environments_proxies_play_no_part(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, seen.url)
    with pytest.raises(OutboundRefused):
        await _get(_outbound("", Resolver(["127.0.0.1"])), "http://evil.test/")
    assert seen.hosts == []


@pytest.mark.parametrize("answer", [OSError("no such name"), [], UnicodeError("label too long")])
async def test_a_name_that_is_not_found_was_not_called(answer: Sequence[str] | Exception) -> None:
    with pytest.raises(httpx.ConnectError):
        await _get(_outbound("good.example", Resolver(answer)), "http://good.example/")


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(seen: Seen) -> None:
    outbound = _outbound("good.example:*=127.0.0.0/8", Resolver(["127.0.0.2", "127.0.0.1"]))
    assert await _get(outbound, f"http://good.example:{seen.port}/") == 302
    assert len(seen.hosts) == 1


async def test_looking_up_takes_no_longer_than_the_call_may() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    outbound = Outbound([AllowedHost.read("good.example")], never)
    with pytest.raises(httpx.ConnectTimeout):
        async with asyncio.timeout(5):
            await _get(outbound, "http://good.example/", timeout=0.1)
