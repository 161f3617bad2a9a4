/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs share that measure a loop in rounds: numbers of the command line, the
 * clock, and the median of the rounds.  PROGRAM, their name, is defined before.
 */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SIZE	(1UL << 20)	/* bytes of one call */
#define MAX_ROUNDS	1000UL

static void bad(const char *what, const char *why)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, why);
	exit(2);
}

static uint64_t now_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned long number(const char *option, const char *text, unsigned long low,
			    unsigned long high)
{
	char why[96];
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < low ||
	    value > high) {
		snprintf(why, sizeof(why), "want a number from %lu to %lu", low, high);
		bad(option, why);
	}
	return value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of up to MAX_ROUNDS values. */
static double median(const double *values, unsigned long count)
{
	static double sorted[MAX_ROUNDS];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* The end of a JSON object that begins with what else there is to say. */
static void print_rounds(const double *ns, unsigned long rounds)
{
	printf("\"median\": %.4f, \"rounds\": [", median(ns, rounds));
	for (unsigned long i = 0; i < rounds; i++)
		printf("%s%.4f", i ? ", " : "", ns[i]);
	puts("]}");
}

#endif
