# `make check` and `make test` set up the environment they need on the first run.
#
#   PYTHON  the interpreter; by default the first of python3.11, python3.12, python3 that is 3.11 or newer
#   VENV    the environment to keep, by default .venv; it is made anew when pyproject.toml, constraints.txt,
#           the interpreter or the folder of the project changes, so give each Python a VENV of its own to
#           keep several: make test PYTHON=python3.12 VENV=.venv312
#           VENV=none installs nothing and needs no network: it runs in PYTHON as it is (by default python3)
#   PART    of make bench-gpu: 2/3 measures every third item, beginning with the second
#   ARGS    further arguments of the command: make test ARGS="-k traces", make check ARGS=tr_axb_dX

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help check test test-all lint docs docs-links cheatsheets record errata ledger
.PHONY: mutants statements fuzz soak accuracy scale peers
.PHONY: bench bench-quick bench-gpu names dist clean interpreter

VENV ?= .venv
ARGS ?=
PART ?= 1/1

ifndef PYTHON
PYTHON := $(shell for python in $(if $(filter none,$(VENV)),python3) python3.11 python3.12 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)
endif

# What the environment belongs to: this interpreter, for this folder.  Empty where PYTHON is missing or too old.
TAG := $(shell "$(PYTHON)" -c 'import os, sys, zlib; sys.version_info < (3, 11) and sys.exit(1); \
	about = os.pathsep.join((sys.version, sys.base_prefix, os.getcwd())); \
	print("%d.%d.%d-%08x" % (sys.version_info[:3] + (zlib.crc32(about.encode()),)))' 2>/dev/null)

ifeq ($(VENV),none)
READY := interpreter
LINTERS := interpreter
TIMERS := interpreter
BENCH := interpreter
DOCS := interpreter
DIST := interpreter
ALL := interpreter
RUN := PYTHONPATH="$(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))" "$(PYTHON)"
else
MARK := $(VENV)/.made-by-make
READY := $(VENV)/.installed-$(TAG)
LINTERS := $(VENV)/.linters-$(TAG)
TIMERS := $(VENV)/.timers-$(TAG)
BENCH := $(VENV)/.bench-$(TAG)
DOCS := $(VENV)/.docs-$(TAG)
DIST := $(VENV)/.dist-$(TAG)
ALL := $(VENV)/.all-$(TAG)
RUN := "$(VENV)/bin/python"
endif
PIP = $(RUN) -m pip --disable-pip-version-check install -qq -c constraints.txt

# JAX keeps no program that compiles within a second, unless it is told to; most of ours do.
JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1
export JAX_COMPILATION_CACHE_DIR JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES

help: ## show this list
	@echo "make <target> [PYTHON=...] [VENV=...|none] [ARGS=...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON is $(or $(PYTHON),not found), VENV is $(VENV); the head of the Makefile explains both."

check: $(READY) ## check every claim of the book against automatic differentiation
	@$(RUN) -m identities check $(ARGS)

test: $(READY) ## run the tests
	@$(RUN) -m pytest -p identities.pytest_plugin $(ARGS)

test-all: $(ALL) ## run the tests, and those that build the reference site and look at it in a browser
	@$(RUN) -m pytest -p identities.pytest_plugin -m "" $(ARGS)

lint: $(LINTERS) ## run ruff and mypy
	@failed=0; for tool in "ruff check ." "ruff format --check ." mypy; do $(RUN) -m $$tool || failed=1; done; exit $$failed

# Four shapes: the fourth turns the order of the dims round, so that both tall and wide are on record.
record: $(READY) ## check, and write what was measured to identities/record.json
	@$(RUN) -m identities check --shapes 4 --record identities/record.json $(ARGS)

errata: $(READY) ## search the counterexamples of all refuted claims again, and write docs/errata.md
	@$(RUN) -m identities errata --update docs/errata.md

ledger: $(READY) ## decide the equations of the Matrix Cookbook from their text alone, and write docs/ledger.md
	@$(RUN) -m identities.statements.ledger --page docs/ledger.md $(ARGS)

mutants: $(READY) ## plant slips in every closed form, and see that the check notices each; writes docs/mutants.md
	@$(RUN) -W ignore -m trials.mutants $(ARGS)

statements: $(READY) ## plant slips in every statement, and see that each is refuted; writes docs/statements.md
	@$(RUN) -W ignore -m trials.statements $(ARGS)

# FUZZ strings go through the parser, a fifth of them through the whole check.
FUZZ ?= 100000
fuzz: $(READY) ## type 100,000 random strings, and see that each is a verdict or a sentence (10 to 30 min)
	@FUZZ=$(FUZZ) $(RUN) -m pytest -p identities.pytest_plugin -q tests/test_statements_fuzz.py $(ARGS)

soak: $(TIMERS) ## run every claim over 10,000 seeds, and see that none alarms; goes on where it was cut off (25 to 45 min)
	@$(RUN) -W ignore -m trials.soak $(ARGS)

accuracy: $(TIMERS) ## hold closed forms and autodiff against 50 digits, up to condition 1e12; writes docs/accuracy.md (5 min)
	@$(RUN) -W ignore -m trials.accuracy $(ARGS)

scale: $(TIMERS) ## check at n up to 2048 along random directions, and time it; goes on where it was cut off (30 min)
	@$(PINNED) $(RUN) -W ignore -m trials.scale $(ARGS)

peers: $(BENCH) ## hand wrong gradients and right ones to our check and those of jax, torch and scipy (15 min)
	@$(RUN) -W ignore -m trials.peers $(ARGS)

