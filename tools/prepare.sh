#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# tools/prepare.sh PURPOSE: make a Debian machine ready, quickly if it is already.
# Packages (root only), virtual environment, ubypass, compiled translator. The purposes
# are those of tools/packages.sh. What the tools say goes into a log, which is shown
# if one of them fails.
set -eu
cd "$(dirname "$0")/.."
purpose="${1:?which purpose: run, bench or test}"
log=build/prepare.log

# One at a time; a lock on the directory needs no file in it.
exec 9< .
flock 9

step() { # what it is called, what to do if it fails, command...
	title="$1" hint="$2"
	shift 2
	echo "ubypass: $title" | fold -s -w 79
	if ! { mkdir -p build && : > "$log" && [ -w . ]; } 2>/dev/null; then
		owner=$(stat -c %U build 2>/dev/null || stat -c %U .)
		echo "ubypass: cannot write here: $PWD or its build belongs to $owner" >&2
		echo "    run this as $owner, or in a clone of your own" >&2
		exit 1
	fi
	"$@" >> "$log" 2>&1 || {
		status=$?
		tail -n 15 "$log" | sed 's/^/  /' >&2
		echo "ubypass: this failed: $title" >&2
		echo "    $hint; all that was said is in $log" >&2
		exit "$status"
	}
}

environment() { # extra; set -e does not hold in what step calls
	{ is_here || python3 -m venv --clear .venv; } &&
		.venv/bin/pip install --disable-pip-version-check -e ".[$1]" &&
		touch ".venv/.ready-$1"
}

missing=$(tools/packages.sh --missing "$purpose")
if [ -n "$missing" ]; then
	[ "$(id -u)" = 0 ] || exec tools/packages.sh "$purpose"
	step "installing Debian packages:$missing" "apt-get must be able to install these" \
		tools/packages.sh "$purpose"
fi

is_here() { # programs in an environment name their interpreter by its whole path
	grep -qsF "$(pwd -P)/.venv/bin/" .venv/bin/pip
}

ready() { # extra: whether it was installed since it last changed or was moved
	[ -e ".venv/.ready-$1" ] && [ ! pyproject.toml -nt ".venv/.ready-$1" ] && is_here
}

case "$purpose" in
bench) extra=bench ;;
test) extra=test ;;
*) extra=compile ;;
esac
ready test || ready "$extra" ||
	step "preparing the virtual environment .venv" "pip must be able to install these" \
		environment "$extra"

# Compiling the translator makes it three times faster; without, all works as well.
[ -n "${UBYPASS_PURE:-}" ] || .venv/bin/python tools/compile.py --check ||
	step "compiling the translator (once, about a minute)" \
		"UBYPASS_PURE=1 goes without it, slower" .venv/bin/python tools/compile.py
