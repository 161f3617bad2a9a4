#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In a booted machine: runs what the host sends, one script at a time. A script comes as
# a line of base64; the answer is a line "done STATUS OUTPUT", the output as base64. The
# output goes to a file, so that a script may leave programs behind.
#
# $1: the directory of the ports, $2: one for files.
while ! [ -e "$1/ub.in" ] || ! [ -e "$1/ub.ctl" ]; do
    sleep 0.2
done
exec 3< "$1/ub.in" 4> "$1/ub.ctl"
echo ready >&4
while read -r script <&3; do
    echo "$script" | base64 -d > "$2/agent.script"
    sh "$2/agent.script" < /dev/null > "$2/agent.output" 2>&1 3<&- 4>&-
    status=$?
    echo "done $status $(base64 -w 0 "$2/agent.output")" >&4
done
