# The project's commands. `make night` and `make test` are all a newcomer needs: each does its own set-up.
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The rooms find their data below the checkout, wherever make was called from, unless the environment says otherwise.
export CHURN_HOME ?= $(CURDIR)

.PHONY: help setup night serve up down screenshots test test-faults check fix lock clean

help:  ## show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## make .venv from requirements.lock (the others call it)
	@scripts/setup

# Models are signed where there is a key (`churn model key`); without one a trial runs unsigned, and says so.
night serve up: export CHURN_MODE := $(or $(CHURN_MODE),$(if $(CHURN_SIGNING_KEY),production,development))
night: setup  ## simulate a telecom once, then score its latest night and write the outreach list
	@churn simulate --customers 20000 --months 24 --seed 42 --if-missing
	@churn night --as-of latest

serve: setup  ## answer look-ups and predictions on http://127.0.0.1:8000 (after make night)
	@churn serve

up: setup  ## start Prefect's server, its worker and the API, and set the server up; says where they are
	@scripts/up

down:  ## stop what make up started
	@scripts/down

screenshots: setup  ## take the pictures of docs/operations.md from what make up started
	@scripts/screenshots

test test-faults: export CHURN_HOME := $(CURDIR)
# Three processes on two cores, since many tests wait for a server or a process of their own.
test: setup  ## every test; starts servers of its own and installs those that are missing
	@pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-faults: setup  ## the long fault run: kill, stop, fill and cut off, many times over; ends with a line of JSON
	@python -m tests.faults

check: setup  ## style, types and import rules; edits nothing
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports --no-logo

fix: setup  ## mend what the checks can mend by themselves
	@ruff check --fix .
	@ruff format .

lock: setup  ## resolve pyproject.toml again into requirements.lock, with hashes
	@uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --python-version 3.11 --python-platform linux \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean:  ## remove what runs have made below the checkout; keeps .venv
	@find data artifacts -mindepth 1 -not -name README.md -delete
