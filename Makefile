# The index of verbs. `make` alone lists them; every check has a twin that fixes.
# Verbs marked (cluster) use the cluster that KUBECONFIG names.

.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash
CARGO ?= cargo

.PHONY: help build test check fix bench fuzz demo image deploy undeploy load e2e loop hpa-conformance clean \
        check-fmt fix-fmt check-lint fix-lint check-deps check-docs check-manifests check-scripts check-flags fix-flags

help: ## list the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build podgauge and the demo shop (target/release)
	$(CARGO) build --release -p podgauge -p demo-shop

test: ## run every test that needs no cluster
	$(CARGO) test --workspace --locked

check: check-fmt check-lint check-deps check-docs check-flags check-manifests check-scripts ## run every check; each says how to fix what it finds

fix: fix-fmt fix-lint fix-flags ## fix what the checks can fix by themselves

bench: ## measure on this machine, beside the peers that it has, and write docs/benchmarks.md
	hack/bench

screenshots: ## take the shop's pictures in docs/screenshots anew (needs chromium; SHOP_URL=... of a shop that has been busy)
	UPDATE_SCREENSHOTS=1 $(CARGO) test -p demo-shop --test it -- pictures

fuzz: ## feed garbage to the parser for a minute (needs cargo-fuzz and a nightly toolchain)
	cd adapter/exposition && $(CARGO) +nightly fuzz run page -- -max_total_time=60

# Variables that are set become flags; `target/debug/sandbox demo --help` says what they mean.
demo_flags = $(if $(CLUSTER),--cluster=$(CLUSTER)) $(if $(ONCE),--once) $(if $(PACE),--pace=$(PACE)) $(if $(PORT),--port=$(PORT)) \
             $(if $(OUT),--out=$(OUT))

# Always built together: other sets have other features of the same dependencies, and each would be built anew.
PROGRAMS := -p sandbox -p podgauge -p demo-shop
BUILT := $${CARGO_TARGET_DIR:-target}/debug

demo: ## the whole loop on this machine; ONCE=1 ends with a verdict, PACE=1 real time, PORT=32001, OUT=folder, CLUSTER=current (cluster)
	$(CARGO) build --locked $(PROGRAMS)
	@$(BUILT)/sandbox demo $(demo_flags)

image: ## build the container images; LOAD=kind|minikube|testbed puts them where the cluster sees them
	hack/image

deploy: ## install podgauge on the cluster, with a certificate made for it (cluster)
	hack/deploy

undeploy: ## remove podgauge from the cluster, leaving nothing (cluster)
	hack/undeploy

load: ## put orders on the demo shop's queue (cluster)
	hack/load

e2e: ## install podgauge, test it while it is disturbed, remove it; FILTERS="scaling access" some, ARGS=--list (cluster)
	$(CARGO) run -q --locked -p podgauge-e2e -- $(FILTERS) $(ARGS)

loop: ## prove that the loop closes: deploy, order, scale up, scale down; every question and answer is shown (cluster)
	e2e/loop-closes

hpa-conformance: ## play the scenarios of sandbox/hpa to the cluster's own controller; LONG=1 all, ARGS= flags (cluster)
	$(CARGO) run -q -p hpa-conformance -- $(if $(LONG),--long) $(ARGS)

clean: ## remove what the build made
	$(CARGO) clean

# --- checks and their twins

check-fmt: ## formatting (fix: make fix-fmt)
	$(CARGO) fmt --all --check || { echo "fix with: make fix-fmt"; exit 1; }

fix-fmt:
	$(CARGO) fmt --all

check-lint: ## clippy and rustc, warnings are errors (fix: make fix-lint)
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings || { echo "fix what can be fixed with: make fix-lint"; exit 1; }

fix-lint:
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

check-deps: ## who may depend on whom, licences, sources (deny.toml; fix: change the manifest or the decision)
	@command -v cargo-deny >/dev/null || { echo "needs cargo-deny: cargo install cargo-deny --locked"; exit 1; }
	$(CARGO) deny check bans licenses sources

check-docs: ## rustdoc, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

COMMANDS := "check-config" "compare" "promql test"
FLAGS := for command in "" $(COMMANDS); do \
	  if [ -n "$$command" ]; then printf '\n\n\# podgauge %s\n\n' "$$command"; fi; \
	  $(BUILT)/podgauge $$command --help; done

check-flags: ## docs/flags.txt is what --help prints, of podgauge and of its commands (fix: make fix-flags)
	@$(CARGO) build -q --locked $(PROGRAMS)
	@$(FLAGS) | diff docs/flags.txt - || { echo "fix with: make fix-flags"; exit 1; }

fix-flags:
	$(CARGO) build -q $(PROGRAMS)
	@$(FLAGS) > docs/flags.txt

check-manifests: ## the manifests render, and the chart says the same (needs kubectl and Helm's engine; skipped with a word without)
	@minor=$$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1); \
	if [ "$${minor:-0}" -ge 22 ]; then \
	  for d in monitoring monitoring/overlays/* demo-shop/deploy demo-shop/activemq; do kubectl kustomize $$d >/dev/null || exit 1; done; echo "manifests render"; \
	else echo "kubectl 1.22 or later is not here: the manifests were not rendered"; fi
	@monitoring/check-chart

check-scripts: ## the scripts parse, and shellcheck finds nothing (where it is)
	@for f in .ci/run hack/* e2e/loop-closes demo-shop/activemq/config/stomp-probe; do bash -n $$f || exit 1; done; echo "scripts parse"
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run hack/* e2e/loop-closes demo-shop/activemq/config/stomp-probe; \
	else echo "shellcheck is not here: the scripts were not looked at closely"; fi
