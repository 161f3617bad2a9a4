# SPDX-License-Identifier: GPL-2.0-only
# `make` lists the targets.
UB := .venv/bin/ub
PYTEST := .venv/bin/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-redis fuzz lint module bench prepare clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

prepare: ## packages, virtual environment
	@tools/prepare.sh

demo: module ## boost a file-read loop in the lab, show what it gains
	@$(UB) bench prepare
	@$(UB) lab run --icount -- ub bench io --json build/demo.json

test: module ## everything, the lab included
	@$(PYTEST) -q

test-fast: prepare ## only what needs no virtual machine
	@$(PYTEST) -q -m "not guest"

fuzz: prepare ## random code on this CPU, original against translation, until stopped
	@.venv/bin/python -m tests.fuzz $(ARGS)

lint: prepare ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy

module: prepare ## the kernel module, for the lab's kernel
	@$(UB) module build

# Each in a boot of its own, so that what fails costs itself only. A part of it:
# make bench REDIS="--size 64" NGINX="--size 4 --workers 1"
bench: module ## all measurements, into docs/results.md (an hour or two)
	@$(UB) bench prepare
	@$(UB) lab run --icount --timeout 1800 -- \
		ub bench io --json build/bench/io.json
	@$(UB) lab run --icount --timeout 1800 --disk 256M -- \
		ub bench io --disk --json build/bench/disk.json
	@$(UB) lab run --icount --timeout 1800 -- \
		ub bench server rawsocket --json build/bench/rawsocket.json
	@$(UB) lab run --icount --timeout 7200 -- \
		ub bench server redis $(REDIS) --json build/bench/redis.json
	@$(UB) lab run --icount --timeout 7200 -- \
		ub bench server nginx $(NGINX) --json build/bench/nginx.json
	@$(UB) bench gaps --json build/bench/gaps.json
	@$(UB) bench results docs/results.md build/bench/io.json \
		build/bench/disk.json build/bench/rawsocket.json \
		build/bench/redis.json build/bench/nginx.json build/bench/gaps.json

test-redis: module ## redis' own test suite in the lab, natively and boosted
	@tools/redis-source.sh
	@$(UB) lab run --cpus 1 --timeout 14400 -- sh -c '$(UB) module load && \
		.venv/bin/python -m tests.guest.redissuite build/redis-suite.json'

clean: ## remove what was built
	rm -rf build
	tools/compile.py --remove
