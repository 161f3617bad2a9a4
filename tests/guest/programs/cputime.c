// SPDX-License-Identifier: GPL-2.0-only
/*
 * What measures user and system time together, from within a loop: timers on it, the limit
 * on it, and what the kernel says of it.
 *
 *   cputime
 *
 * In stage 1, for each timer: the CPU time in ns that PERIODS of it took.  For the limit:
 * how much later than at the limit its signal came, by the clock of ITIMER_PROF, which the
 * limit is on; this clock counts ticks.  How far it is from CLOCK_PROCESS_CPUTIME_ID then,
 * in millionths.  For getrusage: by how much the sum lies
 * outside of what CLOCK_PROCESS_CPUTIME_ID said before and after, at most.  For perf's
 * task-clock: how far it is from that clock, over COUNTED turns.
 */
#include "common.h"

#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define PERIOD	10000000L	/* ns */
#define PERIODS	30
#define LOOKS	300
#define COUNTED	3000		/* turns */
#define FAR	1000000		/* seconds */

enum { LIMIT, PROF, PROCESS, THREAD, USAGE, COUNTER, END };

static volatile sig_atomic_t ticks;
static uint64_t before, began, worst;
static unsigned int looks;
static timer_t timer;
static int counter;

static uint64_t in_ns(time_t seconds, long ns)
{
	return (uint64_t)seconds * 1000000000 + (uint64_t)ns;
}

static uint64_t used(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now))
		die("clock_gettime");
	return in_ns(now.tv_sec, now.tv_nsec);
}

static void tick(int number)
{
	(void)number;
	ticks++;
}

/* Periods that passed before the signal could be delivered. */
static void tick_of_timer(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	ticks += 1 + info->si_overrun;
}

static void set_timer(clockid_t clock, long period)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec each = { { 0, period }, { 0, period } };

	if (timer_create(clock, &event, &timer) || timer_settime(timer, 0, &each, NULL))
		die("timer");
}

static void set_limit(rlim_t seconds)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CPU, &limit))
		die("getrlimit");
	limit.rlim_cur = seconds;
	if (setrlimit(RLIMIT_CPU, &limit))
		die("setrlimit");
}

static void open_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	counter = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (counter < 0)
		die("perf_event_open");
}

static uint64_t counted(void)
{
	uint64_t count;

	if (read(counter, &count, sizeof(count)) != sizeof(count))
		die("read");
	return count;
}

static void set_prof(long seconds, long us, bool again)
{
	struct itimerval value = { .it_value = { seconds, us } };

	if (again)
		value.it_interval = value.it_value;
	if (setitimer(ITIMER_PROF, &value, NULL))
		die("setitimer");
}

/* Ticks of this process, user and system, in ns; nearly, for those before main(). */
static uint64_t ticked(void)
{
	struct itimerval left;

	if (getitimer(ITIMER_PROF, &left))
		die("getitimer");
	return before + in_ns(FAR, 0) - in_ns(left.it_value.tv_sec,
					       left.it_value.tv_usec * 1000);
}

static void begin(int phase)
{
	ticks = 0;
	if (phase == COUNTER)
		open_counter();
	began = used() - (phase == COUNTER ? counted() : 0);
	if (phase == PROF)
		set_prof(0, PERIOD / 1000, true);
	else if (phase == PROCESS)
		set_timer(CLOCK_PROCESS_CPUTIME_ID, PERIOD);
	else if (phase == THREAD)
		set_timer(CLOCK_THREAD_CPUTIME_ID, PERIOD);
	else if (phase == LIMIT) {
		/* At least half a second from now, whichever clock is ahead. */
		uint64_t seconds = (began + 500000000) / 1000000000 + 1;

		began = seconds * 1000000000;
		set_limit(seconds);
	}
}

static void look(void)
{
	struct rusage usage;
	uint64_t first = used(), last, sum;

	if (getrusage(RUSAGE_SELF, &usage))
		die("getrusage");
	last = used();
	sum = in_ns(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec * 1000) +
	      in_ns(usage.ru_stime.tv_sec, usage.ru_stime.tv_usec * 1000);
	if (sum < first && first - sum > worst)
		worst = first - sum;
	if (sum > last && sum - last > worst)
		worst = sum - last;
	looks++;
}

static bool is_over(int phase)
{
	if (phase == USAGE) {
		look();
		return looks >= LOOKS;
	}
	if (phase == COUNTER)
		return ++looks >= LOOKS + COUNTED;
	return ticks >= (phase == LIMIT ? 1 : PERIODS);
}

static void end(int phase)
{
	static const char *const names[] = { "limit", "prof", "process", "thread", "usage",
					     "counter" };
	uint64_t now = used() - (phase == COUNTER ? counted() : 0);

	if (phase == PROF)
		set_prof(0, 0, false);
	else if (phase == LIMIT) {
		uint64_t ticks_now = ticked();

		set_limit(RLIM_INFINITY);
		printf("apart %lld\n", ((long long)ticks_now - (long long)now) * 1000000 /
		       (long long)now);
		now = ticks_now;
	}
	if (phase == PROCESS || phase == THREAD)
		timer_delete(timer);
	printf("%s %lld\n", names[phase],
	       phase == USAGE ? (long long)worst : (long long)(now - began));
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct sigaction action = {
		.sa_sigaction = tick_of_timer, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	volatile uint64_t sum = 0;
	bool begun = false;
	int phase = LIMIT;

	signal(SIGPROF, tick);
	signal(SIGXCPU, tick);
	if (sigaction(SIGRTMIN, &action, NULL))
		die("sigaction");
	before = used();
	set_prof(FAR, 0, false);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		for (int i = 0; i < 100; i++)
			sum = sum * 31 + (uint64_t)i;
		getppid();
		if (control[0] != STAGE_ACT || phase == END)
			continue;
		if (!begun) {
			begin(phase);
			begun = true;
		} else if (is_over(phase)) {
			end(phase);
			begun = false;
			if (++phase == END)
				control[1] = 1;
		}
	}
	return 0;
}
