# SPDX-License-Identifier: GPL-2.0-only
# Shells read their input byte by byte and write each line at once. Several times, so that
# there is time for an engine to boost them, whatever the scheduler lets it have.
number=0
for turn in 1 2 3; do
	while read -r first rest; do
		number=$((number + 1))
		echo "$turn $number ${#first} $rest"
	done < "$1"
done