# Threads are pinned before Python starts (bench/conftest.py says why).  The table is that of the file just written, the
# page is of all machines.  An unfinished run goes on where it was cut off, as long as the code is the same.
PINNED = OPENBLAS_NUM_THREADS=$(or $(OPENBLAS_NUM_THREADS),1)
MEASURE = $(PINNED) $(RUN) -m pytest -p identities.pytest_plugin bench -q --benchmark-quiet --tb=short
REPORT = $(RUN) -m identities bench report

bench-quick: $(TIMERS) ## time closed forms against autodiff: two dozen gradients at n = 256, small Hessians (3 min)
	@$(MEASURE) --bench-quick $(ARGS)
	@$(REPORT) "$$(ls -t bench/results/*.json | head -n 1)"
	@$(REPORT) bench/results/*.json --page docs/benchmarks.md

bench: $(BENCH) ## time every gradient at n = 1024, Hessians, and torch and NumPy beside them (hours)
	@$(MEASURE) $(ARGS)
	@$(REPORT) "$$(ls -t bench/results/*.json | head -n 1)"
	@$(REPORT) bench/results/*.json --page docs/benchmarks.md

# No network and no matplotlib: the result file is what is taken along, `make bench-quick` draws it elsewhere.
# TF32, its own tier in a file of its own: ARGS="--bench-precision tensorfloat32 --bench-dtype float32"
bench-gpu: $(TIMERS) ## the same on a GPU, in parts: make bench-gpu PART=1/6 VENV=none
	@$(MEASURE) --bench-device gpu --bench-lean --bench-seconds 0.2 --bench-part $(PART) $(ARGS)
	@$(REPORT) "$$(ls -t bench/results/*.json | head -n 1)"

# Sphinx reads what the site's own extension writes into docs/_build/source; a warning is an error.  All of it is read
# each time (-E): otherwise Sphinx tells only what is new, and forgets the index entries of the rest in its search.
SITE := docs/_build/html

# The tutorial is run first, its fences taken out, so that no output on it is one that a run does not give.
docs: $(DOCS) ## build the reference site into docs/_build/html, from the entries and the record (1 min)
	@mkdir -p docs/_build/source
	@sed 's/^```.*//' docs/tutorial.md > docs/_build/tutorial.txt && $(RUN) -m doctest docs/_build/tutorial.txt
	@$(RUN) -m sphinx -E -W --keep-going -n -q -c docs/site docs/_build/source $(SITE)

# The sheets are printed from the site, and the site is built again with links to the PDFs.
cheatsheets: docs ## print each chapter's cheat sheet as a PDF, with Chromium, and link them from the site (2 min)
	@$(RUN) docs/site/print_sheets.py $(SITE) docs/_build/cheatsheets
	@$(MAKE) --no-print-directory docs

docs-links: docs ## follow every link inside the reference site, and see that it loads nothing from outside
	@$(RUN) docs/site/links.py $(SITE)

names: $(READY) ## add new names to tests/names.txt, which keeps names permanent
	@$(RUN) -c 'import identities, pathlib; names = pathlib.Path("tests/names.txt"); \
	names.write_text("".join(f"{name}\n" for name in sorted({*names.read_text().split(), *identities.catalogue()})))'

dist: $(DIST) ## build sdist and wheel, and use them in an empty environment, outside the repository (3 min)
	@$(RUN) .ci/dist.py

clean: ## remove caches, builds and the environment that make made
	@rm -rf .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks build dist docs/_build *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +
	@if [ -n "$(MARK)" ] && [ -e "$(MARK)" ]; then rm -rf "$(VENV)"; fi

interpreter:
	@if [ -z "$(TAG)" ]; then echo "make: '$(PYTHON)' is no Python 3.11 or newer; name one with PYTHON=..." >&2; exit 2; fi

ifneq ($(VENV),none)
# The stamp is written last, so that an interrupted installation starts again; a folder that
# carries no mark of ours is never touched.
$(READY): pyproject.toml constraints.txt | interpreter
	@if [ -e "$(VENV)" ] && [ ! -e "$(MARK)" ]; then \
		echo "make: $(VENV) is not an environment that make made; remove it, choose another VENV," >&2; \
		echo "      or run in it as it is: PYTHON=$(VENV)/bin/python VENV=none" >&2; exit 2; fi
	@echo "setting up $(VENV) with $(PYTHON) ($(firstword $(subst -, ,$(TAG))))"
	@mkdir -p "$(VENV)" && touch "$(MARK)" && cd "$(VENV)" && \
		rm -rf .installed-* .linters-* .timers-* .bench-* .docs-* .dist-* .all-* ./*
	@"$(PYTHON)" -m venv "$(VENV)"
	@$(PIP) -e '.[test]'
	@touch "$@"

$(LINTERS): $(READY)
	@$(PIP) -e '.[test,lint]'
	@touch "$@"

# What plots, the quick benchmarks and 50 digits need, without torch, which is large and whose columns are left away.
$(TIMERS): $(READY)
	@$(PIP) matplotlib mpmath pytest-benchmark
	@touch "$@"

$(BENCH): $(READY)
	@$(PIP) -e '.[test,bench]'
	@touch "$@"

$(DOCS): $(READY)
	@$(PIP) -e '.[test,docs]'
	@touch "$@"

$(DIST): $(READY)
	@$(PIP) -e '.[test,release]'
	@touch "$@"

$(ALL): $(DOCS)
	@$(PIP) -e '.[test,docs,browser]'
	@touch "$@"
endif
