// SPDX-License-Identifier: GPL-2.0-only
/*
 * A watchpoint in user mode that begins while the loop that it watches is boosted.
 *
 *   watch own	the loop itself switches it on and off, by ioctl
 *   watch trap	the same, and each store raises a signal
 *   watch other	another thread does, while the loop goes round
 *
 * Every store behind the moment at which it is known to be on must be counted.  In
 * stage 0 the loop only warms up.
 */
#include "common.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef TRAP_PERF
#define TRAP_PERF 6	/* si_code; glibc 2.36 has none */
#endif

#define TURNS	400

static volatile unsigned int *control;
static volatile uint64_t watched;
static volatile pid_t worker;
static volatile bool on;		/* it is, for sure */
static volatile uint64_t expected;	/* stores since then */

static volatile uint64_t traps, wrong_traps;

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	traps++;
	wrong_traps += info->si_code != TRAP_PERF || info->si_addr != &watched;
}

/* .trap: each store that it sees raises SIGTRAP. */
static int open_watchpoint(pid_t tid, bool trap)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched,
		.bp_len = HW_BREAKPOINT_LEN_8,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.disabled = 1,
		.sigtrap = trap,
		.remove_on_exec = trap,
	};
	int fd;

	if (trap)
		attr.sample_period = 1;
	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, 0);

	if (fd < 0)
		die("perf_event_open");
	return fd;
}

static uint64_t hits(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		die("read");
	return count;
}

static int own(bool trap)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	int fd = open_watchpoint(0, trap);
	uint64_t stores = 0, seen = 0;

	if (sigaction(SIGTRAP, &action, NULL))
		die("sigaction");
	while (control[0] != STAGE_END) {
		unsigned int turns = control[0] == STAGE_WARM ? 0 : TURNS;

		/* The same loop all the time: only what the ioctl says differs. */
		for (unsigned int i = 0; i < TURNS; i++) {
			ioctl(fd, turns ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
			watched++;
			watched++;
			ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		}
		control[2] = AT_WARM;
		if (turns) {
			stores += 2 * TURNS;
			control[1] = 1;
		}
	}
	seen = trap ? traps : hits(fd);
	printf("%s, missed %lld\n", stores ? "stored" : "idle",
	       (long long)(stores - seen));
	if (trap)
		printf("wrong signals %llu\n", (unsigned long long)wrong_traps);
	return 0;
}

static void *loop(void *unused)
{
	(void)unused;
	worker = gettid();
	while (control[0] != STAGE_END) {
		bool counts = on;

		watched++;
		if (counts)
			expected++;
		getppid();
	}
	return NULL;
}

static int other(void)
{
	pthread_t id;
	uint64_t before = 0, missed = 0;
	int fd;

	if (pthread_create(&id, NULL, loop, NULL))
		die("pthread_create");
	while (!worker)
		usleep(1000);
	control[2] = AT_WARM;
	fd = open_watchpoint(worker, false);
	while (control[0] != STAGE_END) {
		uint64_t stores, seen;

		usleep(20000);
		if (control[0] != STAGE_ACT)
			continue;
		expected = 0;
		ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
		/* The segment that runs at this moment goes on to its end. */
		usleep(1000);
		on = true;
		usleep(20000);
		on = false;
		usleep(5000);
		stores = expected;
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		seen = hits(fd) - before;
		before += seen;
		if (stores > seen)
			missed += stores - seen;
		if (stores > 10)
			control[1]++;
	}
	pthread_join(id, NULL);
	printf("missed %llu\n", (unsigned long long)missed);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	control = control_page();
	if (!strcmp(argv[1], "other"))
		return other();
	return own(!strcmp(argv[1], "trap"));
}
