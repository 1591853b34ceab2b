"""Draw what `outlay demo --no-serve` prints on a terminal into docs/images/overview.svg.

python tools/picture.py
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "overview.svg"
COLUMNS = 104
THEME = TerminalTheme(
    (16, 20, 28),
    (214, 220, 228),
    [(72, 80, 94), (240, 98, 98), (104, 201, 140), (235, 190, 90), (104, 160, 240), (190, 140, 240), (96, 200, 210),
     (214, 220, 228)],
)  # fmt: skip


def printed() -> str:
    """Return what the demo writes to a terminal, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, COLUMNS, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT / "src")}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "outlay", "demo", "--no-serve"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environ) as demo:
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append(chunk)
        if demo.wait() != 0:
            raise SystemExit(f"the demo ended with status {demo.returncode}")
    os.close(ours)
    return b"".join(chunks).decode().replace("\r\n", "\n").strip("\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # a terminal whose other end is closed reports an error where a pipe would end
        return b""


def drawn(text: str) -> str:
    """Return the text as SVG, without fonts or anything else from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ outlay demo --no-serve\n\n{text}"), no_wrap=True, crop=True)
    svg = console.export_svg(title="outlay", theme=THEME, unique_id="outlay", font_aspect_ratio=0.61)
    return re.sub(r"\s*@font-face \{.*?\}|\s*<!--.*?-->", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn(printed()) + "\n", "utf-8")
