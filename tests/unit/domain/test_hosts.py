"""What the list of hosts says, and which addresses are public."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.hosts import AllowedHost, allowing, entry_for, is_public, plain, read_hosts
from domain.settings import Settings

NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.5", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::10.0.0.1"),
    *("64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "11.0.0.1", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2606:4700:4700::1111", "2a00::1"]


def _matches(entry: str, host: str, port: int) -> bool:
    return bool(allowing([AllowedHost.read(entry)], host, port))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_that_python_knows_as_special_is_public(address: IPv4Address | IPv6Address) -> None:
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    if special or address.is_reserved or address.is_unspecified or not address.is_global:
        assert not is_public(address)


@pytest.mark.parametrize(
    ("entry", "host", "port", "expected"),
    [
        ("pay.example", "pay.example", 443, True),
        ("pay.example", "PAY.Example.", 80, True),
        ("Pay.Example.", "pay.example", 443, True),
        ("pay.example", "pay.example", 8443, False),
        ("pay.example:8443", "pay.example", 8443, True),
        ("pay.example:8443", "pay.example", 443, False),
        ("pay.example:*", "pay.example", 9, True),
        ("pay.example", "evil-pay.example", 443, False),
        ("pay.example", "pay.example.evil", 443, False),
        ("pay.example", "x.pay.example", 443, False),
        ("*.pay.example", "x.pay.example", 443, True),
        ("*.pay.example", "x.y.pay.example", 443, True),
        ("*.pay.example", "pay.example", 443, False),
        ("*.pay.example", "evilpay.example", 443, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1", "localhost", 80, False),
        ("127.0.0.1", "127.1", 80, False),
        ("127.0.0.1", "0x7f.0.0.1", 80, False),
        ("127.0.0.1", "0177.0.0.1", 80, False),
        ("127.0.0.1", "2130706433", 80, False),
        ("127.0.0.1", "::ffff:127.0.0.1", 80, False),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "0:0:0:0:0:0:0:1", 8080, True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", 443, True),
    ],
)
def test_which_host_an_entry_is_about(entry: str, host: str, port: int, expected: bool) -> None:
    assert _matches(entry, host, port) is expected


@pytest.mark.parametrize(
    ("entry", "admitted", "refused"),
    [
        ("pay.example", ["8.8.8.8"], ["10.0.0.5", "127.0.0.1", "::1"]),
        ("pay.example=10.0.0.0/8", ["8.8.8.8", "10.0.0.5"], ["192.168.0.1", "127.0.0.1", "169.254.169.254"]),
        ("*.svc.internal:8080=fd00::/8", ["fd00::1"], ["10.0.0.1", "fe80::1"]),
        ("pay.example=10.0.0.5", ["10.0.0.5"], ["10.0.0.6"]),
        ("localhost:8080", ["127.0.0.1", "::1"], ["10.0.0.1", "0.0.0.0"]),
        ("10.0.0.5", ["10.0.0.5"], ["10.0.0.6", "127.0.0.1"]),
        ("[::1]", ["::1"], ["127.0.0.1"]),
    ],
)
def test_where_it_may_be(entry: str, admitted: list[str], refused: list[str]) -> None:
    read = AllowedHost.read(entry)
    assert [one for one in [*admitted, *refused] if read.admits(ip_address(one))] == admitted


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "*",
            "*.",
            "a*.example",
            "*.*.example",
            "http://pay.example",
            "pay.example/x",
            "a@pay.example",
            "pay.example:",
        ),
        *("pay.example:http", "pay.example:", "pay example", "bücher.example", "pay..example", "::1", "[pay.example]"),
        *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "1.2.3.999", "[127.0.0.1]", "10.0.0.5=10.0.0.0/8"),
        *(
            "pay.example=10.0.0.5/8",
            "pay.example=private",
            "*.1",
            "pay.example:99999999",
            "pay.example:65536",
            "pay.example:0",
            "[fe80::1%eth0]",
        ),
    ],
)
def test_what_cannot_be_an_entry(entry: str) -> None:
    with pytest.raises(ValueError, match=r"expected|written|leave"):
        AllowedHost.read(entry)


def test_the_setting_is_a_comma_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_OUTBOUND_HOSTS", raising=False)
    assert Settings().outbound_hosts == ()
    monkeypatch.setenv("PARLEY_OUTBOUND_HOSTS", " pay.example, *.shop.example:8443 ,")
    assert [one.name for one in Settings().outbound_hosts] == ["pay.example", "shop.example"]
    monkeypatch.setenv("PARLEY_OUTBOUND_HOSTS", "pay.example,https://shop.example")
    with pytest.raises(ValidationError, match=r"'https://shop\.example': a host, host:port"):
        Settings()


@pytest.mark.parametrize(
    ("host", "port", "entry"),
    [("Pay.Example.", 443, "pay.example"), ("127.0.0.1", 8080, "127.0.0.1:8080"), ("0::1", 8080, "[::1]:8080")],
)
def test_how_a_host_is_named_is_an_entry_about_it(host: str, port: int, entry: str) -> None:
    assert entry_for(host, port) == entry
    assert _matches(entry, host, port)


@given(st.text(max_size=40))
def test_whatever_is_read_as_an_entry_names_one_host(text: str) -> None:
    try:
        read = read_hosts(text)
    except ValueError:
        return
    assert isinstance(read, tuple)
    for one in read:
        assert one.name == plain(one.name) != ""
        assert "*" not in one.name
