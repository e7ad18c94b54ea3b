# Needs Python 3.11 or later with pip and venv; installs all else under .venv/.
#
#   make test ARGS="-k select --stress"     make test PYTHON=python3.13
#   make test REQUIREMENTS=lowest           make demo ADDRESS=:8000

PYTHON ?= python3
REQUIREMENTS ?= test
ARGS ?=
ADDRESS ?=

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
VENVS := .venv/$(VERSION)
TEST := $(VENVS)/$(REQUIREMENTS)
LINT := $(VENVS)/lint
TYPED := $(wildcard csp tests/typing examples benchmarks)

.PHONY: test demo lint format bench lock clean
# make would delete these, as mere steps on the way to another file.
.PRECIOUS: $(VENVS)/%/.requirements

test: $(TEST)/.package
	$(TEST)/bin/python -m pytest $(ARGS)

demo: $(TEST)/.package
	$(TEST)/bin/python -m examples.http $(ADDRESS)

lint: $(LINT)/.package
	$(LINT)/bin/ruff check
	$(LINT)/bin/ruff format --check
	$(LINT)/bin/mypy $(TYPED)
	@# --verifytypes finds csp by the first python on PATH, whatever --pythonpath says.
	PATH="$(CURDIR)/$(LINT)/bin:$$PATH" pyright --verifytypes csp --ignoreexternal
	$(if $(wildcard tests/typing),$(LINT)/bin/pyright --pythonpath $(LINT)/bin/python tests/typing)
	$(LINT)/bin/lint-imports --no-cache

format: $(LINT)/.package
	$(LINT)/bin/ruff check --fix
	$(LINT)/bin/ruff format

bench: $(VENVS)/bench/.package
	$(VENVS)/bench/bin/python -m benchmarks $(ARGS)

clean:
	rm -rf .venv .hypothesis .pytest_cache .mypy_cache .ruff_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

# A list that changed gets a new environment: what it no longer names must be gone.
$(VENVS)/%/.requirements: requirements/%.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("anycsp needs Python 3.11 or later, and $(PYTHON) is $(VERSION): name another with make PYTHON=python3.13")'
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

$(VENVS)/%/.package: $(VENVS)/%/.requirements pyproject.toml
	$(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Versions already locked stay where they still fit: make lock ARGS=--upgrade moves them.
UV := $(VENVS)/lock/bin/uv
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command "make lock"

lock: $(UV)
	$(COMPILE) --group test --output-file requirements/test.txt $(ARGS)
	$(COMPILE) --group minimal --output-file requirements/minimal.txt $(ARGS)
	$(COMPILE) --group lint --output-file requirements/lint.txt $(ARGS)
	$(COMPILE) --group bench --output-file requirements/bench.txt $(ARGS)
	$(COMPILE) --group tools --output-file requirements/lowest.txt \
		--extra trio --extra uvloop --resolution lowest-direct --upgrade

$(UV):
	$(PYTHON) -m venv $(VENVS)/lock
	$(VENVS)/lock/bin/python -m pip install --quiet "uv>=0.9"
