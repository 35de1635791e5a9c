# Every target sets itself up: the first call creates .venv with pinned dependencies, later ones reuse it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
E2E := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stormc/e2e

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

render: $(VENV)/.runtime ## compile specs/ to rendered/
	@$(BIN)/stormc render

demo: render ## run an example on this machine and complete a prompt: real launcher and proxy, stand-in for vLLM
	@$(BIN)/stormc run-local rendered/a3/my-test --ask "Hello"

check: $(VENV)/.runtime ## validate specs/ and their form, and fail if rendered/ is stale
	@$(BIN)/stormc validate
	@$(BIN)/stormc fmt --check
	@$(BIN)/stormc render --check

cluster: $(VENV)/.cluster ## add what deploy, status and delete need to .venv; the checkout stays the one that runs
	@echo "ready: $(BIN)/stormc status --all"

test: $(VENV)/.development ## run all tests
	@$(BIN)/pytest -n 2 --dist worksteal --ignore tests/e2e/live

quick: $(VENV)/.development ## run the tests of the compiler's core: load, model, passes, rules
	@$(BIN)/pytest -q -n 2 tests/load tests/model tests/passes tests/rules

PROXY_TESTS ?= tests/proxy
test-proxy: ## run the proxy's tests alone, under any Python from 3.10 on: PYTHON=python3.10
	@$(PYTHON) -m venv .venv-proxy
	@.venv-proxy/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements-proxy.txt
	@PYTHONPATH=proxy .venv-proxy/bin/python -m pytest -q -p no:cacheprovider $(PROXY_TESTS)

test-clients: $(VENV)/.clients ## test the proxy with clients as people install them (100 MB more)
	@$(BIN)/pytest -q tests/clients

e2e: $(VENV)/.development ## test against real API server, AIBrix and others; PAIRS=n changes of specs per AIBrix release
	@export PATH="$$KUBEBUILDER_ASSETS:$(E2E):$$PATH"; command -v etcd >/dev/null && command -v kube-apiserver >/dev/null || \
	  { echo "no etcd or kube-apiserver; run: make e2e-tools, or set KUBEBUILDER_ASSETS"; exit 1; }
	@export PATH="$$KUBEBUILDER_ASSETS:$(E2E):$$PATH"; own=$$(tests/e2e/own_network.sh printenv STORMC_E2E_NETWORK); \
	  $(BIN)/pytest -o faulthandler_timeout=1800 --dist loadscope \
	    --tx "$${own:+2*}popen//python=tests/e2e/own_network.sh $(abspath $(BIN))/python" tests/e2e

e2e-tools: ## build what `make e2e` starts into a cache directory (needs Go; half an hour, once) and install the rest
	@for program in etcd:etcd-server redis-server:redis-server chromium:chromium git:git; do \
	  command -v $${program%:*} >/dev/null || apt-get install -y --no-install-recommends $${program#*:} || exit 1; done
	@$(MAKE) --no-print-directory -C tests/e2e/tools

lint: $(VENV)/.development ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.10 proxy/stormc_proxy compiler/stormc/payload/launch.py

scan: $(VENV)/.development ## hold the pods of the examples against kube-score (needs Go) and checkov; docs/security.md answers what they say
	@command -v kube-score >/dev/null || go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0
	@command -v checkov >/dev/null || test -x $(VENV)/checkov/bin/checkov || { \
	  $(BIN)/python -m venv $(VENV)/checkov && $(VENV)/checkov/bin/pip install -q checkov==3.3.30; }
	@$(BIN)/python -m tests.scan "$$(command -v kube-score || echo "$$(go env GOPATH)/bin/kube-score")" \
	  "$$(command -v checkov || echo $(VENV)/checkov/bin/checkov)"

SEED ?= 1
fuzz: $(VENV)/.development ## mutated inputs through every verb for a minute; SEED=n for others
	@$(BIN)/python -m tests.hostile.fuzz --seed $(SEED)

bench: $(VENV)/.development ## measure speed as ratios in one run
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench_start

RIVALS := .venv-rivals
bench-proxy: $(RIVALS)/.ready ## measure the proxy beside nginx, a plain relay and vllm-router, in one run; BRIEF=1: the table alone
	@PYTHONPATH=proxy $(RIVALS)/bin/python -m tests.proxy.speed $(if $(BRIEF),--brief)

$(RIVALS)/.ready: .ci/requirements-rivals.txt
	@echo "setting up $(RIVALS)" >&2
	@$(PYTHON) -m venv $(RIVALS)
	@$(RIVALS)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements-rivals.txt
	@touch $@

bench-routing: $(VENV)/.development ## compare choices of prefill with an oracle, in virtual time; TRACES="a.jsonl" adds files
	@$(BIN)/python -m tests.proxy.bench_routing $(TRACES)

golden: $(VENV)/.development ## refresh everything that is generated and committed
	@$(BIN)/python -m tools.payload
	@$(BIN)/python -m tools.schemas
	@$(BIN)/python -m tools.editor_schema
	@$(BIN)/python -m tests.golden.refresh
	@$(BIN)/python -m tools.rule_reference
	@$(BIN)/python -m tests.proxy.faults_table
	@$(BIN)/stormc render

docs: $(VENV)/.development ## build the documentation as a site in site/; a broken link fails
	@$(BIN)/mkdocs build --quiet

lock: $(VENV)/.development ## pin dependencies anew, without index addresses
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-options --no-header --no-annotate -o .ci/requirements.txt pyproject.toml
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-options --no-header --no-annotate --extra dev -c .ci/requirements.txt \
	  -o .ci/requirements-dev.txt pyproject.toml
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-options --no-header --no-annotate --extra cluster -c .ci/requirements-dev.txt \
	  -o .ci/requirements-cluster.txt pyproject.toml
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-options --no-header --no-annotate --extra clients -c .ci/requirements-dev.txt \
	  -o .ci/requirements-clients.txt pyproject.toml
	@$(BIN)/python -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-options --no-header --no-annotate -c .ci/requirements-dev.txt \
	  -o .ci/requirements-rivals.txt .ci/requirements-rivals.in

clean: ## remove what make made: .venv, caches
	@rm -rf $(VENV) .venv-proxy $(RIVALS) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build site

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "stormc needs Python 3.11 or newer; set PYTHON="; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# stormc itself is installed in place: a path file beside the pinned packages, and its command.
$(VENV)/.runtime: .ci/requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "setting up $(VENV)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements.txt
	@$(BIN)/python tools/in_place.py
	@touch $@

$(VENV)/.cluster: .ci/requirements-cluster.txt $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements-cluster.txt
	@touch $@

$(VENV)/.development: .ci/requirements-dev.txt $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements-dev.txt
	@touch $@

$(VENV)/.clients: .ci/requirements-clients.txt $(VENV)/.development
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .ci/requirements-clients.txt
	@touch $@

.PHONY: help docs fuzz render demo check test test-proxy quick e2e e2e-tools lint bench bench-proxy bench-routing golden lock clean
