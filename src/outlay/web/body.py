"""Read a request's body: whole, unpacked, and never more of it than a bound, however many ask at once."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus

from starlette.types import Receive

from outlay.web.errors import ApiError, refuse

BODY_MAX = 4 << 20
"""How large a body may be as it is sent, in bytes."""
PLAIN_MAX = 16 << 20
"""How large it may be once unpacked."""
IN_FLIGHT_MAX = 64 << 20
"""How many bytes of bodies are held at once, for all requests together."""
READ_SECONDS_MAX = 30
_GZIP = 16 + zlib.MAX_WBITS
_PACKED = ("gzip", "x-gzip")


class Budget:
    """How much of the memory for bodies is taken; used from the event loop alone."""

    def __init__(self, limit: int = IN_FLIGHT_MAX) -> None:
        self._limit = limit
        self.held = 0

    def take(self, count: int) -> None:
        """Hold so many bytes more. Raises: ApiError when there are no more to be had."""
        if self.held + count > self._limit:
            raise busy("too many bodies are being read at once")
        self.held += count

    def give(self, count: int) -> None:
        """Give bytes back."""
        self.held -= count


def busy(message: str) -> ApiError:
    """Return the refusal that asks a sender to come again: nothing of what it sent was taken."""
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "busy",
        message,
        "Nothing of this request was taken: send it again after Retry-After.",
        retry_after_seconds=1,
    )


async def read(packing: str, receive: Receive, budget: Budget) -> bytes:
    """Return the body, unpacked; `packing` is its Content-Encoding.

    Raises: ApiError for one that is too large, too slow, cut or packed in another way.
    """
    packing = (packing or "identity").lower()
    if packing not in {*_PACKED, "identity"}:
        refuse(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "encoding_unknown",
            f"the body is packed as {packing[:32]!r}",
            "Send it plain or with Content-Encoding: gzip.",
        )
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    refuse(HTTPStatus.BAD_REQUEST, "body_unreadable", "the body was cut", "Send it again.")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                if size + len(chunk) > BODY_MAX:
                    raise _too_large(f"the body is larger than {BODY_MAX} bytes")
                budget.take(len(chunk))
                size += len(chunk)
                chunks.append(chunk)
    except TimeoutError:
        refuse(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "the body did not come in time", "Send it again.")
    finally:
        budget.give(size)
    whole = b"".join(chunks)
    return _unpacked(whole) if packing in _PACKED else whole


def _unpacked(packed: bytes) -> bytes:
    parts: list[bytes] = []
    size, rest = 0, packed
    try:
        while rest:  # a gzip file may have several members
            unpacker = zlib.decompressobj(_GZIP)
            parts.append(unpacker.decompress(rest, PLAIN_MAX + 1 - size))
            size += len(parts[-1])
            if size > PLAIN_MAX:
                raise _too_large(f"the body is larger than {PLAIN_MAX} bytes once unpacked")
            if not unpacker.eof:
                raise _no_gzip()
            rest = unpacker.unused_data
    except zlib.error:
        raise _no_gzip() from None
    return b"".join(parts)


def _no_gzip() -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "body_unreadable", "the body is not gzip", "Send it again, or plain.")


def _too_large(message: str) -> ApiError:
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message, "Send it in several requests.")
