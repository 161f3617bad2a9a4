# SPDX-License-Identifier: GPL-2.0-only
# `make` lists the targets.
UB := .venv/bin/ub
PYTEST := .venv/bin/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint module bench prepare clean

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

lint: prepare ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy

module: prepare ## the kernel module, for the lab's kernel
	@$(UB) module build

bench: module ## all measurements
	@$(UB) bench prepare
	@$(UB) lab run --icount -- ub bench io --json build/bench-io.json

clean: ## remove what was built
	rm -rf build
	tools/compile.py --remove
