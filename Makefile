# Each target makes the environment it needs, once: a folder made with venv and pip from the exact versions in
# requirements/. It is made anew only when pyproject.toml or those versions change.

# An interpreter of your choice: make PYTHON=python3.12 test
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
LOWEST := .venv-lowest
TOOLS := .venv-tools
PY := $(VENV)/bin/python
# More words for pytest: make pytest ARGS="-k reduction"
ARGS :=
# For make bench: a script in the form of the textbook implementation, and crystals for it
YARDSTICK :=
DATA :=
TRUST := $(wildcard tests/trust benchmarks/trust*.py)
EXAMPLES := $(sort $(wildcard examples/plot_*.py))
comma := ,

# Bytecode is kept, also where the shell says otherwise: each process would compile the package and its tests anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env demo check test lint types imports fast pytest examples quick trust test-lowest bench docs site browser lock \
	licenses sbom package clean distclean

help: ## say what each target does
	@echo 'make TARGET, one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-14s %s\n", $$1, $$2 }'

# $(call make-env,FOLDER,VERSIONS,EXTRAS): pip must not look for newer versions, also not of what builds the package:
# so the build backend comes first, and the build uses it as it is. Modules are compiled when they are first imported:
# most of what is installed never is.
define make-env
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed: name one with make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'PYTHON=$(PYTHON) does not run or is older than 3.11, which this package needs'; exit 1; }
	@echo 'Installing into $(1) the versions of $(2): some minutes the first time'
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -c $(2) setuptools packaging
	@$(1)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-build-isolation -c $(2) \
		-e '.[$(3)]'
	@touch $(1)/.ready
endef

$(VENV)/.ready: pyproject.toml requirements/constraints.txt
	$(call make-env,$(VENV),requirements/constraints.txt,dev)

$(LOWEST)/.ready: pyproject.toml requirements/lowest.txt
	$(call make-env,$(LOWEST),requirements/lowest.txt,ase$(comma)test)

env: $(VENV)/.ready ## make the environment .venv, nothing else

demo: $(VENV)/.ready ## pretrain on bundled crystals and show what the vectors are worth: table and pictures in demo/
	$(VENV)/bin/skdim demo --out demo

check: lint types imports fast ## for daily work: lint, types, imports and the tests that are not slow

# Examples are not among them: `make docs` runs each one, and fails where one fails.
test: lint types imports pytest quick ## every check: lint, types, imports, all tests, the benchmark in small

lint: $(VENV)/.ready ## ruff: rules and layout
	$(PY) -m ruff check
	$(PY) -m ruff format --check

types: $(VENV)/.ready ## mypy, strict
	$(PY) -m mypy

imports: $(VENV)/.ready ## the order of the modules, as pyproject.toml has it
	$(VENV)/bin/lint-imports --no-logo

# Processes with one thread each: the threads of two would fight for the processors. Three for two processors, as many
# tests wait for processes that they start.
pytest: $(VENV)/.ready ## tests and doctests; ARGS= for pytest's own words
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 3 --dist worksteal $(ARGS)

# By files, so that what the tests of one have in common is made once.
fast: $(VENV)/.ready ## tests and doctests that are not marked slow; ARGS= for pytest's own words
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

# The short form of these tests is part of `make test`.
trust: $(VENV)/.ready ## the long form of the tests against damaged and hostile files and of killed work
	@test -n "$(TRUST)" || { echo 'there is no tests/trust and no benchmarks/trust*.py'; exit 1; }
	@set -e; for place in $(TRUST); do echo "$$place"; case $$place in \
		*.py) $(PY) $$place;; \
		*) SKDIM_TRUST=long OMP_NUM_THREADS=1 $(PY) -m pytest -s $$place;; \
	esac; done

browser: $(VENV)/.ready ## what the tests of pages in a browser need (Debian: chromium), then those tests
	command -v chromium chromedriver || apt-get install -y chromium chromium-driver
	$(PY) -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e '.[browser]'
	$(PY) -m pytest tests/browser

