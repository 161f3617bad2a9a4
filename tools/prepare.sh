#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Makes a Debian machine ready: packages (root only), virtual environment, ubypass.
# Quick when everything is there already.
set -eu
cd "$(dirname "$0")/.."

# command:package, for each program that building, the lab and the tests call
wanted="qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio
kmod:kmod gcc:gcc make:make bc:bc xz:xz-utils objcopy:binutils
redis-server:redis-server redis-benchmark:redis-tools nginx:nginx wrk:wrk
strace:strace ip:iproute2 gdb:gdb"

missing=""
for pair in $wanted; do
	PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null ||
		missing="$missing ${pair##*:}"
done
# objtool of the kernel's build tools needs this library.
ldconfig -p 2>/dev/null | grep -q libelf.so.1 ||
	PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep -q libelf.so.1 ||
	missing="$missing libelf1"
# 32-bit programs are refused; a test makes one.
echo 'int main(void){return 0;}' | gcc -m32 -x c - -o /dev/null 2>/dev/null ||
	missing="$missing gcc-multilib"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
# Python's headers, to compile the translator.
[ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
	missing="$missing python3-dev"

if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "ubypass: Debian packages are missing; as root run" >&2
		echo "  apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
	echo "ubypass: installing$missing"
	# RUNLEVEL: the servers are for the lab and must not start here.
	apt-get update -qq
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit)" ]; then
	# The lab asks apt for kernel packages.
	if [ "$(id -u)" = 0 ]; then
		apt-get update -qq
	else
		echo "ubypass: apt has no package lists; as root run: apt-get update" >&2
		exit 1
	fi
fi

stamp=.venv/.ready
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
	echo "ubypass: preparing the virtual environment"
	[ -x .venv/bin/python ] || python3 -m venv .venv
	.venv/bin/pip install -q --disable-pip-version-check -e '.[test]'
	touch "$stamp"
fi

# Compiling the translator makes it three times faster; without, all works as well.
[ -n "${UBYPASS_PURE:-}" ] || .venv/bin/python tools/compile.py
