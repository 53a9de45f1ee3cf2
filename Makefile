# The index of verbs. `make` alone lists them; every check has a twin that fixes.
# Variables: CLUSTER commands use the cluster that KUBECONFIG names.

.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash
CARGO ?= cargo

.PHONY: help build test check fix bench fuzz demo image deploy undeploy load e2e clean \
        check-fmt fix-fmt check-lint fix-lint check-deps check-docs check-manifests check-scripts check-flags fix-flags

help: ## list the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build podgauge and the demo shop (target/release)
	$(CARGO) build --release -p podgauge -p demo-shop

test: ## run every test that needs no cluster
	$(CARGO) test --workspace --locked

check: check-fmt check-lint check-deps check-docs check-flags check-manifests check-scripts ## run every check; each says how to fix what it finds

fix: fix-fmt fix-lint fix-flags ## fix what the checks can fix by themselves

bench: ## measure: parsing pages, beside prometheus-parse
	$(CARGO) bench -p podgauge-exposition

fuzz: ## feed garbage to the parser for a minute (needs cargo-fuzz and a nightly toolchain)
	cd adapter/exposition && $(CARGO) +nightly fuzz run page -- -max_total_time=60

demo: ## deploy podgauge and the shop, buy 100 items, watch the worker scale (cluster)
	e2e/loop-closes

image: ## build the container images; LOAD=kind|minikube|testbed puts them where the cluster sees them
	hack/image

deploy: ## install podgauge on the cluster, with a certificate made for it (cluster)
	hack/deploy

undeploy: ## remove podgauge from the cluster, leaving nothing (cluster)
	hack/undeploy

load: ## put orders on the demo shop's queue (cluster)
	hack/load

e2e: ## prove on the cluster that the loop closes: deploy, order, scale up, scale down (cluster)
	e2e/loop-closes

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

check-flags: ## docs/flags.txt is what --help prints (fix: make fix-flags)
	@$(CARGO) run -q -p podgauge -- --help | diff docs/flags.txt - || { echo "fix with: make fix-flags"; exit 1; }

fix-flags:
	$(CARGO) run -q -p podgauge -- --help > docs/flags.txt

check-manifests: ## the manifests render (needs kubectl; skipped with a word without it)
	@if command -v kubectl >/dev/null; then \
	  for d in monitoring demo-shop/deploy; do kubectl kustomize $$d >/dev/null || exit 1; done; echo "manifests render"; \
	else echo "kubectl is not here: the manifests were not rendered"; fi

check-scripts: ## the scripts parse, and shellcheck finds nothing (where it is)
	@for f in .ci/run hack/* e2e/loop-closes; do bash -n $$f || exit 1; done; echo "scripts parse"
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run hack/* e2e/loop-closes; \
	else echo "shellcheck is not here: the scripts were not looked at closely"; fi
