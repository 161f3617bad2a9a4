# SPDX-License-Identifier: GPL-2.0-only
# `make` lists the targets.
UB := .venv/bin/ub
# A few virtual machines at a time (tests/conftest.py), each with two processors at most.
PYTEST := .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadscope \
	--no-loadscope-reorder

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help demo test test-fast test-fresh test-redis test-kernels fuzz lint module bench clean
.PHONY: prepare prepare-run prepare-bench deb test-selftests test-packages test-deploy
.PHONY: test-wheels test-ibt test-secureboot pictures
.PHONY: distclean debug-kernel soak
.PHONY: bench-ready bench-documents bench-chains bench-native bench-functions bench-io bench-disk bench-uring
.PHONY: bench-rawsocket bench-redis bench-nginx bench-packets bench-gaps

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# KERNEL=debug: what needs a virtual machine, on the kernel of make debug-kernel.
ifeq ($(KERNEL),debug)
export UBYPASS_KERNEL := $(CURDIR)/build/debug-kernel
CHOSEN := -m guest
CHECKED := debug-kernel
else ifneq ($(KERNEL),)
$(error KERNEL=$(KERNEL): there is KERNEL=debug only; UBYPASS_SUITE chooses others)
endif

prepare: ## packages, virtual environment, for everything
	@tools/prepare.sh test

# Each target asks for no more than it needs.
prepare-run prepare-bench: prepare-%:
	@tools/prepare.sh $*

demo: module ## boost a file-read loop in the lab, show what it gains
	@$(UB) bench prepare
	@$(UB) lab run --icount -- ub bench io
	@command -v ub >/dev/null || echo "To use ub in this shell: . .venv/bin/activate"

test: prepare module ## everything, the lab included
	@$(PYTEST) -q $(CHOSEN)

test-fast: prepare ## only what needs no virtual machine
	@$(PYTEST) -q -m "not guest"

fuzz: prepare ## random code on this CPU, original against translation, until stopped
	@.venv/bin/python -m tests.fuzz $(ARGS)

lint: prepare ## style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy

# In a root directory of its own; SCENARIOS="root user" does these only.
test-fresh: ## the two commands on a fresh Debian (root; an hour)
	@python3 -m tests.fresh $(SCENARIOS)

# TARGETS="trixie bookworm-rt" tries these only; tests/kernels/checks.py has all.
test-kernels: prepare ## the newest kernels of Debian, in the lab (an hour)
	@.venv/bin/python -m tests.kernels $(TARGETS)

test-ibt: prepare ## the module under indirect branch tracking, in Bochs (minutes)
	@.venv/bin/python -m tests.ibt

test-secureboot: prepare ## ub doctor under Secure Boot, and what it advises (minutes)
	@.venv/bin/python -m tests.secureboot

debug-kernel: prepare-run ## a kernel that checks itself, for make test KERNEL=debug (minutes)
	@.venv/bin/python -m tests.debugkernel

module: prepare-run $(CHECKED) ## the kernel module, for the lab's kernel
	@$(UB) module build --lab

# Each in a boot of its own; what fails costs itself only. make -j2 bench runs two of them
# at a time. A part of the servers, or all cases: make bench REDIS="--size 64" NGINX=
# Runs of redis differ by up to two percent, and the workers of nginx take turns, so that
# one may only become hot in a later run: it takes more of them.
REDIS := --runs 9 --size 1 --size 64 --size 1024 --size 16384 --beside fstack
NGINX := --runs 9 --size 4 --size 64 --workers 1
CHAINS := getppid loop rawsocket redis-get redis-set nginx nginx-log
CHAINS += lighttpd memcached dd
BENCH := build/bench
TIMED := chains native functions
COUNTED := io disk uring rawsocket packets redis nginx gaps
# The protocol of the paper on Userspace Bypass: hours more with PAPER="io nginx redis".
PAPER := io
MEASURE := $(UB) lab run --icount --timeout 7200

# Machines whose kernel does more at each system call; without fast strings, as usual.
MACHINES := pti skylake milan
ON-pti := --pti on
ON-skylake := --cpu Skylake-Server,-erms,-fsrm
ON-milan := --cpu EPYC-Milan,-erms,-fsrm
ELSEWHERE := $(foreach machine,$(MACHINES),io-$(machine) redis-$(machine) nginx-$(machine))
RECORDS := $(TIMED) $(COUNTED) $(ELSEWHERE) $(PAPER:%=paper-%) replay

# Times first and alone; then the counts, which other work does not change. Records of an
# earlier run are no part of this one.
bench: bench-ready ## all measurements, into docs/results.md and docs/report.html (hours)
	@rm -rf $(RECORDS:%=$(BENCH)/%.json) $(BENCH)/builds
	@begun=$$(date +%s); failed=; \
	for part in $(TIMED:%=bench-%); do $(MAKE) $$part || failed=1; done; \
	$(MAKE) -k $(COUNTED:%=bench-%) $(ELSEWHERE:%=bench-%) $(PAPER:%=bench-paper-%) || \
		failed=1; \
	$(MAKE) bench-documents || failed=1; \
	echo "ubypass: measured for $$(( ($$(date +%s) - begun) / 60 )) minutes:" \
		"docs/results.md, docs/report.html"; \
	[ -z "$$failed" ] || { echo "ubypass: some of it failed, see above" >&2; exit 1; }

