# One way to run each thing. `make` alone lists them; every target ends with exit code 0 or one plain reason.
PYTHON := .venv/bin/python
FRESH ?= 0
ARCHITECTURE ?= $(if $(filter aarch64,$(shell uname -m)),arm64,x86_64)
LAYER ?= .aws-sam/pdf-layer
PYTHON313 ?= $(shell sh local/setup/run.sh python)
IN_LAYER = $(MAKE) --no-print-directory -C layers/weasyprint/$(ARCHITECTURE) -f ../Makefile PYTHON="$(PYTHON313)"

.DEFAULT_GOAL := help
.PHONY: help demo test soak up down plan apply doctor check check-template bench deploy lock format layer layer-lock layer-reproducible layer-vendor clean-room

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: ## set everything up and run one invoice through its whole life; leaves the stack running
	@sh local/setup/run.sh stack
	@$(PYTHON) -m local.demo

test: ## all checks and tests, in their own directory
	@sh local/setup/run.sh tests
	@sh local/run_tests.sh

soak: ## the proofs at full size, on SQLite and PostgreSQL; takes hours
	@sh local/setup/run.sh tests
	@sh local/run_soak.sh

up: ## start the local stack in the background (FRESH=1: with empty data)
	@sh local/setup/run.sh stack
	@$(PYTHON) -m local up $(if $(filter 1,$(FRESH)),--fresh)

down: ## stop what `make up` started; the data stays
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local down; \
	elif ls .local/run/*.json >/dev/null 2>&1; then echo "$(PYTHON) is missing, so it is unknown whether the programs in .local/run still run; use make up, then make down." >&2; exit 1; \
	else echo "Nothing was running."; fi

plan: ## show what would change in the Directus at DIRECTUS_URL
	@sh local/setup/run.sh check
	@$(PYTHON) -m directus plan

apply: ## apply the model, roles, permissions and flows to the Directus at DIRECTUS_URL
	@sh local/setup/run.sh check
	@$(PYTHON) -m directus apply

doctor: ## report what is wrong with a deployment and how to fix it
	@sh local/setup/run.sh check
	@$(PYTHON) -m directus doctor

check: ## ruff, mypy, cfn-lint, sam validate --lint
	@sh local/setup/run.sh check
	@$(PYTHON) -m local.check

check-template: ## try a firm's own invoice template, FOLDER=..., before it is deployed
	@sh local/setup/run.sh stack
	@$(PYTHON) -m local.check_template "$(FOLDER)"

bench: ## the benchmarks, as a table
	@sh local/setup/run.sh bench
	@$(PYTHON) -m bench

deploy: ## sam build and sam deploy to AWS
	@sh local/setup/run.sh check
	@$(PYTHON) -m local.deploy_to_aws

lock: ## rewrite the lock files from their .in files
	@sh local/setup/run.sh lock

layer: ## build the PDF layer into LAYER (default .aws-sam/pdf-layer) for ARCHITECTURE (x86_64 or arm64), without SAM
	@mkdir -p "$(LAYER)"
	@$(IN_LAYER) build-WeasyPrintLayer ARTIFACTS_DIR="$(abspath $(LAYER))"

layer-lock: ## rewrite the PDF layer's locks of Debian packages, for both architectures
	@$(IN_LAYER) lock

layer-reproducible: ## build the PDF layer twice and compare every byte, mode and time
	@$(IN_LAYER) reproducible

layer-vendor: ## keep the PDF layer's packages and wheels beside its sources, so that building it needs no network
	@$(IN_LAYER) vendor

clean-room: ## render a document with the built PDF layer and only what Lambda provides
	@sh local/setup/run.sh tests
	@reason=$$($(PYTHON) -m tests.clean_room.available) || { echo "No clean room: $$reason." >&2; exit 1; }
	@$(PYTHON) -m pytest -q -s tests/clean_room

format: ## format the sources
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix
