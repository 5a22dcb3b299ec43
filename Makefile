# Everything starts from python3 (3.11 or later) and make alone; each target sets up what it needs.
#
#   make demo [ONCE=1]       ingest both demo data sets, tell the story, serve (ONCE=1: end instead)
#   make assets              the console's scripts, from npm packages (without them its pages work too)
#   make browser [LANGS=zh,en]   the console's journeys in a real browser; screenshots to docs/screens
#   make test                lint, types, layers, every test, coverage gate
#   make race                64 clients, two gateways, one budget: on SQLite and on PostgreSQL
#   make crash [ROUNDS=200] [STORE=sqlite|postgresql]   kill -9 at every step and at random, under load
#   make soak [MINUTES=10]   mixed legitimate and hostile load at saturation: errors, p99, growth
#   make fuzz [MINUTES=5]    hostile input against the application and the parser's gate: finds
#   make hostile [REQUESTS=10000]  resource exhaustion while eight others are served
#   make chaos [ROUNDS=100]  workers, gateway and spill disk break at random under load
#   make ingest-crash [ROUNDS=200]   kill -9 an ingestion at every step and at random, fail its disk
#   make faults              every write of a question fails once: full, broken, read-only disk
#   make bench-store         the ledger and the log beside plain durable inserts
#   make bench [ONLY=name]   costs against plain DuckDB
#   make tpch [SCALE=1]      TPC-H's 22 queries under differential privacy: errors, ratios, refusals
#   make corpus FILE=x.jsonl score a file of cases against the gateway over HTTP
#   make noninterference     the attack corpus against two homes, with and without the canary rows
#   make watched             what the monitor makes of the attack and the legitimate corpus
#   make bench-log [N=10000000]  pages of the query log, per filter, at N entries
#   make bench-log-postgresql [N=3000000]   the same on a PostgreSQL server of its own
#   make peers [ARGS=...]    other systems beside ours: error, time, memory
#   make laws N=100000       the law tests at a given number of cases
#   make fuzz-queries N=100000   random queries against the naive engine
#   make audit-epsilon N=100000  empirical lower bounds on the privacy loss, N answers a database
#   make escape          what a hostile worker can reach: probes from inside its box
#   make notebook-escape     what a kernel can reach: probes from inside an analyst's box
#   make connectors          every kind of source against the real thing, faults too
#   make detectors           precision and recall of the identifier detectors
#   make postgresql          the PostgreSQL server that tests start (Debian, as root)
#   make mariadb             the MariaDB server that tests start (likewise)
#   make advisories [STRICT=1]   known vulnerabilities of the locked dependencies (STRICT: what is unknown fails, too)
#   make lint | format       check | rewrite the code's form
#   make lock                resolve constraints.txt anew

# What is run from here works on public or made data: where a machine cannot confine workers in full, they are
# confined as far as it can, and `sandbox doctor` says what is missing.  `sandbox serve` itself asks for the box.
export SANDBOX_WORKER_FLOOR ?= process

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Half of a test's time is waiting (for a disk, a process, a clock), so there are more of them than the two cores
# that they are made for; JOBS=0 runs the tests in one process.
JOBS ?= 4
N ?= 20000
SCALE ?= 1

.PHONY: notebook-escape advisories fuzz hostile soak chaos assets browser chromium demo test connectors detectors mariadb race crash ingest-crash faults escape postgresql bubblewrap compiler bench-store bench tpch peers corpus noninterference watched bench-log bench-log-postgresql laws fuzz-queries audit-epsilon lint format lock install clean
.DELETE_ON_ERROR:

demo: $(READY) bubblewrap assets-if-possible
	$(BIN)/sandbox demo $(if $(ONCE),--once)

test: lint postgresql bubblewrap mariadb compiler chromium assets-if-possible
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=40 --durations-min=4 --cov --cov-report=term-missing:skip-covered

ASSETS := sandbox/console/assets
BUNDLE := sandbox/console/static/built/console.js

assets: $(BUNDLE)

