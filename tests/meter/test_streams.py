"""Wherever a network cuts an answer, the same events come out of it."""

from __future__ import annotations

import gzip
import sys
import types
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.meter import streams
from outlay.meter.streams import Events, Lines, Whole, collector, decoder

MARKS = (b'"usage"',)
CONTENT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=30)


@st.composite
def spoken(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a stream in any of the spellings the format allows, and the documents it holds."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    text, kept = [draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))], []
    for content in draw(st.lists(CONTENT, max_size=8)):
        marked, space = draw(st.booleans()), draw(st.sampled_from([b"", b" "]))
        document = (b'{"usage":1}' if marked else b'{"choices":[]}') + content.encode()
        before = draw(st.sampled_from([b"", b": keep-alive" + end, b"event: x" + end, b"id: 1" + end, end]))
        text.append(before + b"data:" + space + document + end + end)
        kept += [document] if marked else []
    return b"".join(text), kept


def fed(text: bytes, cuts: list[int], *, complete: bool = True) -> tuple[bytes, ...]:
    """Return the documents of a text that comes in pieces."""
    events = Events(MARKS)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        events.feed(text[start:end])
    return events.documents(complete=complete)


@given(spoken(), st.lists(st.integers(0, 10_000), max_size=40))
def test_cuts_change_nothing(said: tuple[bytes, list[bytes]], cuts: list[int]) -> None:
    """A stream cut anywhere has the documents of the whole, and those are the ones with a mark."""
    text, kept = said
    assert list(fed(text, cuts)) == kept
    assert list(fed(text, list(range(len(text))))) == kept


@given(spoken(), st.integers(0, 10_000))
def test_a_stream_that_ends_early_tells_what_it_told(said: tuple[bytes, list[bytes]], cut: int) -> None:
    """What came before the end is kept, and half an event never is."""
    text, kept = said
    found = list(fed(text[: cut % (len(text) + 1)], [], complete=False))
    assert found == kept[: len(found)]


def test_a_last_event_needs_no_empty_line() -> None:
    """A complete stream whose last event lacks its end still tells it; a broken one does not."""
    assert fed(b'data: {"usage":1}', []) == (b'{"usage":1}',)
    assert fed(b'data: {"usage":1}', [], complete=False) == ()


def test_data_of_several_lines_are_one_document() -> None:
    """Lines of one event are joined as the format says."""
    assert fed(b'data: {"usage":\ndata: 1}\n\n', [3, 9]) == (b'{"usage":\n1}',)


def test_the_end_of_a_stream_is_kept_where_figures_come_in_pieces() -> None:
    """Within its bound the tail comes along, each event once and in order."""
    lines = Lines(MARKS, tail_bytes=20)
    lines.feed(b'{"usage":1}\n{"a":1}\n{"b":1}\n{"c":1}\n')
    assert lines.documents(complete=True) == (b'{"usage":1}', b'{"b":1}', b'{"c":1}')


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "deflate", "raw", "identity", ""]), st.integers(1, 700))
def test_encodings_are_undone_in_pieces(content: bytes, encoding: str, step: int) -> None:
    """Any way of cutting an encoded body gives the body."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(content), "deflate": zlib.compress(content),
        "raw": compressor.compress(content) + compressor.flush(),
    }.get(encoding, content)  # fmt: skip
    undo = decoder("deflate" if encoding == "raw" else encoding)
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    if encoding == "raw" and pieces and len(pieces[0]) < 2:
        pieces = [packed]  # the two bytes that tell one kind of deflate from the other come together in practice
    assert b"".join(each for piece in pieces for each in undo(piece)) == content


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "aws-chunked"])
def test_strange_encodings_are_refused(encoding: str) -> None:
    """What cannot be undone is said."""
    with pytest.raises(streams.EncodingError):
        decoder(encoding)


def test_bodies_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body or an event beyond the bound is given up and not held."""
    monkeypatch.setattr(streams, "DOCUMENT_BYTES_MAX", 100)
    for each in (Whole(), Events(MARKS), Lines(MARKS)):
        each.feed(b"x" * 60)
        with pytest.raises(streams.TooLargeError):
            each.feed(b"x" * 60)


def test_bombs_come_in_bounded_pieces() -> None:
    """However well a body was compressed, no piece of it is larger than the bound."""
    packed = gzip.compress(bytes(50 << 20))
    assert max(len(piece) for piece in decoder("gzip")(packed)) <= 1 << 20


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [("text/event-stream; charset=utf-8", "Events"), ("application/json", "Whole"), ("audio/mpeg", "Nothing"),
     ("application/problem+json", "Whole"), ("application/x-ndjson", "Lines")],
)  # fmt: skip
def test_only_bodies_with_figures_are_kept(media_type: str, kind: str) -> None:
    """Sound and images pass by; JSON and events do not."""
    assert type(collector(media_type, MARKS)).__name__ == kind


@pytest.mark.parametrize("library", ["brotli", "brotlicffi", "zstandard", "compression.zstd"])
def test_libraries_that_are_there_are_used(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brotli and zstd are undone by whichever library the program's client uses; without one it is said."""
    for name in ("brotli", "brotlicffi", "zstandard", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    encoding = "br" if "brotli" in library else "zstd"
    with pytest.raises(streams.EncodingError):
        decoder(encoding)

    class Undo:
        """A library's decompressor, whose format is the text backwards."""

        def decompress(self, chunk: bytes) -> bytes:
            return chunk[::-1]

    made = types.ModuleType(library)
    made.__dict__["Decompressor" if encoding == "br" else "ZstdDecompressor"] = Undo
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    monkeypatch.setitem(sys.modules, library, made)
    assert b"".join(decoder(encoding)(b"cba")) == b"abc"


def test_broken_gzip_is_said() -> None:
    """What is not in its encoding is an error, at its start and in its middle."""
    whole = bytearray(zlib.compress(bytes(range(256)) * 40))
    whole[20:40] = b"\xff" * 20
    for encoding, content in (("gzip", b"not gzip at all"), ("deflate", bytes(whole))):
        with pytest.raises(streams.EncodingError):
            list(decoder(encoding)(content))


def test_many_documents_keep_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that marks every event is held within a bound."""
    monkeypatch.setattr(streams, "_DOCUMENTS_MAX", 3)
    lines = Lines(MARKS)
    lines.feed(b"".join(b'{"usage":%d}\n' % number for number in range(10)))
    assert lines.documents(complete=True) == (b'{"usage":0}', b'{"usage":8}', b'{"usage":9}')
