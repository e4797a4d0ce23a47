import pytest

from domain.guard import Hop, Subject
from guardrails.filters.pii import Pii
from tests.unit.guardrails.filters.growth import growth


def _check(text: str):
    return Pii().check(Subject(hop=Hop.PROPOSAL, text=text))


def _seen(text: str) -> list[tuple[str, str]]:
    """What was seen alone in its text: the kind and the text of each place."""
    finding = _check(text)
    return [(finding.category, text[start:end]) for start, end in finding.spans] if finding else []


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("write to john.doe+x@mail.example.co.uk.", "email", "john.doe+x@mail.example.co.uk"),
        ("<a@b.io>", "email", "a@b.io"),
        ("jörg@münchen.de", "email", "jörg@münchen.de"),
        ("mailto:o'neil@example.org?subject=x", "email", "o'neil@example.org"),
        ("card 4111 1111 1111 1111 123", "payment_card", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111", "payment_card", "4111-1111-1111-1111"),
        ("4111111111111111.", "payment_card", "4111111111111111"),
        ("5555 5555 5555 4444", "payment_card", "5555 5555 5555 4444"),
        ("2223003122003222", "payment_card", "2223003122003222"),
        ("378282246310005", "payment_card", "378282246310005"),
        ("6011 1111 1111 1117", "payment_card", "6011 1111 1111 1117"),
        ("30569309025904", "payment_card", "30569309025904"),
        ("3530111333300000", "payment_card", "3530111333300000"),
        ("1234 4111 1111 1111 1111", "payment_card", "4111 1111 1111 1111"),
        (r"first\n4111111111111111", "payment_card", "4111111111111111"),
        ("to DE89 3704 0044 0532 0130 00 and", "iban", "DE89 3704 0044 0532 0130 00"),
        ("gb82west12345698765432", "iban", "gb82west12345698765432"),
        ("NO93 8601 1117 947", "iban", "NO93 8601 1117 947"),
        ("MT84MALT011000012345MTLCAST001S", "iban", "MT84MALT011000012345MTLCAST001S"),
        ("536-90-4399", "us_ssn", "536-90-4399"),
        ("SSN: 536904399", "us_ssn", "536904399"),
        ("social security number is 536 90 4399", "us_ssn", "536 90 4399"),
        ("from 8.8.8.8.", "ip_address", "8.8.8.8"),
        ("10.0.0.1", "ip_address", "10.0.0.1"),
        ("2001:db8::8a2e:370:7334", "ip_address", "2001:db8::8a2e:370:7334"),
        ("at 2606:4700:4700::1111.", "ip_address", "2606:4700:4700::1111"),
        ("fe80::1ff:fe23:4567:890a", "ip_address", "fe80::1ff:fe23:4567:890a"),
        ("call +49 30 12345678", "phone", "+49 30 12345678"),
        ("+1 (415) 555-2671", "phone", "+1 (415) 555-2671"),
        ("0049 (0)30 1234567", "phone", "0049 (0)30 1234567"),
        ("(415) 555-2671", "phone", "(415) 555-2671"),
        ("415-555-2671", "phone", "415-555-2671"),
        ("415.555.2671", "phone", "415.555.2671"),
        ("030 12345678", "phone", "030 12345678"),
        ("0171/1234567", "phone", "0171/1234567"),
        ("020 7946 0958", "phone", "020 7946 0958"),
        ("07700 900123", "phone", "07700 900123"),
        ("tel. 06 12 34 56 78", "phone", "06 12 34 56 78"),
        ("phone number is 5551234567", "phone", "5551234567"),
        ('{"homePhone":"5551234567"}', "phone", "5551234567"),
    ],
)
def test_each_kind_is_seen_in_its_exact_place(text, kind, place):
    assert _seen(text) == [(kind, place)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "an amount of 1,234,567.89",
        "+1 500 000 000 EUR",
        "+15 000 000",
        "+12345678.90",
        "12 345 678.00",
        "2024-01-15",
        "15.01.2024 12:34:56",
        "2024-01-15T12:34:56.123456Z",
        "01/02/2024",
        "20240115123456",
        "550e8400-e29b-41d4-a716-446655440000",
        "INV-2024-000123",
        "order 1234567890123456",
        "4111111111111112",
        "0.4111111111111111",
        "1700000000000000",
        "0000 0000 0000 0000",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "01 02 03 04 05",
        "06 12 34 56 78",
        "1234567890",
        "hotel 1234567890",
        "DE00 3704 0044 0532 0130 00",
        "DE89 3704 0044 0532 0130 01",
        "XX89 3704 0044 0532 0130 00",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-6789",
        "123-45-0000",
        "078-05-1120",
        "123-45-6789-01",
        "536 90 4399",
        "123456789",
        "version 1.2.3.4",
        "999.1.2.3",
        "1.2.3.4.5",
        "127.0.0.1 and 0.0.0.0",
        "::1",
        "a::b and std::cout",
        "12:34:56",
        "aa:bb:cc:dd:ee:ff",
        "icon@2x.png",
        "https://medium.com/@user.name",
        "@john on the net",
        "user@host",
        "package@1.2.3",
        "a" * 64,
        "income 1400, expenses 900, debt 20000, term 36 months",
    ],
)
def test_other_numbers_and_words_are_not(text):
    assert _check(text) is None


def test_several_kinds_are_counted_and_none_is_repeated():
    text = "john@example.com and jane@example.com paid with 4111111111111111"
    finding = _check(text)
    assert finding is not None
    assert (finding.category, finding.reason) == ("personal_data", "looks like email (2), payment_card (1)")
    assert finding.score == 0.95
    assert [text[start:end] for start, end in finding.spans] == [
        "john@example.com",
        "jane@example.com",
        "4111111111111111",
    ]
    assert "4111" not in finding.model_dump_json().replace("spans", "")
    assert finding.evidence_hash == ""


def test_every_place_is_told_however_many():
    finding = _check("a@b.io " * 500)
    assert finding is not None
    assert len(finding.spans) == 500


@pytest.mark.parametrize(
    "text", ["4111\u200b111111111111", "４１１１１１１１１１１１１１１１", "john\u00ad@example.com"]
)
def test_unseen_characters_and_wide_digits_do_not_hide_it(text):
    assert _check(text) is not None


def test_the_surer_form_scores_higher():
    scores = [_check(text).score for text in ("030 12345678", "+49 30 12345678", "a@b.io", "DE89370400440532013000")]
    assert scores == sorted(set(scores))


PARTS = (
    ("1", "4 ", "4111 ", "4111111111111111 ", "DE89 ", "a.", "a@", "a@a.", "@a.a", ":", "::1", "1:", "1.", "8.8.8.8 "),
    ("+1 ", "(415) ", "0171/", "536-90-", "phone ", "ssn ", "00 ", "415-555-2671 ", "\\n4"),
)


@pytest.mark.parametrize("part", [part for row in PARTS for part in row])
def test_the_time_grows_in_step_with_the_text(part):
    assert growth(lambda text: _check(text), part) < 24
