"""No secret survives in anything that is written, logged or shown."""

from __future__ import annotations

import base64
import io
import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.redaction import MASK, RedactingFilter, Redactor, redactor

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(
    lambda text: not set(text) <= set('*"\\/') and len(set(text)) > 3
)
AROUND = st.text(max_size=20)


def knowing(*secrets: str) -> Redactor:
    """Return a redactor of the test's own that knows some secrets."""
    mine = Redactor()
    for secret in secrets:
        mine.learn(secret)
    return mine


def travelling(secret: str) -> dict[str, str]:
    """Return every form in which a secret can turn up in a text."""
    return {
        "as it is": secret,
        "in a URL": quote(secret, safe=""),
        "in a path": quote(secret),
        "in a form": quote_plus(secret),
        "in JSON": json.dumps(secret)[1:-1],
        "in a Python literal": repr(secret)[1:-1],
        "in base64": base64.b64encode(secret.encode()).decode(),
        "in base64 for URLs": base64.urlsafe_b64encode(secret.encode()).decode(),
    }


@given(SECRETS, AROUND, AROUND)
def test_no_form_of_a_known_secret_survives(secret: str, before: str, after: str) -> None:
    """Whatever form a known secret travels in, texts and bodies lose it and keep the rest."""
    mine = knowing(secret)
    for name, form in travelling(secret).items():
        text = mine.text(f"{before} {form} {after}")
        assert form not in text, name
        body = mine.body(f"{before} {form} {after}".encode())
        assert form.encode() not in body, name
        assert MASK.encode() in body, name


@given(SECRETS, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9))
def test_basic_credentials_lose_the_secret(secret: str, user: str) -> None:
    """A secret is recognised within base64 whatever stands before and after it."""
    encoded = base64.b64encode(f"{user}:{secret}:x".encode()).decode()
    text = knowing(secret).text(f"got {encoded} here")
    at = (len(user) + 1 + 2) // 3 * 4
    assert encoded[at : at + len(secret) // 3 * 4 - 4] not in text


@given(st.lists(SECRETS, min_size=2, max_size=4))
def test_a_secret_within_another_hides_both(secrets: list[str]) -> None:
    """The longest known secret is taken out first, so that no tail of it stays."""
    longer = secrets[0] + secrets[1]
    mine = knowing(*secrets, longer)
    assert mine.text(f"<{longer}>") == f"<{MASK}>"


@given(st.binary(max_size=200))
def test_a_body_without_secrets_is_untouched(body: bytes) -> None:
    """A payload that holds no known secret is kept to the last byte."""
    assert knowing("k-" + "never-in-a-body-" + "0123456789").body(body) == body


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer " + "abcdefgh1234",
        '{"api_key": "' + "abcdefgh1234" + '"}',
        "x-api-key=" + "abcdefgh1234",
        "sk-ant-" + "abcdefgh1234",
        "sk-proj-" + "abcdefgh1234",
        "ghp_" + "abcdefgh1234",
        "github_pat_" + "abcdefgh1234",
        "https://user:" + "abcdefgh1234" + "@proxy.test:3128/",
        "-----BEGIN PRIVATE KEY-----\n" + "abcdefgh1234" + "\n-----END PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_hidden_unlearned(text: str) -> None:
    """A text that looks like a credential is masked though no one taught it."""
    assert "abcdefgh1234" not in Redactor().text(text)


def test_short_texts_are_not_learned() -> None:
    """A secret of a few characters would take harmless words out of everything."""
    assert knowing("abc").text("abc") == "abc"


def test_learning_and_forgetting_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of a key file's size costs no pattern: many tokens come and go while one is known."""
    compiled: list[object] = []
    monkeypatch.setattr("outlay.redaction.re.compile", compiled.append)
    mine = knowing("k-" + "line of a key file/" * 120)
    for number in range(50):
        mine.learn(f"token-{number}")
        assert mine.text("nothing of the kind") == "nothing of the kind"
        mine.forget(f"token-{number}")
    assert mine.body(b"nothing of the kind") == b"nothing of the kind"
    assert compiled == []


def test_what_another_holds_stays_hidden() -> None:
    """A token that was learned twice, or is a form of another secret, is hidden until the last one lets go."""
    token = "tok-" + "fake-of-an-hour"
    mine = knowing(token, token, f"{token}/x")
    mine.forget(token)
    assert mine.text(f"<{token}>") == f"<{MASK}>"
    mine.forget(token)
    mine.forget(token)
    assert mine.text(f"<{token}>") == f"<{token}>"
    assert mine.text(f"<{token}/x>") == f"<{MASK}>"


def logged(record_it: object, *, formatted_before: bool = False) -> str:
    """Return what a handler with the filter writes for a record that the callable makes."""
    out = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001  # shared with no other test
    if formatted_before:
        logger.addHandler(logging.StreamHandler(io.StringIO()))
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    logger.addHandler(handler)
    record_it(logger)  # type: ignore[operator]
    return out.getvalue()


@pytest.fixture
def secret() -> str:
    """Return a secret that the process-wide redactor knows."""
    value = "zq-" + "Secret'With\"Quotes" + "42"
    redactor.learn(value)
    return value


def boom(secret: str) -> None:
    """Raise with the secret in the error and in the error that caused it."""
    try:
        int(f"inner {secret}")
    except ValueError as error:
        raise RuntimeError(f"outer {secret}") from error


@pytest.mark.parametrize("formatted_before", [False, True])
def test_log_lines_and_tracebacks_lose_secrets(secret: str, formatted_before: bool) -> None:
    """Message, arguments, traceback, causes and stack of a record are clean, also after another handler's turn."""

    def record(logger: logging.Logger) -> None:
        try:
            boom(secret)
        except RuntimeError:
            logger.exception("failed with %s and %r", secret, {"key": secret}, stack_info=True)

    text = logged(record, formatted_before=formatted_before)
    assert "failed with ***" in text
    assert "Traceback" in text
    for form in travelling(secret).values():
        assert form not in text


def test_a_formatter_of_its_own_sees_no_secret(secret: str) -> None:
    """A formatter that renders the exception itself, as JSON formatters do, has no exception to leak from."""

    class Own(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return self.formatException(record.exc_info) if record.exc_info else str(record.exc_text)

    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Own())
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("test")  # noqa: LOG001  # shared with no other test
    logger.addHandler(handler)
    try:
        boom(secret)
    except RuntimeError:
        logger.exception("failed")
    assert "Traceback" in out.getvalue()
    assert secret not in out.getvalue()


def test_a_record_that_does_not_format_is_still_clean(secret: str) -> None:
    """A log call with the wrong arguments is written without them rather than raising or leaking."""
    text = logged(lambda logger: logger.warning("%d of them", secret))
    assert "%d of them" in text
    assert secret not in text
