#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# tools/packages.sh [--list|--missing] PURPOSE: have what a purpose needs installed.
#
#   run    building the module, the lab, the demo
#   bench  and the measured servers with their loads
#   test   and what the tests call, a browser for HTML pages among it
#
# Root gets them installed, others are told what to do (status 1). Servers are not
# started, now or at boot: their units are masked before they are installed. A server
# that is here already is left as its administrator wants it. --list only prints all
# packages for the purpose, --missing those that are not here.
set -eu

mode=""
case "${1:-}" in --list | --missing)
	mode="$1"
	shift
	;;
esac
purpose="${1:?which purpose: run, bench or test}"
PATH="$PATH:/usr/sbin:/sbin"
missing=""
servers=""

# Each looks for what is needed and not for the package: it may come from elsewhere.
want() { # package command...: one of which says, by its status, that it is there
	package="$1"
	shift
	if [ "$mode" = --list ]; then
		echo "$package"
	elif ! "$@" >/dev/null 2>&1; then
		missing="$missing $package"
		return 0
	fi
	return 1
}

program() { # package program
	want "$1" command -v "$2" || true
}

server() { # package program [units]: it starts these services, or one of its own name
	! want "$1" command -v "$2" || servers="$servers ${3:-$1}"
}

compiles() { # option...
	echo '#include <stdio.h>
	int main(void) { return 0; }' | gcc "$@" -x c - -o /dev/null
}

has_library() {
	ldconfig -p | grep -qF "$1"
}

has_header() {
	python3 -c 'import os, sysconfig
os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
}

has_browser() {
	command -v chromium-headless-shell || command -v chromium
}

case "$purpose" in run | bench | test) ;; *)
	echo "tools/packages.sh: no purpose '$purpose': run, bench or test" >&2
	exit 2
	;;
esac

program qemu-system-x86 qemu-system-x86_64
program busybox-static busybox
program kmod depmod
program gcc gcc
program make make
program binutils objcopy
program python3 python3
want libc6-dev compiles || true
# objtool of the kernel's build tools needs this library.
want libelf1 has_library libelf.so.1 || true
want python3-venv python3 -c 'import ensurepip' || true
# Python's headers, to compile the translator.
want python3-dev has_header || true

if [ "$purpose" != run ]; then
	server redis-server redis-server
	server nginx nginx
	server lighttpd lighttpd
	server memcached memcached
	program redis-tools redis-benchmark
	program wrk wrk
	# For the comparison with io_uring.
	want liburing-dev compiles -include liburing.h -luring || true
	program fio fio
	program iproute2 ip
fi
if [ "$purpose" = test ]; then
	program strace strace
	program gdb gdb
	program cpio cpio
	# 32-bit programs are refused; a test makes one.
	want gcc-multilib compiles -m32 || true
	# A quarter of a gigabyte when it is installed: containers with labels.
	server docker.io dockerd "docker containerd"
	# A hundred megabytes when it is installed: reads the alerts and the dashboard.
	server prometheus promtool
	# A quarter of a gigabyte when it is installed.
	want chromium-headless-shell has_browser || true
fi
[ "$mode" != --list ] || exit 0

update=""
[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit)" ] ||
	update=1
# The lab asks apt for kernel packages.
[ "$mode" != --missing ] || echo "${missing:-${update:+ none, but package lists}}"
[ -n "$missing$update" ] && [ -z "$mode" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "ubypass: Debian packages are missing; as root run" >&2
	[ -z "$servers" ] || echo "  systemctl mask$servers" >&2
	echo "  apt-get update${missing:+ && apt-get install -y --no-install-recommends$missing}" >&2
	exit 1
fi

policy=/usr/sbin/policy-rc.d
made_policy=""
cleanup() {
	[ -z "$made_policy" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

keep_stopped() { # unit...: neither now nor at boot
	for unit; do
		file="/etc/systemd/system/$unit.service"
		mkdir -p "${file%/*}"
		# What systemctl mask does; its owner may have put something else there.
		[ -e "$file" ] || [ -L "$file" ] || ln -s /dev/null "$file"
	done
	# Where something else than systemd starts services: not while we install them.
	[ ! -e "$policy" ] || return 0
	made_policy=1
	cat > "$policy" <<-END
		#!/bin/sh
		# Made by ubypass for the time of an installation.
		while [ "\${1#-}" != "\$1" ]; do shift; done
		case " $* " in *" \${1%.service} "*) exit 101 ;; esac
		exit 0
	END
	chmod 755 "$policy"
}

apt-get update -qq
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
[ -z "$servers" ] || keep_stopped $servers
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
# Other init systems start at boot what has links in their directories.
for unit in $servers; do
	[ ! -e "/etc/init.d/$unit" ] || update-rc.d "$unit" disable
done
