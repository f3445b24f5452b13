# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GRAVUREKIT := $(BIN)/gravurekit
DEMO := $(GRAVUREKIT) -C demo

KEYWORDS ?= keywords/dresses.txt
SOURCES ?= bing
LIMIT ?= 100
TESTS ?= not slow
DATA ?= data
EXPERIMENT := experiments/does_engraving_help
RESULTS ?= $(EXPERIMENT)/results
PAGE ?= docs/experiments/does-engraving-help.md

.DEFAULT_GOAL := help

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "gravurekit needs Python 3.11 to 3.13: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

.PHONY: install
install: $(VENV)/ready ## make .venv with the tested versions of everything

.PHONY: demo
demo: $(VENV)/ready ## from words to a coloured print, offline, in a few minutes; writes under demo/
	$(DEMO) crawl ../keywords/dresses.txt --source sample --per-keyword 24
	$(DEMO) filter
	$(DEMO) stylize --style cartoon
	$(DEMO) shard --size 128
	$(DEMO) train --steps 400 --no-hints
	$(DEMO) crawl ../keywords/gravures.txt --source sample --per-keyword 1 --out prints
	$(DEMO) colorize prints --panel --saturation 1.3

.PHONY: test
test: $(VENV)/ready ## lint, types and tests
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n auto --dist loadfile -m '$(TESTS)'

.PHONY: test-all
test-all: $(VENV)/ready ## the same with every optional package installed, and the slow tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,browser,clip,cloud,docs,export,onnx,ray,servers,tb]'
	@$(MAKE) --no-print-directory test TESTS=

.PHONY: check
check: $(VENV)/ready ## lint and types only
	$(BIN)/ruff check gravurekit tests bench experiments
	$(BIN)/ruff format --check --quiet gravurekit tests bench experiments
	$(BIN)/mypy

.PHONY: reference
reference: $(VENV)/ready ## write docs/settings.md, docs/cli.md, gravurekit.toml and what Tab offers anew from the code
	$(BIN)/python -m gravurekit.reference
	$(BIN)/python -m gravurekit.manual
	$(BIN)/python -m gravurekit.completion

.PHONY: docs
docs: reference ## the same, and the site of docs/ in site/, which needs no network to be read
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: dataset
dataset: $(VENV)/ready ## crawl → filter → stylize → shard with gravurekit.toml (KEYWORDS= SOURCES= LIMIT=)
	$(GRAVUREKIT) run gravurekit.toml $(KEYWORDS:%=--keywords %) $(SOURCES:%=--source %) --limit $(LIMIT)

.PHONY: train
train: $(VENV)/ready ## train on shards/
	$(GRAVUREKIT) train

.PHONY: experiment
experiment: $(VENV)/ready ## does learning from engravings help? DATA=folder with photos, figures, prints, prints_coloured
	@for part in photos figures prints prints_coloured; do test -d "$(DATA)/$$part" || \
	  { echo "make experiment DATA=FOLDER: no $$part in '$(DATA)'; see experiments/does_engraving_help"; exit 2; }; done
	@test "$(RESULTS)" = $(EXPERIMENT)/results || test "$(PAGE)" != docs/experiments/does-engraving-help.md || \
	  { echo "of other RESULTS another page is made: PAGE=copy-of-the-page.md"; exit 2; }
	$(BIN)/python $(EXPERIMENT) "$(DATA)" --results "$(RESULTS)"
	-$(BIN)/python $(EXPERIMENT)/panels.py "$(DATA)" --results "$(RESULTS)"
	$(BIN)/python $(EXPERIMENT)/report.py --results "$(RESULTS)" --page "$(PAGE)"

.PHONY: clean
clean: ## remove .venv, demo/ and caches; data folders stay
	rm -rf $(VENV) demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gravurekit tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
