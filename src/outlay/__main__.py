"""Let `python -m outlay` be the command line."""

from __future__ import annotations

from outlay.cli import main

if __name__ == "__main__":
    main()
