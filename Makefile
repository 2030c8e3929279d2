# Everything happens in the project's own environment, .venv; nothing else on the machine changes.
# `make help` lists the targets. Settings, each given as NAME=value:
#   PYTHON       the interpreter to build .venv with (3.11 or newer; none is ever downloaded)
#   TORCH_INDEX  a package index to take torch from first, such as PyTorch's CPU-only one, which
#                saves 4 GB; empty: the CUDA build that the lock names
#   MINIO        a MinIO server binary for the tests; empty: looked for on PATH, then in the cache
#   HELM         a Helm 4 binary for the chart's tests; empty: looked for likewise
#   ARGS         more arguments for the command that the target runs
PYTHON ?= python3
TORCH_INDEX ?=
MINIO ?=
HELM ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PATH_UV := $(shell command -v uv 2>/dev/null || true)
UV := $(or $(PATH_UV),$(BIN)/uv)
# Where uv is on PATH, .venv needs no pip and no uv of its own.
TOOLS := $(BIN)/python $(if $(PATH_UV),,$(BIN)/uv)
CODE := $(patsubst %/__init__.py,%,$(wildcard $(addsuffix /__init__.py,parable components pipelines services)))
TYPED := $(CODE) bench tests/conftest.py tests/support tests/architecture tests/charts

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/parable/bin
# The last open-source tree; a pseudo-version, because its module never had tags that Go accepts.
MINIO_MODULE := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
HELM_MODULE := helm.sh/helm/v4/cmd/helm@v4.3.1

export UV_PYTHON_DOWNLOADS := never
# Ray would give each worker an environment of its own wherever it finds uv above it.
export RAY_ENABLE_UV_RUN_RUNTIME_ENV := 0
# A run is some twenty processes, and where this is set each compiles torch, Ray and kfp anew.
unexport PYTHONDONTWRITEBYTECODE
ifneq ($(MINIO),)
export PARABLE_MINIO := $(MINIO)
endif
ifneq ($(HELM),)
export PARABLE_HELM := $(HELM)
endif
unexport VIRTUAL_ENV

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install run test test-slow check format minio helm lock clean FORCE

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed-all ## Install what a run needs into .venv

run: install ## Run the quickstart: stories to models to a page
	$(BIN)/parable run recipes/quickstart.yaml $(ARGS)

test: $(VENV)/.installed-dev check ## Lint, check types, and run every test but the slow ones
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(VENV)/.installed-dev ## Run the tests marked slow
	$(BIN)/python -m pytest -m slow --timeout 3600 $(ARGS)

check: $(VENV)/.installed-dev ## Lint, check the format, and check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

format: $(VENV)/.installed-dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

minio: ## Have a real MinIO server for the tests: find it, or build it with Go (3 minutes)
	@if [ -n "$(MINIO)" ] && ! [ -x "$(MINIO)" ]; then \
	  echo "MINIO=$(MINIO) is not a program that can be run."; exit 2; fi; \
	for found in "$(MINIO)" "$${PARABLE_MINIO:-}" "$$(command -v minio)" "$(CACHE)/minio"; do \
	  if [ -n "$$found" ] && [ -x "$$found" ]; then echo "MinIO: $$found"; exit 0; fi; done; \
	if ! command -v go >/dev/null; then \
	  echo "No MinIO server was found, and no Go to build one with. Install Go, or give a binary:"; \
	  echo "  make test MINIO=/path/to/minio"; \
	  echo "Without either, the tests use a stand-in that does not check signatures."; exit 2; fi; \
	echo "Building MinIO into $(CACHE) ..."; \
	mkdir -p "$(CACHE)/.building" && \
	CGO_ENABLED=0 GOBIN="$(CACHE)/.building" go install $(MINIO_MODULE) && \
	mv "$(CACHE)/.building/minio" "$(CACHE)/minio" && rmdir "$(CACHE)/.building" && \
	echo "MinIO: $(CACHE)/minio"

