# `make demo` and `make test` need git, make, Python >= 3.11 and its venv module, nothing else.
# Everything they install goes into .venv; only `make system` touches the machine.

PYTHON ?= python3
ARGS   ?=

# Where it is set, each process compiles again all that it imports: a third of what our commands take to
# start, and tests start hundreds of processes. What is compiled lies in .venv and in __pycache__.
unexport PYTHONDONTWRITEBYTECODE

BIN   := .venv/bin
# Compiling all of scipy takes longer than its download; Python compiles what is imported.
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
CODE  := $(foreach folder,vpp adapters strategies tests tools benchmarks,$(if $(wildcard $(folder)/*.py),$(folder)))
LOCK  := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
         --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DELETE_ON_ERROR:
.PHONY: help demo test check format picture bench peers wheel lock system clean

help:
	@echo 'make demo    a whole park for a day, in .venv (ARGS="--for 2h --speed max" for other options)'
	@echo 'make test    all tests (ARGS="-k word" for some)'
	@echo 'make check   ruff, ruff format, mypy --strict, hadolint'
	@echo 'make format  let ruff mend what it can'
	@echo 'make picture the page as it is, for the README, by Chromium and a running demo'
	@echo 'make bench   the benchmarks, at most 10 minutes'
	@echo 'make peers   other planners, forecasters and MQTT clients, each in a .venv of its own, for benchmarks/planner.py, fleet.py, forecast.py and field.py'
	@echo 'make wheel   dist/vpp-*.whl'
	@echo 'make lock    new versions into requirements/*.txt (ARGS="--upgrade" for the newest)'
	@echo 'make system  apt: what some tests need besides Python'
	@echo 'make clean   remove .venv, caches and build results'

demo: .venv/.run
	$(BIN)/vpp demo $(ARGS)

# One thread for linear algebra, as everything that we start has: two processes of two threads each wait for one
# another on two cores, and forecasts that take ten seconds took eleven minutes.
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/hadolint Dockerfile

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

picture: .venv/.dev
	$(BIN)/python -m tools.screenshot

bench: .venv/.dev
	timeout --foreground 600 $(BIN)/python -m benchmarks $(ARGS)

# FlexMeasures and statsforecast pin other versions of the same libraries, so they stand apart.
peers: .venv-peers/.made .venv-flexmeasures/.made .venv-forecast-peers/.made .venv-mqtt-peers/.made

.venv-peers/.made .venv-flexmeasures/.made .venv-forecast-peers/.made .venv-mqtt-peers/.made: .venv-%/.made: requirements/%.in
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install --no-compile -r $<
	@touch $@

wheel: .venv/.dev
	$(BIN)/python -m hatchling build -t wheel

# Each file keeps the versions that the files before it chose.
lock: .venv/.dev
	$(LOCK) $(ARGS) pyproject.toml -o requirements/run.txt
	$(LOCK) $(ARGS) requirements/build.in -o requirements/build.txt
	$(LOCK) $(ARGS) pyproject.toml requirements/dev.in -c requirements/run.txt \
		-c requirements/build.txt -o requirements/dev.txt

# Of Prometheus the tests need promtool alone: unpacked, since the package would start a server.
system:
	@set -e; \
	if ! command -v apt-get >/dev/null; then \
		echo 'make system knows Debian only: install mosquitto, redis-server, openssl, chromium, promtool and a CJK font by hand' >&2; \
		exit 1; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
	packages='mosquitto redis-server openssl chromium fonts-noto-cjk'; \
	if dpkg-query -W -f '$${db:Status-Status}\n' $$packages 2>/dev/null | grep -c '^installed$$' | grep -q '^5$$'; then \
		echo "installed already: $$packages"; \
	else \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages; \
	fi
	@set -e; \
	if command -v promtool >/dev/null; then echo 'installed already: promtool'; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
	unpacked=$$(mktemp -d); trap 'rm -rf "$$unpacked"' EXIT; chmod 755 "$$unpacked"; cd "$$unpacked"; \
	timeout 300 apt-get download -qq prometheus || { $$sudo apt-get update -qq && timeout 300 apt-get download -qq prometheus; }; \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool; \
	$$sudo install -m 755 usr/bin/promtool /usr/local/bin/promtool; \
	promtool --version | head -1

clean:
	rm -rf .venv .venv-peers .venv-flexmeasures .venv-forecast-peers build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

# ---------------------------------------------------------------- the virtual environment
# Stamp files: a second call installs nothing unless a requirement changed.

.venv/.made:
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is not installed: apt install python3 python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: vpp needs 3.11 or newer, give one with make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) has no venv module: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.run: .venv/.made requirements/run.txt requirements/build.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