bench-documents:
	@failed=; \
	$(UB) bench replay $(BENCH)/builds/*/*.builds --json $(BENCH)/replay.json || failed=1; \
	$(UB) bench results docs/results.md $(RECORDS:%=$(BENCH)/%.json) || failed=1; \
	$(UB) bench report $(BENCH) -o docs/report.html || failed=1; \
	[ -z "$$failed" ]

bench-ready: prepare-bench module
	@$(UB) bench prepare

# On this processor.
bench-chains: bench-ready
	@$(UB) bench chains $(CHAINS) --json $(BENCH)/chains.json

bench-native: bench-ready
	@$(UB) bench io --with uring --native --json $(BENCH)/native.json

bench-functions: bench-ready
	@$(UB) bench functions --json $(BENCH)/functions.json

bench-io: bench-ready
	@$(MEASURE) -- ub bench io --json $(BENCH)/io.json

bench-paper-io: bench-ready
	@$(MEASURE) -- ub bench io --as-paper --json $(BENCH)/paper-io.json

bench-paper-redis bench-paper-nginx: bench-paper-%: bench-ready
	@$(MEASURE) -- ub bench server $* --as-paper --json $(BENCH)/paper-$*.json

bench-disk: bench-ready
	@$(MEASURE) --disk 256M -- ub bench io --disk --json $(BENCH)/disk.json

bench-uring: bench-ready
	@$(MEASURE) --disk 256M -- ub bench io --with uring --with fio --disk \
		--json $(BENCH)/uring.json

bench-packets: bench-ready
	@$(MEASURE) -- ub bench packets --json $(BENCH)/packets.json

bench-rawsocket bench-redis bench-nginx: bench-%: bench-ready
	@$(MEASURE) -- ub bench server $* $(OPTIONS) \
		--builds $(BENCH)/builds/$* --json $(BENCH)/$*.json

bench-redis: OPTIONS := $(REDIS)
bench-nginx: OPTIONS := $(NGINX)

$(MACHINES:%=bench-io-%): bench-io-%: bench-ready
	@$(MEASURE) $(ON-$*) -- ub bench io --json $(BENCH)/io-$*.json

$(MACHINES:%=bench-redis-%): bench-redis-%: bench-ready
	@$(MEASURE) $(ON-$*) -- ub bench server redis --size 64 --pipeline 1 \
		--json $(BENCH)/redis-$*.json

$(MACHINES:%=bench-nginx-%): bench-nginx-%: bench-ready
	@$(MEASURE) $(ON-$*) -- ub bench server nginx --size 4 --workers 1 --log off \
		--json $(BENCH)/nginx-$*.json

bench-gaps: bench-ready
	@$(UB) bench gaps --json $(BENCH)/gaps.json

# MINUTES=120 SEED=word; KERNEL=debug and UBYPASS_SUITE choose the kernel.
soak: prepare $(CHECKED) ## mixed stress on boosted programs in the lab (30 minutes)
	@.venv/bin/python -m tests.soak $(MINUTES:%=--minutes %) $(SEED:%=--seed %) \
		$(PTI:%=--pti %) $(CPU:%=--cpu %)

test-redis: prepare module ## redis' own test suite in the lab, natively and boosted
	@tools/redis-source.sh
	@$(UB) lab run --cpus 1 --timeout 14400 -- sh -c '$(UB) module load && \
		.venv/bin/python -m tests.guest.redissuite build/redis-suite.json'

# UBYPASS_SUITE=trixie takes that suite's kernel; SELFTESTS="x86 rseq" these only.
SELFTESTS := x86 seccomp rseq ptrace membarrier futex timers mm
test-selftests: prepare module ## the kernel's own tests in the lab, natively and boosted (hours)
	@.venv/bin/python -m tests.selftests $(SELFTESTS) --json build/selftests.json

# With the tools of Debian 12: the packages are for that and all that came later.
deb: prepare-run ## the Debian packages, into build/deb, and what lintian says
	@.venv/bin/python packaging/deb.py

# In root directories of their own, and on machines of their own that boot;
# SUITES="trixie" does that one only.
test-packages: prepare-run ## install, upgrade, use, purge them on fresh Debians (root; long)
	@.venv/bin/python -m tests.fresh.packages $(SUITES)
	@.venv/bin/python -m tests.fresh.live $(SUITES)

# SUITES="trixie" tries the role on that one only.
test-deploy: prepare ## deploy/: linters and schemas; the role on fresh Debians (root; long)
	@.venv/bin/python -m tests.deploy $(SUITES)

# PYTHONS="python3.12 python3.13" tries these.
test-wheels: prepare-run ## compiled wheels, built, installed and used (minutes)
	@.venv/bin/python -m tests.wheels $(PYTHONS)

# On a machine that does other work: LAB="--boot-timeout 900 --append nosoftlockup
# --append tsc_early_khz=KHZ" (src/ubypass/lab/README.md).
MINUTES := 12
pictures: prepare module ## docs/: ub top and the dashboard, of a service in the lab (long)
	@$(UB) lab run --cpus 1 --timeout 6000 $(LAB) -- sh -c 'ub module load && \
		python -m tests.pictures.session build/pictures --minutes $(MINUTES)'
	@.venv/bin/python -m tests.pictures.dashboard build/pictures/metrics.om \
		docs/dashboard.png
	@cp build/pictures/top.svg docs/top.svg

# Hours of measuring, which no build brings back.
MEASUREMENTS := bench redis-suite.json selftests selftests.json

clean: ## remove what was built, but no measurements
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 \
		$(MEASUREMENTS:%=! -name %) -exec rm -rf {} +
	@for kept in $(wildcard $(MEASUREMENTS:%=build/%)); do \
		echo "ubypass: $$kept stays; make distclean removes it, too"; done

distclean: clean ## remove all that was made, measurements and .venv as well
	@rm -rf build .venv
