# Two commands are enough: `make demo` and `make test`. Each makes what it needs, once.
# Everything lives in .venv; `make clean` takes it away.

PYTHON ?= python3
PORT ?=
DATA ?=
RESET ?=
PAST ?=
ARGS ?=

BIN := .venv/bin
# uv when it is there, else Python's own venv and pip. Both check the hash of every file they install.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
  VENV = uv venv --quiet --clear --python "$(PYTHON)" .venv
  PIP = uv pip install --quiet --python $(BIN)/python
  HAVE_PIP = true
else
  VENV = $(PYTHON) -m venv --clear .venv
  PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
  # A .venv that uv made has no pip; Python brings one along.
  HAVE_PIP = $(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip >/dev/null
endif
INSTALL = $(PIP) --no-deps --require-hashes
# The project itself needs no hash: it is this folder. Its build tool is already installed, from the same list.
INSTALL_SELF = $(PIP) --no-deps --no-build-isolation --editable .

.DEFAULT_GOAL := help
.PHONY: help demo test lint wheel cover bench bench-recommender bench-scale bench-dashboard lock clean

help: ## print this
	@echo "Flask-Encore: one more thing, after the show."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 | \2/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "%-26s%s\n", $$1, $$2}'

demo: .venv/.runs ## serve the demo shop on 127.0.0.1 (PORT=8080; RESET=1 to stock anew; PAST=0 without simulated shoppers; DATA=orders.csv.gz for your own order history)
	@$(BIN)/python -m flask_encore.demo $(if $(PORT),--port "$(PORT)") $(if $(DATA),--data "$(DATA)") $(if $(RESET),--reset) $(if $(filter 0,$(PAST)),--no-past)

test: .venv/.develops ## run every test (ARGS="tests/unit -k money" for some)
	@$(BIN)/pytest $(if $(ARGS),$(ARGS),-n auto --maxprocesses 4)

lint: .venv/.develops ## check style, types and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

wheel: .venv/.develops ## build the wheel and the sdist into dist/ and check what is inside
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .
	@$(BIN)/check-wheel-contents dist/*.whl

cover: .venv/.develops ## run every test and list the lines none of them reaches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n auto --maxprocesses 4 $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bench: .venv/.develops ## measure how long a decision takes
	@$(BIN)/python tests/benchmarks/bench_decision.py $(ARGS)

bench-recommender: .venv/.measures ## judge the recommender beside public methods (ARGS="--data folder --json out.json")
	@$(BIN)/python tests/benchmarks/bench_recommender.py $(ARGS)

bench-scale: .venv/.develops ## measure how fast and how large (ARGS="--lines 1e6 1e7 1e8 --json out.json")
	@$(BIN)/python tests/benchmarks/bench_scale.py $(ARGS)

bench-dashboard: .venv/.develops ## measure the dashboard's home page in a shop with a million impressions
	@$(BIN)/python tests/benchmarks/bench_dashboard.py $(ARGS)

lock: .venv/.develops ## pin the newest allowed dependencies in constraints.txt (needs uv)
	@$(BIN)/python .ci/lock

clean: ## remove .venv, the demo's data and everything built
	@rm -rf .venv dist build instance .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache test-results
	@find plugin recommender static tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step runs again when the file that decides its result is newer.
.venv/.runs: constraints.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs into .venv (once)"
	@$(HAVE_PIP)
	@sed '/^# ==== development only/q' constraints.txt > .venv/runs.txt
	@$(INSTALL) -r .venv/runs.txt
	@$(INSTALL_SELF)
	@touch $@

.venv/.develops: constraints.txt pyproject.toml | $(BIN)/python
	@echo "Installing what tests and linters need into .venv (once)"
	@$(HAVE_PIP)
	@sed '/^# ==== measuring only/q' constraints.txt > .venv/develops.txt
	@$(INSTALL) -r .venv/develops.txt
	@$(INSTALL_SELF)
	@touch .venv/.runs $@

.venv/.spark: constraints.txt pyproject.toml | .venv/.develops
	@echo "Installing Spark into .venv (once; 450 MB)"
	@awk '/^[^ ]/ {wanted = /^(py4j|pyspark)==/} wanted' constraints.txt > .venv/spark.txt
	@$(INSTALL) -r .venv/spark.txt
	@touch $@

.venv/.measures: constraints.txt pyproject.toml | .venv/.develops
	@echo "Installing Spark and the public methods to compare with into .venv (once; Spark alone is 450 MB)"
	@sed -n '/^# ==== measuring only/,$$p' constraints.txt > .venv/measures.txt
	@$(INSTALL) -r .venv/measures.txt
	@touch .venv/.spark $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Flask-Encore needs Python 3.11 or newer, and $(PYTHON) is not. Install one, or name one you have:" \
	       "make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; } >&2
	@$(VENV)
