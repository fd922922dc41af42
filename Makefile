# Everything from a fresh clone: `make demo` shows it, `make test` proves it. See README.md.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

PINS := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
INSTALL = $(PINS) $(BIN)/pip install --quiet --editable

.PHONY: help demo docs test test-slurm test-container chaos chaos-balanced soak check lint models custom-backend gpu-budget perf perf-full physics physics-references clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/serve.installed  ## install, export, serve, find the tracks of the bundled events, draw one
	$(BIN)/python deploy/demo.py

# One thread: the tests' events are small, and on a busy machine threads wait for each other.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/dev.installed models lint  ## install, check, and run the whole test suite, real server included
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not container"

chaos: export OMP_NUM_THREADS = 1
chaos: $(VENV)/dev.installed models  ## break every part of the running service under load, for ten minutes: no answer may be wrong or lost
	$(BIN)/python -m pytest --numprocesses 0 tests/served/test_chaos.py --chaos-requests 10000

chaos-balanced: export OMP_NUM_THREADS = 1
chaos-balanced: $(VENV)/dev.installed models  ## two servers, one restarted, one killed, one paused under load; behind the client, haproxy and Envoy
	$(BIN)/python -m pytest --numprocesses 0 tests/served/test_balanced_chaos.py --chaos-requests 10000

soak: export OMP_NUM_THREADS = 1
soak: $(VENV)/dev.installed models  ## an hour of two clients, with a fault every three minutes
	nice $(BIN)/python -m pytest --numprocesses 0 tests/served/test_chaos.py --chaos-minutes 60

test-slurm: $(VENV)/dev.installed models  ## a batch and a server on a real Slurm of one node, started for it and stopped; installs Debian's slurm-wlm and munge, as root
	@command -v slurmctld slurmd munged > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge; }
	$(BIN)/python -m pytest --numprocesses 0 -m slurm tests/client/batch/test_slurm.py

test-container: $(VENV)/dev.installed  ## the container image for the CPU, built on Debian and started, in half an hour; installs Debian's buildah and debootstrap, as root
	@command -v buildah debootstrap > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends buildah debootstrap; }
	nice $(BIN)/python -m pytest --numprocesses 0 -m container tests/deploy/test_container.py

check: lint  ## lint, types, and the tests that need no server, no simulation and no compiler: in a minute
	$(BIN)/python -m pytest --quiet --numprocesses 2 -m "not (server or simulation or package or slow or gpu)"

lint: $(VENV)/dev.installed  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy models_src client export deploy perf tests

models: $(VENV)/serve.installed  ## the committed networks as TorchScript in model_repository/
	$(BIN)/python export/trace_models.py

docs: export OMP_NUM_THREADS = 1
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/docs.installed models  ## the documentation site in out/docs/, the tutorial run: fails at a broken link or cell
	$(BIN)/mkdocs build --strict

custom-backend: $(VENV)/serve.installed  ## the custom backend in C++, which deploy/serve.py then prefers; needs g++ 11 or later, and CMake
	cmake -S backends/exatrkx -B build/custom-backend -DPython3_EXECUTABLE=$(abspath $(BIN))/python
	cmake --build build/custom-backend --parallel

gpu-budget: $(VENV)/perf.installed models custom-backend  ## what the custom backend asks of a GPU, counted without one; EVENTS=FILE too
	cmake --build build/custom-backend --target engine-budget --parallel
	$(BIN)/python perf/gpu_budget.py $(EVENTS) --output perf/gpu/budget.md

perf: $(VENV)/perf.installed models  ## measure direct, ensemble and custom backend: a table and plots in out/perf/
	$(BIN)/python perf/sweep.py --plan quick --fresh --output out/perf
	$(BIN)/python perf/compare.py out/perf

perf-full: $(VENV)/perf.installed models  ## the same with every setting, for hours; goes on where it was interrupted
	$(BIN)/python perf/sweep.py --plan full --output out/perf/full
	$(BIN)/python perf/compare.py out/perf/full

# Fixed events for the guard, which are made anew when the simulation changes.
physics_ideal0      := --events 100 --seed 901
physics_realistic0  := --events 100 --seed 901 --detector realistic
physics_dijets      := --events 20  --seed 902 --process dijet --pt-hat-min 1500
physics_ideal40     := --events 10  --seed 903 --pileup 40
physics_realistic40 := --events 10  --seed 903 --pileup 40 --detector realistic
PHYSICS := ideal0 realistic0 dijets ideal40 realistic40

physics physics-references: export OMP_NUM_THREADS = 1
physics: $(VENV)/dev.installed $(PHYSICS:%=out/physics/%.parquet)  ## figures of the committed networks on fixed events beside data/physics.json: fails where they are worse; in minutes
	$(BIN)/python -m exatrkx.validation.guard --references data/physics.json \
		$(foreach one,$(PHYSICS),--sample $(one) out/physics/$(one).parquet) $(GUARD)

physics-references: GUARD := --write
physics-references: physics  ## data/physics.json anew, that of the bundled events too: after new networks or another simulation
	$(BIN)/python -m exatrkx.validation.guard --references data/physics.json --sample bundled data/events/*.parquet --no-time --write

out/physics/%.parquet: $(wildcard models_src/exatrkx/simulation/*.py) | $(VENV)/dev.installed
	@mkdir -p $(@D)
	$(BIN)/python -m exatrkx.simulation $@ $(physics_$*)

clean:  ## what the targets above made, the virtual environment included
	rm -rf $(VENV) out build backends/*/lib model_repository/*/1/model.pt models_src/exatrkx/*.so *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)

# What running needs, and what developing needs on top; made again when the ranges or the pins change.
$(VENV)/serve.installed: pyproject.toml constraints.txt $(wildcard setup.py) | $(VENV)/bin/python
	$(INSTALL) '.[serve,display]'
	@$(PINS) $(BIN)/exatrkx install-server > /dev/null
	@$(BIN)/python perf/install_perf_analyzer.py > /dev/null || true  # measuring needs it, serving does not
	@touch $@

$(VENV)/dev.installed: $(VENV)/serve.installed
	$(INSTALL) '.[serve,simulate,dev]'
	@touch $@

$(VENV)/docs.installed: $(VENV)/serve.installed
	$(INSTALL) '.[serve,docs]'
	@touch $@

$(VENV)/perf.installed: $(VENV)/serve.installed
	$(INSTALL) '.[serve,perf]'
	@touch $@
