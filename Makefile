# The targets for developers and CI. They need make and Python 3.11 or newer; everything else is installed into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.complete
SPEC ?= examples/digits.yaml

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test lint bench mutants screenshots study-fbnetv3 study-autohas study-detection study-data serve docs packages clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## Search digits for the best small network and its training recipe (3 minutes on two cores)
	@$(BIN)/searchctl run $(SPEC)

test: $(READY) packages lint ## Lint, then run every test, including those that kill processes
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/inputs tests/contract tests/architecture tests/unit
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup tests/integration tests/browser
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile tests/chaos
endif

lint: $(READY) ## Run ruff, mypy --strict and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## Measure the speed, each figure next to its reference
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: $(READY) ## Put small faults into copies of the core, and count those that the tests notice (30 minutes on two cores)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,mutants]'
	@$(BIN)/python -m benchmarks.mutation $(ARGS)

screenshots: $(READY) packages ## Run two small jobs and take pictures of every page for the documentation (5 minutes)
	@$(BIN)/python -m benchmarks.screenshots

define study
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,study]'
	@$(BIN)/python -m benchmarks.studies.$(1)
	@$(BIN)/python -m benchmarks.studies.$(1)_page
endef

study-fbnetv3: $(READY) ## Repeat the study of FBNetV3 and rewrite its page (an hour on two cores)
	$(call study,fbnetv3)

study-autohas: $(READY) ## Repeat the study of AutoHAS and rewrite its page (an hour on two cores)
	$(call study,autohas)

study-detection: $(READY) ## Repeat the study of detectors and rewrite its page (up to two and a half hours on two cores)
	$(call study,detection)

study-data: $(READY) ## Repeat the study of pre-training, self-training and labels (up to two hours on two cores)
	$(call study,pretraining)

serve: $(READY) ## Start the API, the web page and a controller on 127.0.0.1:8700
	@$(BIN)/searchctl serve

docs: $(READY) ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation is in site/index.html"

packages: # install the programs that the tests start, such as PostgreSQL
	@sh .ci/packages
	@PYTHON=$(PYTHON) sh .ci/generators

clean: ## Remove all files that these targets made here; jobs and their results (~/.searchsvc) stay
	rm -rf $(VENV) .generators build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "searchsvc needs Python 3.11 or newer; '$(PYTHON)' is not. Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot create virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing searchsvc and its dependencies into $(VENV) (once; about 6 GB, some minutes) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
