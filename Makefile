# Two commands do everything on a machine with Python 3.11 or newer: `make plan` and `make test`.

PYTHON ?= python3
VENV ?= .venv
ARGS ?= experiment=mir/simulated
bin := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help plan test slow faults check-conf format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What is installed is remembered in two stamps, so that a second call starts at once.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(bin)/pip install -q -e '.[report]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(bin)/pip install -q -e '.[dev]'
	@touch $@ $(VENV)/.installed

plan: $(VENV)/.installed ## From posts to a certified plan; ARGS="experiment=mir/instagram_2017" for the real posts
	$(bin)/python train.py $(ARGS)
	$(bin)/python evaluate.py $(ARGS)
	$(bin)/python optimize.py $(ARGS)

test: $(VENV)/.installed-dev ## Style, types and tests, as CI runs them
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/pytest -q -n 2 --dist worksteal

slow: $(VENV)/.installed-dev ## The tests that take minutes
	$(bin)/pytest -q -m slow

faults: $(VENV)/.installed-dev ## Kill, damage and starve it; print tried / survived
	$(bin)/python scripts/fault_table.py

check-conf: $(VENV)/.installed-dev ## Compose and validate every experiment and every choice in conf/
	$(bin)/python scripts/check_conf.py

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can mend
	$(bin)/ruff check --fix
	$(bin)/ruff format

clean: ## Remove the environment and caches; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
