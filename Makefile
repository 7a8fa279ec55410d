# make help lists the targets. Each makes the environment that it needs, once: a stamp file in $(VENV)
# is written after an install has succeeded, so a failed one, or one whose lock has changed, is redone.

PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= quickstart_out
# What make notebooks writes: executed copies, pictures and workdirs.
NOTEBOOK_OUT ?= notebook_out
# What is given to pytest, the quickstart or a benchmark: make test ARGS="-k packing"
ARGS ?=
# Not in parity.lock, because builds for different machines (CPU, CUDA) share one version number.
TORCH ?= torch==2.13.0
# make lock LOCK_FLAGS=--upgrade moves every pin; without it only what setup.py asks for moves.
LOCK_FLAGS ?=
UV_VERSION := 0.13.9
# The benchmark that make bench runs.
BENCH ?=

RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip -qq --disable-pip-version-check --no-input
# Wheels only, so that what is installed does not depend on what happens to be able to build here.
# These are published as sources alone; --use-pep517 builds them in an environment of their own, where
# pip would otherwise build them in ours as soon as it holds the package wheel, without their needs.
SDISTS := promise,seqeval,docopt
LOCKED := --use-pep517 --only-binary :all: --no-binary $(SDISTS)
# Programs that the tests have compiled, kept over runs: a cache's keys hold versions and flags.
JAX_CACHE ?= $(abspath $(VENV))/jax_cache
# Workers take files in the order of tests/conftest.py, the longest first, and keep each whole.
TESTS = -m pytest -n auto --dist loadfile --no-loadscope-reorder
test test-torch test-slow test-aot test-newest: export JAX_COMPILATION_CACHE_DIR = $(JAX_CACHE)
BASE := $(VENV)/.installed-base
TEST := $(VENV)/.installed-test
PARITY := $(VENV)/.installed-parity
TPU := $(VENV)/.installed-tpu
NOTEBOOKS := $(VENV)/.installed-notebooks
PACKAGE := $(VENV)/.installed-package

.DEFAULT_GOAL := help
# All installs share one environment, so make -j must not run two of them at once.
.NOTPARALLEL:
.PHONY: help install quickstart test test-torch test-slow test-aot test-newest notebooks lint format bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
	    awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

install: $(BASE) $(PACKAGE) ## make .venv with the package and what it needs to run

quickstart: $(BASE) $(PACKAGE) ## the whole job on a small embedded corpus, a few minutes on two cores
	@$(RUN) -m biobert_jax.quickstart --output $(OUTPUT) $(ARGS)

test: $(TEST) $(PACKAGE) ## the tests, without those marked torch, slow or tpu_aot
	@$(RUN) $(TESTS) $(ARGS)

test-torch: $(PARITY) $(PACKAGE) ## parity with the PyTorch models; installs torch
	@HF_HUB_OFFLINE=1 $(RUN) $(TESTS) --hypothesis-profile=thorough -m torch $(ARGS)

test-slow: $(TEST) $(PACKAGE) ## the tests that take minutes, and properties with all their examples
	@$(RUN) $(TESTS) --hypothesis-profile=thorough \
	    -m "(slow or property) and not torch and not tpu_aot" $(ARGS)

test-aot: $(TEST) $(TPU) $(PACKAGE) ## the training step compiled for TPUs; installs libtpu, needs no TPU
	@JAX_PLATFORMS=cpu $(RUN) $(TESTS) --dist load -m tpu_aot $(ARGS)

# Not locked, in an environment of its own: what a plain pip install brings on the day.
test-newest: ## the tests with the newest versions that setup.py allows: PYTHON=python3.13, in $(VENV)-newest
	@$(MAKE) --no-print-directory VENV=$(VENV)-newest $(VENV)-newest/.created
	@$(VENV)-newest/bin/python -m pip -qq --disable-pip-version-check --no-input install --upgrade \
	    --upgrade-strategy eager --use-pep517 --only-binary :all: --no-binary $(SDISTS) --no-binary biobert-jax \
	    -e '.[tf,plots,test]'
	@$(VENV)-newest/bin/python -m pip list | grep -iE '^(jax|jaxlib|flax|optax|orbax-checkpoint|numpy|tensorflow-cpu) '
	@$(VENV)-newest/bin/python $(TESTS) $(ARGS)

notebooks: $(NOTEBOOKS) $(PACKAGE) ## run experiments/notebooks from clean kernels, minutes; copies with their pictures in $(NOTEBOOK_OUT)
	@BIOBERT_VENV=$(abspath $(VENV)) NOTEBOOK_OUT=$(abspath $(NOTEBOOK_OUT)) \
	    $(RUN) experiments/notebooks/run.py $(ARGS)

