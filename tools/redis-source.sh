#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Fetches Debian's source of the redis that is installed, for its test suite, into
# build/redis-source. Asks apt with a list of its own, for where the system's packages
# come from: the system's list is left alone.
set -eu
cd "$(dirname "$0")/.."
target=build/redis-source
version=$(dpkg-query -W -f '${source:Version}' redis-server)
stamp="$target/.version"
[ "$(cat "$stamp" 2>/dev/null)" = "$version" ] && exit 0

rm -rf "$target" && mkdir -p "$target/lists/partial" "$target/cache/archives/partial"
here="$PWD/$target"
# shellcheck disable=SC2016
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' \
	'Created-By: Packages' | sort -u > "$here/sources"
: > "$here/status"
options="-o Dir::Etc::SourceList=$here/sources -o Dir::Etc::SourceParts=/nonexistent
	-o Dir::State::Lists=$here/lists -o Dir::Cache=$here/cache
	-o APT::Get::Download-Only=true -o APT::Sandbox::User=root"
cd "$here"
# shellcheck disable=SC2086
apt-get $options update -qq
# shellcheck disable=SC2086
apt-get $options source -qq "redis=$version"
# Unpacked as it is, without Debian's patches to the tests' environment.
tar -xf redis_*.orig.tar.* --strip-components=1
rm -rf lists cache sources status
echo "$version" > .version
