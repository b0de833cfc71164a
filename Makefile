# The two commands of the README: `make demo` and `make test`. Both make the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two cores are what the suite is sized for; OpenMP threads would only fight pytest's workers.
WORKERS ?= 2
OUT ?= demo
# 0 leaves the examples of the pages as they are.
EXAMPLES ?= 1

.PHONY: demo test attack long gpu lint types docs clean

demo: $(READY)
	$(BIN)/grokode demo --out $(OUT)

# Compiled modules are kept, whatever the environment says: tests start hundreds of processes.
test: lint types
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=2 MPLBACKEND=Agg $(BIN)/python -m pytest \
	  -n $(WORKERS) --dist loadfile -m "not attack and not long" --doctest-modules grokode theory nets compare tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy cannot follow the folder mapping of an editable install, so it checks an installed copy.
types: $(READY)
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --target build/types .
	MYPYPATH=build/types $(BIN)/mypy -p grokode

# Strict: every warning is an error. The site is in site/. Examples are run, each once until it changes.
docs: $(VENV)/.ready-docs
	rm -rf site
	$(BIN)/python docs/builder/pages.py docs/build/pages
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
	  -D plot_gallery=$(EXAMPLES) -c docs/builder -d docs/build/doctrees docs/build/pages site

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'  # the first that knows dependency groups
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable .
	touch $@

$(VENV)/.ready-docs: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

# Published trainings followed to their end by theory and by training them again: minutes of a core.
long: $(READY)
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=2 MPLBACKEND=Agg $(BIN)/python -m pytest \
	  -n $(WORKERS) -m long tests

attack: $(READY)
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=2 MPLBACKEND=Agg $(BIN)/python -m pytest \
	  -n $(WORKERS) --dist loadfile -m attack tests

# All tests and benchmarks that need a CUDA device, in nine minutes; what was measured is kept.
gpu: $(READY)
	MPLBACKEND=Agg $(BIN)/python -m benchmarks gpu

clean:
	rm -rf $(VENV) build docs/build *.egg-info demo site
