# `make demo` and `make test` work on a machine with Python 3.11 or later and make: each installs what it needs first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Two processes suit a laptop, a file in one of them, for its tests share models; one thread each keeps them out of each other's way. PYTEST_ARGS="-k name" runs a few.
PYTEST_ARGS ?= -n 2 --dist loadfile
export PYTHON

.PHONY: demo test test-distributed lint format resolve constraints wheel clean

demo: $(VENV)/.base
	$(BIN)/isthmus demo

test: lint
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(PYTEST_ARGS)

# Every variant in two processes, and a cluster of Ray on this machine: some minutes more.
test-distributed: $(VENV)/.dev
	ISTHMUS_WHOLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "distributed or ray" tests/test_parallel.py tests/test_ray.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Do the requirements resolve on every Python we support?
resolve: $(VENV)/.dev
	scripts/resolve $(BIN)/uv

# Take newer versions of everything but torch, which is chosen by hand. No wheel folder, or its path would be noted.
constraints: $(VENV)/.dev
	(sed -n '/^#/p;/^[^#]/q' constraints.txt; \
	 echo torch==2.13.0 | env -u UV_FIND_LINKS $(BIN)/uv pip compile -q --upgrade pyproject.toml --extra all --extra video --group dev \
	   --universal --python-version 3.11 -c - --no-annotate --no-header | grep -vE '^(nvidia-|cuda-|triton)') > constraints.new
	mv constraints.new constraints.txt

wheel: $(VENV)/.dev
	scripts/wheel $(VENV)

# Leaves the environment ($(VENV)) and what the demo wrote.
clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests scripts examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Marks of what is installed; a change of the requirements installs again.
REQUIREMENTS := pyproject.toml constraints.txt scripts/install

$(VENV)/.base: $(REQUIREMENTS)
	scripts/install $(VENV) -e ".[all]"
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS)
	scripts/install $(VENV) -e ".[all,video]" --group dev
	@touch $(VENV)/.base $@