# Node comes with the environment.  Packages are what the lock names, by hash.
$(BUNDLE): $(READY) $(wildcard $(ASSETS)/*.js $(ASSETS)/*.json)
	cd $(ASSETS) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-progress --loglevel=error
	cd $(ASSETS) && PATH="$(CURDIR)/$(BIN):$$PATH" npm run build --silent -- --log-level=warning
	@touch $@

.PHONY: assets-if-possible
assets-if-possible: $(READY)
	@$(MAKE) --no-print-directory assets || \
		echo "the console's scripts could not be built: its pages work without them (make assets)" >&2

browser: $(READY) bubblewrap chromium assets
	$(BIN)/python -m tests.browser.run $(if $(LANGS),--langs $(LANGS))

# The browser in which the console is tested.
chromium:
	@command -v chromium >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-noto-cjk; } || \
		{ echo "Chromium is needed for the console's tests: install it" >&2; exit 1; }

bench: $(READY)
	$(BIN)/python -m bench $(ONLY)

bench-store: $(READY) postgresql
	$(BIN)/python -m bench.store

tpch: $(READY)
	$(BIN)/python -m bench.tpch $(SCALE)

corpus: $(READY)
	@test -n "$(FILE)" || { echo "usage: make corpus FILE=cases.jsonl" >&2; exit 2; }
	$(BIN)/python tests/corpus/score.py "$(FILE)"

noninterference: $(READY) bubblewrap
	$(BIN)/python -m tests.corpus.noninterference

watched: $(READY)
	$(BIN)/python -m tests.corpus.watched

bench-log: $(READY)
	$(BIN)/python -m bench.log $(if $(filter command line,$(origin N)),$(N))

bench-log-postgresql: $(READY) postgresql
	$(BIN)/python -m bench.log_postgresql $(if $(filter command line,$(origin N)),$(N))

# Other systems beside ours, each in a virtual environment of its own under build/peers.
peers: $(READY)
	$(BIN)/python -m bench.peers $(ARGS)

escape: $(READY) bubblewrap
	$(BIN)/python -m tests.escape.run

notebook-escape: $(READY) bubblewrap
	$(BIN)/python -m tests.notebooks.escape

race: $(READY) postgresql
	$(BIN)/python tests/faults/race.py

crash: $(READY) postgresql bubblewrap
	$(BIN)/python tests/faults/crash.py $(ROUNDS) $(if $(STORE),--store $(STORE))

soak: $(READY) bubblewrap
	$(BIN)/python -m tests.load.soak $(MINUTES)

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz.run $(MINUTES)

hostile: $(READY) bubblewrap
	$(BIN)/python -m tests.load.hostile $(REQUESTS)

chaos: $(READY) bubblewrap
	$(BIN)/python -m tests.load.chaos $(ROUNDS)

ingest-crash: $(READY) compiler
	$(BIN)/python tests/faults/ingest_crash.py $(ROUNDS)

faults: $(READY) bubblewrap compiler
	$(BIN)/python tests/faults/sweep.py

connectors: $(READY) postgresql mariadb
	$(BIN)/python -m tests.connectors.check

detectors: $(READY)
	$(BIN)/python -m tests.connectors.detectors

laws: $(READY)
	$(BIN)/python tests/property/laws.py $(N)

fuzz-queries: $(READY)
	$(BIN)/python tests/property/fuzz.py $(N)

audit-epsilon: $(READY)
	$(BIN)/python tests/audits/epsilon.py $(if $(filter command line,$(origin N)),$(N))

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Asks PyPI about each locked release.  A registry's mirror may have no advisories: that is said, and fails if STRICT.
advisories: $(READY)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off $(if $(STRICT),--strict)

install: $(READY)

# A server of its own is started by whoever needs one; Debian keeps it out of PATH.
postgresql:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } || \
		{ echo "PostgreSQL is needed for the tests: install its server" >&2; exit 1; }

# The box around query workers.  Without it they are confined by what is left; see `sandbox doctor`.
bubblewrap:
	@command -v bwrap >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends bubblewrap; } || \
		echo "bubblewrap is missing: query workers are confined by what is left (sandbox doctor)" >&2

# A disk that fails when told to is a few lines of C (tests/faults/shim.c).
compiler:
	@command -v gcc >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends gcc libc6-dev; } || \
		{ echo "a C compiler is needed for the tests: install gcc" >&2; exit 1; }

mariadb:
	@ls /usr/sbin/mariadbd >/dev/null 2>&1 || command -v mariadbd >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends mariadb-server; } || \
		{ echo "MariaDB is needed for the tests: install its server" >&2; exit 1; }

# The stamp is younger than what it was made from, so a changed lock installs again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@# Debian ships the means to make virtual environments apart from python3.
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && \
		  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3-venv; } || \
		{ echo "python3 cannot make virtual environments: install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# For every platform and every Python from 3.11 on, with the hashes of all files of each release.
lock:
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--all-extras --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml -o constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