examples: $(VENV)/.ready ## run each example, without a screen, in an empty folder
	@test -n "$(EXAMPLES)" || { echo 'examples/ has no plot_*.py to run'; exit 1; }
	@set -e; for example in $(EXAMPLES); do \
		echo "$$example"; folder=$$(mktemp -d); \
		(cd "$$folder" && MPLBACKEND=Agg "$(CURDIR)/$(PY)" "$(CURDIR)/$$example"); \
		rm -rf "$$folder"; \
	done

quick: $(VENV)/.ready ## the whole benchmark on a few crystals, to see its machinery work
	@set -e; folder=$$(mktemp -d); $(VENV)/bin/skdim benchmark --quick --dataset band_gap --jobs 2 --out "$$folder"; rm -rf "$$folder"

test-lowest: $(LOWEST)/.ready ## pytest in a second environment, of the lowest versions that pyproject.toml admits
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n 2 $(ARGS)

bench: $(VENV)/.ready ## speed against YARDSTICK=script on DATA=crystals, scaling (FULL=1: to 100,000), stages, alternatives, processes
	$(PY) benchmarks/run.py $(if $(YARDSTICK),--yardstick "$(YARDSTICK)") $(if $(DATA),--data "$(DATA)") \
		--out benchmarks/speed.json
	$(PY) benchmarks/scaling.py $(if $(FULL),--full) --out benchmarks/scaling.json
	$(PY) benchmarks/stages.py --out benchmarks/stages.json
	$(PY) benchmarks/alternatives.py --out benchmarks/alternatives.json
	$(PY) benchmarks/processes.py --out benchmarks/processes.json
	$(PY) benchmarks/reading.py --out benchmarks/reading.json

docs: $(VENV)/.ready ## the documentation, in docs/_build/html; a warning is an error
	@# A build that was interrupted has no search index, and the next one would add pages to none.
	@test -f docs/_build/html/searchindex.js || rm -rf docs/_build/html/.doctrees
	OMP_NUM_THREADS=1 $(PY) -m sphinx -W --keep-going -j 2 -b html docs docs/_build/html

site: $(VENV)/.ready ## show the documentation at http://localhost:8000, built first if it is not there
	@test -f docs/_build/html/index.html || $(MAKE) docs
	$(PY) -m http.server --bind 127.0.0.1 --directory docs/_build/html 8000

# Tools for releases, in an environment of their own.
$(TOOLS)/.ready: requirements/tools.txt
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/tools.txt
	@touch $(TOOLS)/.ready

lock: $(TOOLS)/.ready ## renew requirements/lock.txt: what pip installs with the package, with hashes, for every system
	$(TOOLS)/bin/uv pip compile pyproject.toml --constraint requirements/constraints.txt --generate-hashes --universal \
		--python-version 3.11.9 --no-annotate --no-header --quiet --output-file requirements/lock.txt

licenses: $(VENV)/.ready $(TOOLS)/.ready ## the licences of all that .venv holds, in build/licenses.md
	@mkdir -p build
	$(TOOLS)/bin/pip-licenses --python=$(PY) --from=mixed --format=markdown --with-urls --output-file=build/licenses.md

sbom: $(VENV)/.ready $(TOOLS)/.ready ## a bill of materials of .venv (CycloneDX), in build/sbom.json
	@mkdir -p build
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o build/sbom.json $(PY)

package: $(VENV)/.ready $(TOOLS)/.ready ## a wheel and a source archive in dist/, each installed and tried in an empty environment
	rm -rf build/lib dist
	$(TOOLS)/bin/python -m build --outdir dist .
	for archive in dist/*; do PYTHON=$(PYTHON) sh requirements/smoke.sh $(VENV) $$archive || exit 1; done

clean: ## remove what the other targets wrote, the environments excepted
	rm -rf build dist *.egg-info demo benchmark docs/_build docs/generated docs/auto_examples
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find skdim tests examples docs benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## remove the environments too
	rm -rf $(VENV) $(LOWEST) $(TOOLS)
