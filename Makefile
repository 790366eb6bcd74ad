# The two commands: `make quickstart` and `make test`. Everything runs in .venv, which make builds by itself.
PYTHON ?= python3
RUN := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help quickstart test lint format benchmark clean

help:  ## print these lines
	@sed -n 's/^\([a-z]*\):.*##/\1:/p' Makefile | awk -F: '{ printf "make %-11s%s\n", $$1, $$2 }'

quickstart: .venv/.ready  ## set up, then the whole way on the embedded sample, from phantoms to report, CPU only, in minutes
	@$(RUN) scripts/quickstart.py

test: lint  ## set up, then lint, types and all tests
	@OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses auto --dist loadfile

lint: .venv/.ready  ## style (ruff) and types (mypy)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: .venv/.ready  ## rewrite the sources in the house style
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

benchmark: .venv/.ready  ## measure against the named peers, printing ratios
	@for file in $(filter-out benchmarks/peers.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(RUN) "$$file" || exit 1; done

clean:  ## remove the environment, caches and quickstart's results
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist monai_ssl.egg-info runs/quickstart
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv where the machine has it, else uv from PyPI inside .venv; the stamp is written last, so a broken set-up is redone.
.venv/.ready: setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "monai_ssl needs Python >= 3.11, got $$($(PYTHON) --version); try: make PYTHON=python3.11"; exit 2; }
	@echo "setting up .venv: a minute with a warm cache, else as long as downloading PyTorch takes"
	@if command -v uv >/dev/null; then uv venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv; \
	  else $(PYTHON) -m venv --clear .venv && $(RUN) -m pip install --quiet --disable-pip-version-check uv; fi
	@if command -v uv >/dev/null; then uv pip install --quiet --python $(RUN) -e '.[dev]'; \
	  else $(RUN) -m uv pip install --quiet --python $(RUN) -e '.[dev]'; fi
	@touch $@
