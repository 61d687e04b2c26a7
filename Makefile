# make sweep | test: the two commands of a newcomer; the others are for whoever works on it.
PYTHON ?= python3
BIN := .venv/bin
SWEEP := configs/sweeps/digits_quickstart.yaml
export PYTHONUNBUFFERED := 1

.PHONY: help setup sweep test test-long faults faults-beyond fuzz check bench bench-setup bench-loop bench-defaults bench-grouped bench-gpu bench-sweep-short bench-page bench-start bench-sweep bench-search bench-report bench-scale bench-feed bench-accuracy ui clean
help:
	@echo "make sweep        sweep ResNets over handwritten digits and print the answer"
	@echo "make test         run the tests"
	@echo "make test-long    run those that take long"
	@echo "make faults       break everything at random moments, and print what that cost"
	@echo "make fuzz         feed made-up files to whatever reads files"
	@echo "make check        ruff, pyright, import rules"
	@echo "make bench        measure what a CPU shows, and write docs/performance.md"
	@echo "make bench-gpu    measure one CUDA GPU, and write docs/performance.md"
	@echo "make ui           open the MLflow dashboard on 127.0.0.1:5000"
	@echo "make clean        remove results, tracking database and caches (not .venv)"

setup: .venv/.done

# Rebuilt only when the lock changes.
.venv/.done: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch .venv/.done

sweep: setup
	$(BIN)/python -m sweeps run $(SWEEP)

# The end-to-end tests mostly wait for processes to start, so the others run beside them; nicer than
# Ray's workers, which have 15, or those would be waited for all the longer; on one thread each, since
# two wait for each other where the second core is taken.
WITH_RAY := tests/e2e tests/faults/processes
QUICK := --fault-seed 17 -m "(not faults or faults_in_ci) and not fuzz and not long"
test: setup
	@log=$$(mktemp); OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m pytest --durations 15 $(QUICK) $(WITH_RAY:%=--ignore %) > $$log 2>&1 & others=$$!; \
	trap 'kill $$others' INT TERM; \
	$(BIN)/python -m pytest --durations 15 $(QUICK) $(WITH_RAY); status=$$?; \
	wait $$others || status=1; cat $$log; rm -f $$log; exit $$status

# What takes long, and whose parts are tested in `make test`.
test-long: setup
	$(BIN)/python -m pytest --durations 5 -m long tests

# Every fault at random moments, and the table of what each cost; `make test` runs a part of it,
# with one seed. Three sessions beside each other, since most of each is waiting for processes.
FAULT_SEED := $(shell date +%s)
DRIVERS := $(patsubst %,tests/faults/processes/test_%.py,killed_drivers killed_tracking_server two_drivers)
FAULTS := faults and not fuzz and not beyond
faults: setup
	@kept=$$(mktemp -d); \
	pytest="$(BIN)/python -m pytest --fault-seed $(FAULT_SEED) --durations 5"; every='$(FAULTS)'; \
	trap 'kill $$(jobs -p)' INT TERM; \
	OMP_NUM_THREADS=1 nice -n 19 $$pytest -m "$$every" --fault-rows $$kept/c $(WITH_RAY:%=--ignore %) > $$kept/c.log 2>&1 & c=$$!; \
	$$pytest -m "$$every" --fault-rows $$kept/b $(DRIVERS:%=--ignore %) $(WITH_RAY) > $$kept/b.log 2>&1 & b=$$!; \
	$$pytest -m "$$every" --fault-rows $$kept/a $(DRIVERS); status=$$?; \
	wait $$b || status=1; wait $$c || status=1; cat $$kept/b.log $$kept/c.log; \
	$(BIN)/python -m tests.faults.table $$kept/a $$kept/b $$kept/c; rm -rf $$kept; exit $$status

# The same faults where several workers, a population or a sweep's whole disk have them.
faults-beyond: setup
	$(BIN)/python -m pytest --fault-seed $(FAULT_SEED) --durations 5 -m beyond tests/faults/processes

# Ten thousand files, recipes, durations, formulas and settings made up.
fuzz: setup
	$(BIN)/python -m pytest --durations 5 -m fuzz tests/faults/test_fuzzing.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# One after another, also with -j: they would measure one another.
bench: bench-setup
	$(MAKE) bench-loop
	$(MAKE) bench-defaults
	$(MAKE) bench-feed
	$(MAKE) bench-sweep-short
	$(MAKE) bench-search
	$(MAKE) bench-report
	$(MAKE) bench-page

bench-page: setup
	$(BIN)/python -m benchmarks.performance

# The product's environment and the peers beside it: the same torch, which the lock repeats.
bench-setup: .venv-bench/.done

.venv-bench/.done: benchmarks/requirements.lock .venv/.done
	$(PYTHON) -m venv --clear .venv-bench
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > $$(.venv-bench/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/product.pth
	.venv-bench/bin/python -m pip install --quiet --require-hashes -r benchmarks/requirements.lock
	touch .venv-bench/.done

# A training loop's cost per step, ours and every peer's.
bench-loop: bench-setup
	.venv-bench/bin/python -m benchmarks.loop

# Layout, precision and the fused optimizer against plain fp32.
bench-defaults: setup
	$(BIN)/python -m benchmarks.defaults

# Several trials as one grouped model against one after another; eight minutes.
bench-grouped: setup
	$(BIN)/python -m benchmarks.grouped

# One CUDA GPU, with the peers' scripts; says so where there is none.
bench-gpu: bench-setup
	.venv-bench/bin/python -m benchmarks.gpu
	$(MAKE) bench-page

# Parts of bench-sweep, smaller: minutes instead of half an hour.
bench-sweep-short: setup
	$(BIN)/python -m benchmarks.sweep --only a
	$(BIN)/python -m benchmarks.sweep --only b --trials 4 --repeats 1 --epochs 2

bench-start: setup
	$(BIN)/python -m benchmarks.start

# Trial starts, trials per minute, the driver's memory; about half an hour.
bench-sweep: setup
	$(BIN)/python -m benchmarks.sweep

# Every stopping rule against random search, on recorded learning curves; about a minute.
bench-search: setup
	$(BIN)/python -m benchmarks.search

# The report of a 500-trial sweep: its size, and how fast a browser shows it.
bench-report: setup
	$(BIN)/python -m benchmarks.report

# Images per second and core to a training batch.
bench-feed: bench-setup
	.venv-bench/bin/python -m benchmarks.feed

# Accuracy from the folder and packed, five seeds each; about a quarter of an hour.
bench-accuracy: setup
	$(BIN)/python -m benchmarks.packed_accuracy

# What grows with trials and workers, into docs/scale.md.
bench-scale: setup
	$(BIN)/python -m benchmarks.scale --docs

ui: setup
	$(BIN)/python -m sweeps ui

clean:
	rm -rf results mlflow.db mlflow.db-shm mlflow.db-wal mlartifacts .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
