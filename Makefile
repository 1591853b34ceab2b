# What a contributor runs; `make` alone lists it.
PYTHON := .venv/bin/python

.PHONY: help check format reference requirements demo

help:  ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

check:  ## every test and gate, as CI runs them
	.venv/bin/pytest -n auto

format:  ## format the code and mend what the linter can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

reference:  ## write docs/reference from the code
	$(PYTHON) tools/reference.py

COMPILE := uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet

requirements:  ## pin the dependencies again, a week behind the newest releases
	$(COMPILE) --upgrade --exclude-newer "$$(date -u -d '7 days ago' +%F)" -o requirements/runtime.txt
	$(COMPILE) --upgrade --exclude-newer "$$(date -u -d '7 days ago' +%F)" -c requirements/runtime.txt --group dev -o requirements/dev.txt

demo:  ## see it work
	.venv/bin/outlay demo --no-serve
