// SPDX-License-Identifier: GPL-2.0-only
/*
 * tick: measures the time of one instruction by the machine's own clock.
 *
 * Runs a loop of known length and prints nanoseconds per instruction, once for
 * each of five runs.  In a virtual machine that counts instructions as time the
 * result is 1.000; on a processor it is a fraction that varies.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define LAPS 1000000u		/* two instructions each */
#define RUNS 5

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(void)
{
	for (int i = 0; i < RUNS; i++) {
		uint64_t laps = LAPS, begin = now_ns(), end;

		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(laps) : : "cc");
		end = now_ns();
		printf("%.6f\n", (double)(end - begin) / (2.0 * LAPS));
	}
	return 0;
}