helm: ## Have a Helm for the chart's tests: find it, or build it with Go (2 minutes)
	@if [ -n "$(HELM)" ] && ! [ -x "$(HELM)" ]; then \
	  echo "HELM=$(HELM) is not a program that can be run."; exit 2; fi; \
	for found in "$(HELM)" "$${PARABLE_HELM:-}" "$$(command -v helm)" "$(CACHE)/helm"; do \
	  if [ -n "$$found" ] && [ -x "$$found" ]; then echo "Helm: $$found"; exit 0; fi; done; \
	if ! command -v go >/dev/null; then \
	  echo "No Helm was found, and no Go to build one with. Install Go, or give a binary:"; \
	  echo "  make test HELM=/path/to/helm"; \
	  echo "Without either, the chart's tests are skipped."; exit 2; fi; \
	echo "Building Helm into $(CACHE) ..."; \
	mkdir -p "$(CACHE)/.building-helm" && \
	CGO_ENABLED=0 GOBIN="$(CACHE)/.building-helm" go install $(HELM_MODULE) && \
	mv "$(CACHE)/.building-helm/helm" "$(CACHE)/helm" && rmdir "$(CACHE)/.building-helm" && \
	echo "Helm: $(CACHE)/helm"

lock: $(TOOLS) ## Lock every dependency anew into constraints.txt (ARGS=--upgrade: to newer versions)
	$(UV) pip compile pyproject.toml --quiet --python $(BIN)/python --all-extras --group build \
	  --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --output-file constraints.txt $(ARGS)

clean: ## Remove .venv and caches; results under .parable stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Parable needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1)."; \
	  echo "Name another interpreter: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 2; }
	@if [ -n "$(PATH_UV)" ]; then \
	  $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	else $(PYTHON) -m venv --without-pip $(VENV); fi

# The lock's own pin and hashes for uv, so that even the installer is verified.
$(BIN)/uv: | $(BIN)/python
	@echo "Installing uv into $(VENV) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null || { \
	  echo "This Python has no ensurepip: install it (Debian: python3-venv) or put uv on PATH."; exit 2; }
	@awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' constraints.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement $(VENV)/uv.txt
	@touch $@

# An interpreter that is named but not used would be an input swallowed.
SHOW_VERSION := -c 'import sys; print("Python %d.%d" % sys.version_info[:2])'
ifneq ($(filter command environment,$(origin PYTHON)),)
define REFUSE_ANOTHER_PYTHON
asked=$$($(PYTHON) $(SHOW_VERSION)) && used=$$($(BIN)/python $(SHOW_VERSION)) && \
  if [ "$$asked" != "$$used" ]; then \
  echo "$(VENV) holds $$used, and PYTHON=$(PYTHON) is $$asked: run 'make clean' first."; exit 2; fi
endef
endif

# torch from another index carries a local label (2.13.0+cpu) and other hashes, which the lock cannot
# know: it is installed first, pinned, alone; the lock then holds for everything else.
$(VENV)/.torch-index: FORCE | $(TOOLS)
	@$(REFUSE_ANOTHER_PYTHON)
	@if ! [ -f $@ ] || { [ -n "$(TORCH_INDEX)" ] && [ "$$(cat $@)" != "$(TORCH_INDEX)" ]; }; then \
	  if [ -n "$(TORCH_INDEX)" ]; then \
	    echo "Installing torch from $(TORCH_INDEX) ..."; \
	    $(UV) pip install --quiet --python $(BIN)/python --no-deps --reinstall-package torch \
	      --default-index "$(TORCH_INDEX)" "$$(grep -oE '^torch==[0-9.]+' constraints.txt)" || exit 1; \
	  fi; echo "$(TORCH_INDEX)" > $@; fi

$(VENV)/.installed-%: pyproject.toml constraints.txt $(VENV)/.torch-index | $(TOOLS)
	@echo "Installing parable[$*] into $(VENV) ..."
	@$(UV) pip install --quiet --python $(BIN)/python --editable '.[$*]' \
	  --constraints constraints.txt --build-constraints constraints.txt
	@touch $@ $(if $(filter dev,$*),$(VENV)/.installed-all)
