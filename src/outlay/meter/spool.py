"""The spool: meter events as lines of JSON below the home, written behind the program's back and read by the ledger.

A thread of its own writes what has come in, a quarter of a second after the first of it came, so a program that is
killed loses no more than that. A file belongs to one process for as long as that process holds its lock: a reader
removes a file only when no one can write to it any more. Reading a file twice is harmless, for events have ids.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec

from outlay.meter.counts import Stats
from outlay.meter.fence import Fence
from outlay.model.metering import MeterEvent

FOLDER = "meter"
SUFFIX = ".jsonl"
UNREAD = ".unread"
"""A file whose lines could not all be read, kept for someone to look at."""

_GATHER_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_FILE_BYTES = 1 << 20
_FILE_SECONDS = 60.0
"""A file is closed at this size or age, so that readers can be done with it while its program goes on."""
ITEMS_MAX = 20_000
BYTES_MAX = 64 << 20

Work = Callable[[], Iterable[MeterEvent]]
"""What yields events when the writer has time for it."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MeterEvent)


def folder_of(home: Path) -> Path:
    """Return where a home's spool is."""
    return home / FOLDER


class Spool:
    """The writing end: never blocks, never raises, never holds more than `items_max` items or `bytes_max` bytes.

    What does not fit is counted in `stats` and lost, which `outlay.meter.trouble()` tells.
    """

    def __init__(
        self, home: Path, *, stats: Stats | None = None, items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self.home = home
        self.stats = stats or Stats()
        self._items_max, self._bytes_max = items_max, bytes_max
        self._file = _File(folder_of(home))
        self._fresh()
        _spools.add(self)

    def _fresh(self) -> None:
        self._queue: deque[tuple[MeterEvent | Work, int]] = deque()
        self._bytes = 0
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._writing = threading.RLock()
        self._thread: threading.Thread | None = None

    def write(self, event: MeterEvent) -> bool:
        """Put an event on its way to the disk, where it is at most a second later; return whether there was room."""
        return self._put(event, 0)

    def later(self, work: Work, size: int = 0) -> bool:
        """Let the writer's thread make events; `size` is how many bytes the work holds until then."""
        return self._put(work, size)

    def has_room(self, size: int) -> bool:
        """Return whether work that holds so many bytes would be taken now."""
        return len(self._queue) < self._items_max and self._bytes + size <= self._bytes_max

    def _put(self, item: MeterEvent | Work, size: int) -> bool:
        if not self.has_room(size):
            self.stats.lose("queue_full")
            return False
        self._bytes += size  # a race here misses the bound by a little, which is cheaper than a lock on each call
        self._queue.append((item, size))
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._start()
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                _close_with_worker()
                self._thread = threading.Thread(target=self._run, args=(self._wake,), name="outlay-meter", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no thread can be had, or the interpreter ends: the flush at exit writes
                    self._thread = None
                    self._wake.clear()
                    self.stats.fail("no_thread")

    def _run(self, wake: threading.Event) -> None:
        while True:
            wake.wait(_FILE_SECONDS if self._file.is_open else None)
            if wake.is_set():
                time.sleep(_GATHER_SECONDS)
                wake.clear()
            if not self.flush():
                time.sleep(_RETRY_SECONDS)
                wake.set()

    def flush(self) -> bool:
        """Write everything that has come in so far; return whether it is on disk."""
        with self._writing:
            self._make_lines()
            return self._write_lines()

    def close(self) -> None:
        """Write everything and leave the file to its readers; the spool may be written to again."""
        with self._writing:
            self.flush()
            self._file.close()

    def _make_lines(self) -> None:
        while self._queue:
            item, size = self._queue.popleft()
            self._bytes = self._bytes - size if self._queue else 0
            with Fence(self.stats, "unreadable"):
                events = (item,) if isinstance(item, MeterEvent) else item()
                for event in events:
                    self._lines.append(_encoder.encode(event) + b"\n")
            time.sleep(0)  # lets a thread of the program go on now, and not when the interpreter next takes turns
        while len(self._lines) > self._items_max:
            self._lines.pop()
            self.stats.lose("disk_refuses")

    def _write_lines(self) -> bool:
        lines = list(self._lines)
        try:
            if lines:
                self._file.append(b"".join(lines))
                self._lines.clear()
                self.stats.written += len(lines)
            self._file.close_if_ripe()
        except OSError as error:
            self.stats.fail("disk_refuses", error)
            return False
        return True

    def after_fork(self) -> None:
        """Begin anew in a child: what was waiting is its parent's, and so is the file."""
        self._file.abandon()
        self._fresh()


class _File:
    """The file one process appends to, under a lock that ends with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._size, self._opened_at = 0, 0.0

    @property
    def is_open(self) -> bool:
        return self._descriptor is not None

    def append(self, content: bytes) -> None:
        """Write all of it or raise; what was half written is cut off again, or left behind as a cut last line."""
        if self._descriptor is None:
            self._open()
        descriptor = self._descriptor
        assert descriptor is not None
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            self.close()
            raise
        self._size += len(content)

    def _open(self) -> None:
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{time.time_ns() // 1_000_000:013d}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _lock(descriptor)
        self._descriptor, self._size, self._opened_at = descriptor, 0, time.monotonic()

    def close_if_ripe(self) -> None:
        old = time.monotonic() - self._opened_at >= _FILE_SECONDS
        if self._descriptor is not None and (old or self._size >= _FILE_BYTES):
            self.close()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def abandon(self) -> None:
        """Close the copy a child inherited: the parent's lock holds for as long as the parent has its own."""
        self.close()


class SpoolFile:
    """One file at the reading end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable = 0
        """How many whole lines were no event, as `events` last found them."""
        self._read = -1

    def events(self) -> Iterator[MeterEvent]:
        """Yield the events; a last line that was cut, or is still being written, is left out."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return  # another reader is done with it
        self._read, self.unreadable = len(content), 0
        for line in content[: content.rfind(b"\n") + 1].splitlines():
            try:
                yield _decoder.decode(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                self.unreadable += 1

    def done(self) -> bool:
        """Remove the file if all of it was read and its writer has closed it or is dead; return whether it is gone.

        A file with lines that were no events is kept aside under another name.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            if not _lock(descriptor) or os.fstat(descriptor).st_size != self._read:
                return False
            if self.unreadable:
                self.path.replace(self.path.with_suffix(UNREAD))
            else:
                self.path.unlink(missing_ok=True)
        except PermissionError:  # where an open file cannot be removed, its writer lives
            return False
        finally:
            os.close(descriptor)
        return True


def pending(home: Path) -> Iterator[SpoolFile]:
    """Yield the files of a home's spool, oldest first."""
    try:
        paths = sorted(path for path in folder_of(home).iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return
    for path in paths:
        yield SpoolFile(path)


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file without waiting; where there are no such locks, open files cannot be removed."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: a file is never removed while it is young
        return time.time() - os.fstat(descriptor).st_mtime > 10 * _FILE_SECONDS
    return True


_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


def _at_exit() -> None:
    for spool in list(_spools):
        spool.close()


def _close_with_worker() -> None:
    """Write at the end of a worker of multiprocessing too, which ends without running what is registered for exits."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and os.getpid() not in _told:
        _told.add(os.getpid())
        util.Finalize(None, _at_exit, exitpriority=1)


_told: set[int] = set()


def _in_child() -> None:
    for spool in list(_spools):
        spool.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
