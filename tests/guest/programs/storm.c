// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm of signals, one each millisecond, into a hot loop: nothing is lost,
 * nothing changes.
 *
 * The loop reads a pipe that it fills itself, keeps a running hash of what came
 * and checks it against one computed without system calls.  The handler runs on
 * top of all that and spoils as many registers as it can.
 */
#include "common.h"

#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

/* Three seconds of them at least. */
#define STORM	3000

static volatile sig_atomic_t signals;
static volatile double spoiled = 1.5;

static void handler(int signal)
{
	char text[64];

	(void)signal;
	signals++;
	spoiled = spoiled * 1.25 + 0.5;
	if (spoiled > 1e6)
		spoiled = 1.5;
	snprintf(text, sizeof(text), "%d %f", (int)signals, spoiled);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3u;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct timespec nap = { 0, 3000000 };
	uint64_t seen = 1, expected = 1, lap = 0, wrong = 0, torn = 0;
	int fds[2], interrupted = 0, raging = 0;

	if (pipe(fds) < 0 || sigaction(SIGALRM, &action, NULL) < 0)
		die("setup");
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		uint64_t out = lap * 0x9e3779b97f4a7c15u, in = 0;

		if (control[0] == STAGE_ACT && !raging) {
			if (setitimer(ITIMER_REAL, &every, NULL) < 0)
				die("setitimer");
			raging = 1;
		}
		if (signals >= STORM)
			control[1] = 1;
		/* SA_RESTART and 8 bytes: neither may ever be short or fail. */
		if (write(fds[1], &out, sizeof(out)) != sizeof(out) ||
		    read(fds[0], &in, sizeof(in)) != sizeof(in))
			torn++;
		seen = mix(seen, in);
		expected = mix(expected, out);
		if (seen != expected)
			wrong++;
		lap++;
	}
	/* A sleep is not restarted: it must say so. */
	for (int i = 0; i < 10; i++)
		if (nanosleep(&nap, NULL) < 0 && errno == EINTR)
			interrupted++;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("torn %llu wrong %llu\n", (unsigned long long)torn,
	       (unsigned long long)wrong);
	printf("sleeps interrupted %d\n", interrupted > 0);
	printf("signals came %d\n", signals >= STORM);
	fprintf(stderr, "signals %d laps %llu\n", (int)signals,
		(unsigned long long)lap);
	return 0;
}
