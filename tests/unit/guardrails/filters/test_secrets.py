import pytest

from domain.guard import Hop, Subject
from guardrails.filters.secrets import Secrets
from guardrails.redaction import redacted

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def _check(text: str):
    return Secrets().check(Subject(hop=Hop.INPUT, text=text))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"sk-ant-api03-{LETTERS}", "anthropic_key"),
        (f"sk-{LETTERS}", "openai_key"),
        (f"key:sk-proj-{LETTERS}", "openai_key"),
        (f'"note": "line\\nsk-{LETTERS}"', "openai_key"),
        ("sk_live_" + LETTERS, "stripe_key"),
        ("AKIAIOSFODNN7EXAMPLE", "aws_access_key"),
        ("ghp_" + LETTERS, "github_token"),
        ("github_pat_" + LETTERS, "github_token"),
        ("xoxb-123456789012-abcdef", "slack_token"),
        ("AIza" + LETTERS[:35], "google_key"),
        ("-----BEGIN PRIVATE KEY-----", "private_key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private_key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "private_key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk", "web_token"),
        ("postgresql://user:s3cret@host/db", "url_with_password"),
        ("password=hunter22", "assigned_secret"),
        ("PASSWORD = 'hunter22'", "assigned_secret"),
        ('{"password": "hunter22"}', "assigned_secret"),
        ('"{\\"api_key\\": \\"hunter22\\"}"', "assigned_secret"),
        ("the password is hunter22", "stated_secret"),
        (f"sk-\u200bant-api03-{LETTERS}", "anthropic_key"),
    ],
)
def test_credentials_are_seen_and_not_repeated(text, rule):
    finding = _check(text)
    assert finding is not None
    assert rule in finding.reason
    assert finding.score >= 0.5
    assert "hunter22" not in finding.reason
    assert len(finding.evidence_hash) == 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the task-based risk-assessment-of-the-applicant",
        "sk-learn",
        "password",
        "password policy: required",
        "password=${DB_PASSWORD}",
        "password=<redacted>",
        "password=***",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "https://example.org:8080/path",
        "AKIA",
        "ghp_short",
        '{"Amount": 800, "Job": "fixed"}',
        "a" * 64,
        "the password is strong",
        "desk-" + "a" * 30,
    ],
)
def test_ordinary_text_is_not(text):
    assert _check(text) is None


def test_spans_count_characters():
    finding = _check("äöü AKIAIOSFODNN7EXAMPLE")
    assert finding is not None
    assert finding.spans == ((4, 24),)


def test_a_surer_form_scores_higher():
    sure, less = _check("AKIAIOSFODNN7EXAMPLE"), _check("password=hunter22")
    assert sure is not None
    assert less is not None
    assert sure.score > less.score


@pytest.mark.parametrize("closing", ["-----END RSA PRIVATE KEY-----", ""])
def test_a_private_key_is_taken_out_whole(closing):
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA12+/\n" * 200 + closing
    left = redacted(f"before {key}", Hop.RETRIEVED, [Secrets()])
    assert "MIIE" not in left
    assert left.startswith("before ")
