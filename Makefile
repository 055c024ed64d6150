# Everything lives in .venv, and the peers in .venv-peers; `make clean` takes it away again.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := cli producer broker worker db tests bench

.PHONY: install demo test faults soak lint format audit bench constraints clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt requirements-demo.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-demo.txt
	touch $@

# The main job on real reviews, with the embedded stack.
demo: install
	$(BIN)/reviewmill demo

# What fine-tuning makes is loaded in PyTorch too, which lives in the peers' environment: no user of Reviewmill needs it.
test: install .venv-peers/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not long'

# Everything that breaks, the long ones too, and a table of what survived.
faults: install
	$(BIN)/python -m pytest tests/faults tests/e2e/test_secrets.py -n 2 --dist worksteal

# Twenty minutes of work, kills and pauses, in which nothing may grow or be lost. A short one: make soak MINUTES=4
MINUTES ?= 20
soak: install
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(SOAK)

lint: install
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# Every pinned version against the advisories of PyPI, in an environment of its own. One that cannot be looked up fails it.
audit: .venv-audit/installed
	.venv-audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

.venv-audit/installed:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	touch $@

# Against peers, which have an environment of their own. A short one: make bench BENCH="--reviews 60 --rounds 1"
# A peer that answers otherwise than Reviewmill would measure nothing, so that is tested first.
bench: install .venv-peers/installed
	$(BIN)/python -m pytest -q tests/bench
	$(BIN)/python -m bench $(BENCH)

.venv-peers/installed: bench/peers-requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers-requirements.txt
	touch $@

# Write down the versions of a fresh install, after changing the ranges in pyproject.toml.
constraints:
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,dev]'
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > constraints.txt

clean:
	rm -rf .venv .venv-peers .venv-audit .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
