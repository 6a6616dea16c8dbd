# Everything here sets up what it needs: Python 3.11 or later and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?=
PROVE ?=
# Three on two cores: a third of the time a test waits for processes.
TEST := -n 3 --dist worksteal
QUICK := tests/test_[a-ac-z]*.py tests/stages tests/state tests/alerts/test_kinds.py --ignore=tests/stages/test_pieces.py --ignore=tests/state/test_changes.py
PORT ?= 3000
SIMULATOR_PORT ?= 8350

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DAGSTER_DISABLE_TELEMETRY := yes
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo report test test-newest test-oldest quick docs site check bench prove dev clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## poll 48 hours from the bundled simulator through Dagster and show what came out
	@$(BIN)/returns-orchestration demo

test: $(VENV)/tested ## run the tests
	$(BIN)/python -m pytest $(TEST)

test-newest: ## the tests with the newest versions that pyproject.toml allows, in a venv of their own
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[test,docs,celery]'
	$(VENV)-newest/bin/python -m pytest $(TEST)

test-oldest: ## the tests with the oldest versions that pyproject.toml allows, in a venv of their own
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet uv
	$(VENV)-oldest/bin/uv pip install --quiet --python $(VENV)-oldest/bin/python --resolution lowest-direct --editable '.[test,docs,celery]'
	$(VENV)-oldest/bin/python -m pytest $(TEST)

quick: $(VENV)/tested ## linter, formatter, types and the tests that start no process, in under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(TEST) -q $(QUICK)

docs: $(VENV)/tested ## write anew the parts of the documents that are made from the code
	@PYTHONPATH=tests:. $(BIN)/python -m support.documents

site: $(VENV)/tested ## build the documentation site into build/site; a warning fails it
	$(BIN)/mkdocs build --strict

check: $(VENV)/tested ## linter, formatter, types, site, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest $(TEST)

bench: $(VENV)/tested $(VENV)-peers/installed ## how fast it is, beside peers and floors, in 40 minutes; BENCH=--quick takes five
	@$(BIN)/python -m benchmarks $(BENCH)

prove: $(VENV)/tested ## hold the product to its promises at length, in under an hour; PROVE=--short takes three
	@PYTHONPATH=tests:. $(BIN)/python -m proof $(PROVE)

report: $(VENV)/installed ## the report of the demo, a page for people: what came back, and why
	@test -f data/demo/settings.env || $(BIN)/returns-orchestration demo >/dev/null
	@$(BIN)/returns-orchestration report --demo

dev: $(VENV)/installed ## Dagster's UI on http://127.0.0.1:3000, with the simulator where no credentials are set
	@$(BIN)/returns-orchestration dev --port $(PORT) --simulator-port $(SIMULATOR_PORT)

clean: ## remove the virtual environment, caches and the demo's data; the lake stays
	rm -rf $(VENV) $(VENV)-newest $(VENV)-oldest $(VENV)-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info data/demo data/bench-*

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; name one: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs,celery]'
	@touch $@

# For a benchmark, in an environment of its own: it must not decide the versions that the product has.
$(VENV)-peers/installed:
	@$(PYTHON) -m venv $(VENV)-peers && \
		$(VENV)-peers/bin/python -m pip install --quiet 'dlt[parquet]==1.31.0' && touch $@ || \
		echo "dlt could not be installed: the benchmark leaves it out."
