# SPDX-License-Identifier: GPL-2.0-only
# Shells read their input byte by byte and write each line at once.
number=0
while read -r first rest; do
	number=$((number + 1))
	echo "$number ${#first} $rest"
	[ "$number" -ge 1200 ] && break
done