lint: $(TEST) ## ruff: rules and format; shellcheck
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(VENV)/bin/shellcheck tpu_scripts/pod/*.sh tpu_scripts/recipes/*.s* .ci/run

format: $(TEST) ## let ruff mend what it can
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

bench: $(PARITY) $(PACKAGE) ## list the benchmarks, or run one: BENCH=benchmarks/NAME.py ARGS="..."
	@if test -n "$(BENCH)"; then $(RUN) $(BENCH) $(ARGS); else \
	    for script in benchmarks/[a-z]*.py; do \
	        echo "$$script: $$(sed -n '1s/"""//p' $$script)"; done; \
	    echo 'one of them: make bench BENCH=benchmarks/NAME.py ARGS="--help"'; fi

# One resolution of everything comes first, Beam included, and each lock is cut from it: so that no
# two locks differ in a pin, and an extra installed later fits what is there. "fewest" gives every
# Python the same versions.
COMPILE = $(VENV)/bin/uv pip compile setup.py --quiet --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" --extra tf --extra plots
EVERYTHING := $(VENV)/everything.lock

lock: $(VENV)/.installed-uv ## resolve setup.py anew into requirements/*.lock
	@if test -f requirements/parity.lock; then cp requirements/parity.lock $(EVERYTHING); fi
	@echo torch | $(COMPILE) --extra test --extra torch --extra tpu --extra beam \
	    --extra dedup --extra search --extra splitters --extra gcs --extra notebooks --excludes /dev/stdin $(LOCK_FLAGS) --output-file $(EVERYTHING) >/dev/null
	@for name in base test parity tpu notebooks; do cp $(EVERYTHING) requirements/$$name.lock; done
	@$(COMPILE) --output-file requirements/base.lock >/dev/null
	@$(COMPILE) --extra test --output-file requirements/test.lock >/dev/null
	@$(COMPILE) --extra tpu --extra gcs --output-file requirements/tpu.lock >/dev/null
	@$(COMPILE) --extra notebooks --output-file requirements/notebooks.lock >/dev/null
	@echo torch | $(COMPILE) --extra test --extra torch --excludes /dev/stdin \
	    --output-file requirements/parity.lock >/dev/null
	@grep -c '==.*\\$$' requirements/*.lock | \
	    sed 's/:/: /; s/$$/ packages/'

clean: ## remove the environments and everything that was generated
	@rm -rf $(VENV) $(VENV)-newest .ci/venv .ci/venv313 .ci/jax_cache .ci/out .ci/notebooks $(OUTPUT) $(NOTEBOOK_OUT) build dist *.egg-info
	@rm -rf .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "make: $(PYTHON) is missing or older than Python 3.11; name another: make PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# test.lock holds all of base.lock, and parity.lock all of test.lock, with the same pins.
$(BASE): requirements/base.lock $(VENV)/.created
	@echo "installing $< into $(VENV) (a few minutes the first time)"
	@$(PIP) install $(LOCKED) --require-hashes -r $<
	@touch $@

$(TEST): requirements/test.lock $(VENV)/.created
	@echo "installing $< into $(VENV) (a few minutes the first time)"
	@$(PIP) install $(LOCKED) --require-hashes -r $<
	@touch $@ $(BASE)

# --no-deps because pip's hash mode would want torch, which others need, in the lock too.
$(PARITY): requirements/parity.lock $(VENV)/.created
	@echo "installing $< and $(TORCH) into $(VENV) (a few minutes the first time)"
	@$(PIP) install $(LOCKED) --require-hashes --no-deps -r $<
	@$(PIP) install "$(TORCH)"
	@touch $@ $(BASE) $(TEST)

$(TPU): requirements/tpu.lock $(VENV)/.created
	@echo "installing $< into $(VENV) (a few minutes the first time)"
	@$(PIP) install $(LOCKED) --require-hashes -r $<
	@touch $@ $(BASE)

# Without build isolation, the package is built with the setuptools of the lock.
$(PACKAGE): setup.py pyproject.toml | $(BASE)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(NOTEBOOKS): requirements/notebooks.lock $(VENV)/.created
	@echo "installing $< into $(VENV) (a few minutes the first time)"
	@$(PIP) install $(LOCKED) --require-hashes -r $<
	@touch $@ $(BASE)

$(VENV)/.installed-uv: Makefile $(VENV)/.created
	@$(PIP) install uv==$(UV_VERSION)
	@touch $@
