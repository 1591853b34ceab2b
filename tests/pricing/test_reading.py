"""Price lists as the user writes them: every slip is an error that names the file, the line and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outlay.errors import PricesError
from outlay.model.metering import CONTEXT_EDGES, METERS
from outlay.pricing.lists import lists
from outlay.pricing.reading import read

HEAD = 'provider = "groq"\ncurrency = "USD"\nchecked = 2026-11-01\nsource = "https://vendor.test"\n'
MODEL = '[[model]]\nid = "m"\n'
PRICE = "[[model.price]]\nvalid_from = 2026-01-01\n"
GOOD = HEAD + MODEL + PRICE + 'input_tokens = "1 per million"\n'


def refused(text: str) -> str:
    """Return why a list is refused."""
    with pytest.raises(PricesError) as caught:
        read(text, "mine.toml", "mine", "own")
    assert caught.value.hint
    return caught.value.message


def test_a_good_list_is_read() -> None:
    """The list that the refused ones below differ from is itself in order."""
    assert read(GOOD, "mine.toml", "mine", "own").models[0].ids == ("m",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("provider = ", "mine.toml: it is not TOML"),
        (HEAD, "it has no [[model]]"),
        (GOOD.replace('currency = "USD"', 'currency = "usd"'), "line 2: `currency` is 'usd' and not a currency code"),
        (GOOD.replace("checked = 2026-11-01\n", ""), "`checked` is a day without quotes"),
        (GOOD.replace("provider", "vendor"), "line 1: `vendor` is not known"),
        (HEAD + "[[model]]\n" + PRICE + 'requests = "1 per 1"', "line 5: `id` of [[model]] is missing"),
        (HEAD + MODEL, "line 5: `price` of [[model]] is missing"),
        (GOOD + MODEL + PRICE + 'requests = "1 per 1"', "line 11: `id` of [[model]] names 'm' a second time"),
        (GOOD + PRICE + 'input_tokens = "2 per million"', "is the same as another price's"),
        (GOOD.replace("input_tokens", "imput_tokens"), "line 9: `imput_tokens` of [[model.price]] is not known"),
        (GOOD.replace('"1 per million"', '"1"'), "line 9: `input_tokens` of [[model.price]] is written as text"),
        (GOOD.replace('"1 per million"', "1.5"), "line 9: `input_tokens` of [[model.price]] is written as text"),
        (GOOD.replace('"1 per million"', '"-1 per million"'), "line 9: `input_tokens`"),
        (GOOD.replace('"1 per million"', '"1e3 per million"'), "line 9: `input_tokens`"),
        (GOOD.replace('"1 per million"', '"1 per dozen"'), "is per 'dozen'; known are thousand, million and numbers"),
        (GOOD.replace('"1 per million"', '"1 per hour"'), "is per 'hour'; known are thousand, million and numbers"),
        (GOOD.replace('"1 per million"', '"1 per 0"'), "line 9: `input_tokens`"),
        (GOOD + 'reasoning_tokens = "1 per million"', "line 10: `reasoning_tokens` of [[model.price]] is inside out"),
        (GOOD + "above = 150000", "line 10: `above` of [[model.price]] is 150000; totals are kept by 100000,"),
        (GOOD + 'when = "peak"', "names 'peak', and no [[window]] has that name"),
        (GOOD + 'times = "0.5"', "`times` of [[model.price]] and prices exclude each other"),
        (HEAD + MODEL + PRICE + 'times = "0.5"', "holds for a `tier`"),
        (HEAD + MODEL + PRICE + 'tier = "batch"\ntimes = "half"', "is a number as text"),
        (HEAD + MODEL + PRICE, "exclude each other, and one of them is needed"),
        (GOOD.replace("2026-01-01", '"2026-01-01"'), "line 8: `valid_from` of [[model.price]] is a day, or an hour"),
        (GOOD.replace("2026-01-01", "2026-01-01T10:30:00Z"), "is no whole hour"),
        (GOOD.replace("2026-01-01", "2026-01-01T10:00:00"), "with its offset"),
        (GOOD + 'minimum = "10"', "line 10: `minimum` of [[model.price]] a minimum per request cannot be applied"),
        (GOOD + "volume = 1", "prices by the month's volume are not supported"),
        (GOOD + '[[window]]\nname = "w"\nutc = ["16:30-00:30"]', "line 12: `utc` of [[window]] has '16:30-00:30'"),
        (
            GOOD + 'when = "w"\n[[window]]\nname = "w"\nvalid_from = 2026-02-01\nutc = ["01:00-02:00"]',
            "line 8: `valid_from` of [[model.price]] is before the first [[window]] of 'w' opens, on 2026-02-01",
        ),
        (GOOD + '[[window]]\nname = "w"', "`utc` of [[window]] is missing"),
        (GOOD + '[[window]]\nname = "w"\nutc = ["01:00-02:00"]\nweekdays = ["monday"]', "line 13: `weekdays`"),
        (GOOD + '[[window]]\nname = "w"\nutc = ["01:00-02:00"]\nholidays = ["2026-10-01"]', "is a list of days"),
        (GOOD.replace('id = "m"', 'id = "m"\naliases = "n"'), "line 7: `aliases` of [[model]] is a list of texts"),
        (GOOD.replace('id = "m"', 'id = "m"\ndated = "yes"'), "line 7: `dated` of [[model]] is true or false"),
        (GOOD.replace("[[model.price]]", "[model.price]"), "is written as [[price]]"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_an_error(text: str, says: str) -> None:
    """What is not as documented is refused where it stands, and never priced nor passed over."""
    assert says in refused(text)


def test_the_second_of_two_tables_is_the_one_named() -> None:
    """The line of a mistake is that of its own table, not of the first one like it."""
    text = GOOD + '[[model]]\nid = "n"\n' + PRICE + 'input_tokens = "1 per million"\noutput_tokens = "x"\n'
    assert "mine.toml, line 15: `output_tokens`" in refused(text)


def test_a_list_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    """A broken file among the user's own is an error when lists are loaded, with the path in it."""
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "a.toml").write_text(GOOD, "utf-8")
    (tmp_path / "prices" / "b.toml").write_bytes(GOOD.encode() + b"# \xff\n")
    with pytest.raises(PricesError, match=r"b\.toml, line 10: the file is not UTF-8 text"):
        lists(tmp_path)
    (tmp_path / "prices" / "b.toml").write_text(GOOD.replace("USD", "?"), "utf-8")
    with pytest.raises(PricesError, match=r"b\.toml, line 2"):
        lists(tmp_path)


def test_no_folder_is_no_list(tmp_path: Path) -> None:
    """Without `<home>/prices` there is nothing of the user's own."""
    assert lists(tmp_path).own == ()


def test_the_lists_in_the_documentation_are_lists() -> None:
    """All examples on the page of prices are read as they stand, and the page names every meter and size."""
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text("utf-8")
    shown = [read(text, "prices.md", "shown", "own") for text in re.findall(r"(?ms)^```ini\n(.*?)^```$", page)]
    assert [one.currency for one in shown] == ["USD", "CNY", "USD"]
    assert all(str(edge) in page for edge in CONTEXT_EDGES)
    assert all(f"`{meter}`" in page for meter, known in METERS.items() if known.inside is None)


@pytest.mark.parametrize("meter", sorted(METERS))
def test_every_meter_can_be_priced_unless_it_is_inside_another(meter: str) -> None:
    """The format knows the meters from the one list of them."""
    text = HEAD + MODEL + PRICE + f'{meter} = "1.5 per 10"'
    if METERS[meter].inside:
        assert "is inside" in refused(text)
    else:
        assert read(text, "f", "f", "own").models[0].rows[0].rates[meter].per == 10
