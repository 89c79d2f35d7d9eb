# Every target sets up .venv by itself when pyproject.toml or constraints.txt changed since. Needed: python3 (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# One thread for each of the two test processes: measured fastest on 2 cores, and what makes runs repeat bit by bit.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup demo test test-long check bench bench-inference bench-exactness docs recipe-keys
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make .venv with the pinned packages of constraints.txt
	@:

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up .venv (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt hatchling editables setuptools
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[train,dev]'
	@touch $@

demo: setup ## make phantoms, fit a model, segment an unseen phantom (about 6 minutes, no data needed)
	@$(BIN)/neuraxis demo --into demo

test: setup ## all tests but those marked long or gpu
	@$(THREADS) $(PYTEST) -n 2 -m "not long and not gpu"

# Each line stays below 60 minutes on 2 cores; `make test-long LONG=tests/journeys` runs one of them.
LONG ?= tests/training tests/journeys rest
test-long: setup ## the tests marked long, one command for each group of LONG
	@for group in $(LONG); do $(MAKE) --no-print-directory long-group GROUP=$$group || exit 1; done

.PHONY: long-group
long-group:
	@echo "long tests: $(GROUP)"
	@if [ "$(GROUP)" = rest ]; then chosen="tests --ignore tests/training --ignore tests/journeys"; else chosen="$(GROUP)"; fi; \
	test "$(GROUP)" = rest || test -d "$(GROUP)" || exit 0; \
	timeout 3600 $(PYTEST) -m "long and not gpu" --durations 10 $$chosen || { code=$$?; test $$code -eq 5 || exit $$code; }

check: setup ## style, types, floors, docs, and what must not be there
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(PYTEST) tests/test_house.py tests/test_docs.py
	@$(BIN)/python -m mkdocs build --quiet --strict --site-dir .venv/site

bench: setup ## the benchmarks, as tables (BENCH=benchmarks/one.py for a single one, PEER=DIR with nnU-Net beside)
	@for file in $(or $(BENCH),$(filter-out benchmarks/exactness.py,$(sort $(wildcard benchmarks/[a-z]*.py)))); do \
	echo "== $$file"; peer=; if [ -n "$(PEER)" ] && grep -q '"--peer"' $$file; then peer="--peer $(PEER)"; fi; \
	$(BIN)/python $$file $$peer || exit 1; done

bench-inference: ## segmenting beside nnU-Net, a small and a large case (PEER=DIR with nnU-Net)
	@$(MAKE) --no-print-directory bench BENCH="benchmarks/segment_small.py benchmarks/segment_large.py"

bench-exactness: ## voxels beside nnU-Net's, of models that it trains first, which takes an hour or two (PEER=DIR)
	@$(MAKE) --no-print-directory bench BENCH=benchmarks/exactness.py

docs: setup recipe-keys ## the manual as a site in site/
	@$(BIN)/python -m mkdocs build --quiet --strict
	@echo "site/index.html"

recipe-keys: setup
	@$(BIN)/python docs/recipe_keys.py docs/reference/recipe-keys.md
	@$(BIN)/python docs/augmentation_presets.py docs/reference/augmentations.md
