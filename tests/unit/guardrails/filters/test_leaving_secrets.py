import pytest

from domain.guard import Hop, Subject
from guardrails.filters import leaving_secrets
from guardrails.filters.leaving_secrets import KEYWORD, PLUGINS, LeavingSecrets
from tests.unit.guardrails.filters.growth import growth

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def _check(text: str):
    return LeavingSecrets().check(Subject(hop=Hop.ARGUMENTS, text=text))


def _places(text: str) -> list[str]:
    finding = _check(text)
    return [text[start:end] for start, end in finding.spans] if finding else []


@pytest.mark.parametrize(
    ("text", "plugin", "place"),
    [
        ("use glpat-" + LETTERS[:20], "gitlab_token", "glpat-" + LETTERS[:20]),
        (
            "SG." + LETTERS[:22] + "." + LETTERS + LETTERS[:7],
            "sendgrid",
            "SG." + LETTERS[:22] + "." + LETTERS + LETTERS[:7],
        ),
        ("1234567890:" + LETTERS[:35], "telegram_token", "1234567890:" + LETTERS[:35]),
        ("npm: " + LETTERS[:32] + "-us12", "mailchimp", LETTERS[:32] + "-us12"),
        ("https://user:pw123@host/x", "basic_auth", "://user:pw123@"),
        ('{"password":"hunter22"}', KEYWORD, "hunter22"),
        ('my_secret = "hunter22"', KEYWORD, "hunter22"),
    ],
)
def test_credentials_are_seen_in_their_exact_place(text, plugin, place):
    finding = _check(text)
    assert finding is not None
    assert plugin in finding.reason
    assert _places(text) == [place]
    assert len(finding.evidence_hash) == 64
    assert place not in finding.model_dump_json()


def test_every_value_is_told_where_the_plugin_tells_the_first():
    assert _places('{"password":"hunter22","x":1,"db_password":"hunter33","api_key":"hunter44"}') == [
        "hunter22",
        "hunter33",
        "hunter44",
    ]


def test_a_private_key_is_told_to_its_end():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY"
    assert _places(f"here: {key}-----\nbye")[0].endswith("-----END RSA PRIVATE KEY".removeprefix("-----"))
    assert "bye" not in _places(f"here: {key}-----\nbye")[0]
    assert _places("BEGIN PRIVATE KEY-----\nMIIE") == ["BEGIN PRIVATE KEY-----\nMIIE"]


@pytest.mark.parametrize("before", [0, 440, 590, 599, 1040, 5000])
def test_a_credential_is_seen_wherever_it_stands_in_a_long_line(before):
    assert _places("x" * before + " glpat-" + "a" * 50) == ["glpat-" + "a" * 50]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the secret is safe",
        "password policy: required",
        'password="<redacted>"',
        '"password":"${DB_PASSWORD}"',
        'password="***"',
        "550e8400-e29b-41d4-a716-446655440000",
        "a" * 64,
        '{"Amount":800,"Job":"fixed"}',
        "8.8.8.8",
    ],
)
def test_ordinary_text_is_not(text):
    assert _check(text) is None


def test_an_issuers_form_is_surer_than_a_name():
    assert _check("glpat-" + LETTERS[:20]).score > _check('"password":"hunter22"').score >= 0.5


def test_it_stands_where_text_leaves():
    assert LeavingSecrets().hops == {Hop.INPUT, Hop.ARGUMENTS}


def test_each_name_that_the_keyword_plugin_knows_has_one_of_the_stems():
    from detect_secrets.plugins.keyword import DENYLIST

    assert all(leaving_secrets._STEM.search(name.replace("_?", "_")) for name in DENYLIST)


def test_the_plugins_are_those_of_the_package_but_for_entropy_and_addresses():
    from pathlib import Path

    import detect_secrets.plugins as package

    files = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
    assert files - {"__init__", "base"} - set(PLUGINS) == {"high_entropy_strings", "ip_public"}


PARTS = (
    ("a", "password", "password:", 'password"', "'password", "`a", 'password="', "pwd='", "://a:", "eyJ", 'secret"'),
    ("api_key ", "aws key", "//a/:_authToken=", "\n"),
)


@pytest.mark.parametrize("part", [part for row in PARTS for part in row])
def test_the_time_grows_in_step_with_the_text(part):
    assert growth(_check, part) < 24
