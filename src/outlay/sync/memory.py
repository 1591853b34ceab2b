"""Keep a long sync's memory flat.

Facts are allocated by one thread and let go of by another. The C library then keeps a heap per thread, and none of them
shrinks: a sync of a million rows grew by a half over its length, and with one heap that is trimmed early it does not
grow at all. The collector of reference cycles is slowed down too: facts hold none, and there are very many of them.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8


@contextmanager
def flat() -> Iterator[None]:
    """Share one heap among threads where the C library can, and look for cycles seldom while the block lasts."""
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_ARENA_MAX, 1)
            set_option(_M_TRIM_THRESHOLD, 65_536)
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
