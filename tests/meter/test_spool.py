"""The spool keeps what it is given, whoever dies when."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from outlay.meter.counts import Stats
from outlay.meter.spool import UNREAD, Spool, folder_of, pending
from outlay.model.metering import MeterEvent
from outlay.model.money import Money

SRC = Path(__file__).parents[2] / "src"
AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def event(number: int) -> MeterEvent:
    """Return an event that can be told apart."""
    return MeterEvent(
        id=f"e{number}",
        at=AT,
        provider="openai",
        quantities={"requests": Decimal(1), "input_tokens": Decimal(10**20 + number)},
        cost=Money.of("0.123456789012345678", "USD"),
    )


def ids(home: Path) -> list[str]:
    """Return the ids of every pending event, in order."""
    return [each.id for file in pending(home) for each in file.events()]


def test_events_come_back_exactly(tmp_path: Path) -> None:
    """What is written is what is read, decimals of any size included."""
    spool = Spool(tmp_path)
    for number in range(3):
        spool.write(event(number))
    assert spool.flush()
    assert [each for file in pending(tmp_path) for each in file.events()] == [event(0), event(1), event(2)]
    assert spool.stats.written == 3


def test_files_are_the_user_s_alone(tmp_path: Path) -> None:
    """Files are 0600 and the folder 0700, whatever the umask."""
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "home")
        spool.write(event(1))
        spool.flush()
    finally:
        os.umask(before)
    (file,) = pending(tmp_path / "home")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_file_is_removed_only_when_its_writer_is_through(tmp_path: Path) -> None:
    """A reader cannot remove what can still grow, nor what has grown since it was read."""
    spool = Spool(tmp_path)
    spool.write(event(1))
    spool.flush()
    (file,) = pending(tmp_path)
    assert len(list(file.events())) == 1
    assert not file.done()
    spool.write(event(2))
    spool.close()
    assert not file.done()
    assert len(list(file.events())) == 2
    assert file.done()
    assert ids(tmp_path) == []
    assert file.done()


def test_a_file_never_read_is_never_removed(tmp_path: Path) -> None:
    """Being done without having read removes nothing."""
    spool = Spool(tmp_path)
    spool.write(event(1))
    spool.close()
    (file,) = pending(tmp_path)
    assert not file.done()
    assert ids(tmp_path) == ["e1"]


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    """A line that was not finished is no event and does not stop the file from being removed."""
    spool = Spool(tmp_path)
    spool.write(event(1))
    spool.write(event(2))
    spool.close()
    (file,) = pending(tmp_path)
    content = file.path.read_bytes()
    for cut in range(len(content)):
        file.path.write_bytes(content[:cut])
        assert [each.id for each in file.events()] == ["e1", "e2"][: content[:cut].count(b"\n")]
        assert file.unreadable == 0
    assert file.done()


def test_lines_that_are_no_events_are_kept_aside(tmp_path: Path) -> None:
    """A whole line nobody can read is counted and its file kept under another name."""
    spool = Spool(tmp_path)
    spool.write(event(1))
    spool.close()
    (file,) = pending(tmp_path)
    with file.path.open("ab") as opened:
        opened.write(b'{"strange": 1}\n')
    assert [each.id for each in file.events()] == ["e1"]
    assert file.unreadable == 1
    assert file.done()
    assert [path.suffix for path in folder_of(tmp_path).iterdir()] == [UNREAD]
    assert list(pending(tmp_path)) == []


def test_a_full_queue_counts_what_it_loses(tmp_path: Path) -> None:
    """Beyond its bounds the spool loses events loudly and keeps those it has."""
    spool = Spool(tmp_path, items_max=2, bytes_max=100)
    with spool._writing:  # the writer's thread has to wait
        spool.later(lambda: [event(1)], size=90)
        spool.later(lambda: [event(2)], size=20)
        spool.write(event(3))
        spool.write(event(4))
    spool.close()
    assert ids(tmp_path) == ["e1", "e3"]
    assert spool.stats.lost == {"queue_full": 2}


def test_work_that_fails_is_counted(tmp_path: Path) -> None:
    """Work that raises loses its own event alone, and only the error's class is kept."""
    spool = Spool(tmp_path)
    spool.later(lambda: [event(1 // 0)])
    spool.write(event(1))
    spool.close()
    assert ids(tmp_path) == ["e1"]
    assert spool.stats.troubles == {"unreadable": 1}
    assert spool.stats.last == {"unreadable": "ZeroDivisionError"}


def test_events_wait_for_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half-way is cut off and made again: nothing is lost and nothing is there twice."""
    spool = Spool(tmp_path)
    spool.write(event(1))
    assert spool.flush()
    real = os.write
    written = []

    def half(descriptor: int, content: memoryview) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(real(descriptor, content[: len(content) // 2]))
        return written[0]

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        spool.write(event(2))
        assert not spool.flush()
    assert spool.stats.last == {"disk_refuses": "OSError"}
    spool.close()
    assert ids(tmp_path) == ["e1", "e2"]


def test_a_home_that_cannot_be_made_is_only_counted(tmp_path: Path) -> None:
    """Where no folder can be, writing says nothing and trouble is counted."""
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "home")
    spool.write(event(1))
    spool.close()
    assert spool.stats.troubles["disk_refuses"] > 0
    assert list(pending(tmp_path / "nowhere")) == []


def test_files_are_closed_when_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is large enough is left to its readers while its program goes on."""
    monkeypatch.setattr("outlay.meter.spool._FILE_BYTES", 1)
    spool = Spool(tmp_path)
    spool.write(event(1))
    spool.flush()
    spool.write(event(2))
    spool.flush()
    files = list(pending(tmp_path))
    assert [[each.id for each in file.events()] for file in files] == [["e1"], ["e2"]]
    assert all(file.done() for file in files)


def run(program: str, home: Path) -> subprocess.Popen[str]:
    """Start a program that has a spool."""
    head = f"import sys; sys.path[:0] = [{str(SRC)!r}, {str(Path(__file__).parent)!r}]\n"
    head += "import os, time\nfrom pathlib import Path\nfrom test_spool import event\n"
    head += f"from outlay.meter.spool import Spool\nspool = Spool(Path({str(home)!r}))\n"
    return subprocess.Popen([sys.executable, "-c", head + program], stdout=subprocess.PIPE, text=True)


def test_a_program_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    """The end of a program writes what had not been written yet."""
    with run("spool.write(event(1))", tmp_path) as process:
        assert process.wait() == 0
    assert ids(tmp_path) == ["e1"]


def test_a_killed_program_keeps_what_was_on_disk(tmp_path: Path) -> None:
    """What a program writes gets to the disk while it goes on, and stays there when the program is killed."""
    endless = (
        "number = 0\nwhile True:\n"
        "    spool.write(event(number)); print(number, flush=True); number += 1; time.sleep(0.002)"
    )
    with run(endless, tmp_path) as process:
        assert process.stdout is not None
        written = 0
        for line in process.stdout:
            # Counted in its own steps: a machine that is busy slows it down as it slows down its writer.
            assert int(line) < 100_000, "its writer writes nothing"
            if int(line) % 100 == 0 and (written := len(ids(tmp_path))) >= 500:
                break
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert written >= 500
    found = ids(tmp_path)
    assert found == [f"e{number}" for number in range(len(found))]
    assert len(found) >= written
    for file in list(pending(tmp_path)):
        assert list(file.events())
        assert file.done()


def test_nothing_waits_for_longer_than_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a write and the disk the writer's thread waits for less than a second, so no kill costs more."""
    waits: list[float] = []
    on_disk = threading.Event()

    class Written(Stats):
        @property
        def written(self) -> int:
            return self._written

        @written.setter
        def written(self, count: int) -> None:
            self._written = count
            if count:
                on_disk.set()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is spool._thread:
            waits.append(seconds)
        else:  # a spool of another test
            time.sleep(seconds)

    its_time = SimpleNamespace(sleep=sleep, monotonic=time.monotonic, time_ns=time.time_ns)
    monkeypatch.setattr("outlay.meter.spool.time", its_time)
    spool = Spool(tmp_path, stats=Written())
    spool.write(event(1))
    assert on_disk.wait(600)
    assert ids(tmp_path) == ["e1"]
    assert 0 < sum(waits) < 1
    spool.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_worker_of_multiprocessing_leaves_nothing_behind(tmp_path: Path) -> None:
    """Workers end without the interpreter's own end: what they wrote last is on disk all the same."""
    working = (
        "import multiprocessing as m\n"
        "spool.write(event(0))\n"
        "workers = [m.get_context('fork').Process(target=spool.write, args=(event(n),)) for n in (1, 2)]\n"
        "[worker.start() for worker in workers]; [worker.join() for worker in workers]\n"
    )
    with run(working, tmp_path) as process:
        assert process.wait() == 0
    assert sorted(ids(tmp_path)) == ["e0", "e1", "e2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_spool_of_its_own(tmp_path: Path) -> None:
    """What waits at a fork is written once, by the parent; the child writes its own, and neither blocks the other."""
    forking = (
        "spool.write(event(1)); spool.flush(); spool.write(event(2))\n"
        "child = os.fork()\n"
        "spool.write(event(3 if child else 4)); spool.close()\n"
        "if child: os.waitpid(child, 0)\n"
        "os._exit(0)"
    )
    with run(forking, tmp_path) as process:
        assert process.wait() == 0
    files = list(pending(tmp_path))
    assert sorted(ids(tmp_path)) == ["e1", "e2", "e3", "e4"]
    assert len(files) == 2
    assert all(list(file.events()) and file.done() for file in files)
