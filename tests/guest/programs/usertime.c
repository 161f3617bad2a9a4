// SPDX-License-Identifier: GPL-2.0-only
/*
 * A timer on user time (ITIMER_VIRTUAL) that begins in a boosted loop: it must expire
 * about as often as the loop's user time says.
 *
 *   usertime
 */
#include "common.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define PERIOD_US	10000
#define ENOUGH		20

static volatile sig_atomic_t ticks;

static void tick(int number)
{
	(void)number;
	ticks++;
}

/* Seconds of this process, user and system. */
static double used(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct itimerval period = {
		{ 0, PERIOD_US }, { 0, PERIOD_US },
	};
	volatile uint64_t sum = 0;
	bool set = false;
	double began = 0;

	signal(SIGVTALRM, tick);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		if (control[0] == STAGE_ACT && !set) {
			set = true;
			began = used();
			if (setitimer(ITIMER_VIRTUAL, &period, NULL) < 0)
				die("setitimer");
		}
		for (int i = 0; i < 400; i++)
			sum = sum * 31 + (uint64_t)i;
		getppid();
		if (ticks >= ENOUGH)
			control[1] = 1;
		/* A timer that stands still must not keep the test waiting for ever. */
		if (set && used() - began > 8)
			break;
	}
	printf("%s\n", ticks >= ENOUGH ? "expired" : "stood still");
	return 0;
}
