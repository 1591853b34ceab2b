"""What an endpoint reads of an answer's headers reaches its facts and is kept; nothing else of them is."""

from __future__ import annotations

from outlay.providers.base import Refusal
from wire.vendor import KEY, endpoint_with, page, refusal, run

LIMITED = endpoint_with(headers_read=("x-limit", "x-left"), refusals=(Refusal(429, "answer", "QUOTA"),))


def test_only_the_headers_that_are_read_are_kept() -> None:
    """Named headers stand in the ask and in the payload; one that did not come is absent."""
    answers, _, _ = run(page("1", x_limit="5", x_request_id="r"), endpoint=LIMITED)
    assert answers[0].ask.headers == answers[0].payload.headers == {"x-limit": "5"}


def test_an_endpoint_that_reads_none_keeps_none() -> None:
    """Without a word about headers nothing of them is stored."""
    answers, _, _ = run(page("1", x_limit="5"))
    assert answers[0].ask.headers == {}
    assert answers[0].payload.headers is None


def test_a_header_that_repeats_the_credential_is_cleaned() -> None:
    """What is kept passes the redactor like every body."""
    answers, _, _ = run(page("1", x_limit=KEY), endpoint=LIMITED)
    assert KEY not in str(answers[0].payload.headers)


def test_a_refusal_can_be_the_answer() -> None:
    """A 429 that is described as an answer is mapped like a page, with its status kept and no second try."""
    said = refusal(429, '{"data": [{"amount": 3}], "has_more": false, "quota": "QUOTA"}', x_left="0")
    answers, script, _ = run(said, endpoint=LIMITED)
    assert [row.amount for row in answers[0].page.data] == [3]
    assert (answers[0].payload.status, len(script.asked)) == (429, 1)
    assert answers[0].ask.headers == {"x-left": "0"}
