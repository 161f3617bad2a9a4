// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting calls of a hot loop that a signal interrupts: with a handler that restarts calls
 * (SA_RESTART), with one that does not, and by a stop and its end, which no handler sees.
 *
 *   restarts
 *
 * In stage 0 no call waits.  In stage 1 the loop makes each call ROUNDS times for each kind
 * of signal so that it waits; another process sends the signal once it does.  That process
 * also looks whether the wait is one in a region: /proc/PID/syscall then shows the address
 * of another call.
 */
#include "common.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define ROUNDS	2
#define QUIET	300		/* turns between two waits */
#define WAIT	5000000000L	/* ns, of calls with a time limit */
#define STOPPED	2500000000L	/* ns after which such a call is stopped */
#define LATE	2000000000L	/* ns that it may take longer; a new beginning takes more */

enum { READ, SLEEP, POLL, FUTEX, TIMED, CALLS };
enum { RESTART, PLAIN, STOP, MODES };

static const char *const names[] = { "read", "nanosleep", "poll", "futex", "timed futex" };
static const char *const modes[] = { "restart", "plain", "stop" };
static const int numbers[] = {
	SYS_read, SYS_nanosleep, SYS_poll, SYS_futex, SYS_futex
};

extern const char site_read[], site_nanosleep[], site_poll[], site_futex[];
static const char *const sites[] = {
	site_read, site_nanosleep, site_poll, site_futex, site_futex
};

static struct {
	volatile unsigned int round, call, mode, handled, word, rounds, elsewhere;
	volatile uint64_t began;
} *shared;

static volatile unsigned int *control;
static int pipe_in;

#define CALL(name, result, a, b, c, d)						\
	do {									\
		register long r10 __asm__("r10") = (d);				\
										\
		__asm__ volatile("mov %[nr], %%eax\n\tsyscall\n"			\
				 ".globl site_" #name "\nsite_" #name ":"		\
				 : "=a"(result)					\
				 : [nr] "i"(SYS_##name), "D"(a), "S"(b), "d"(c),	\
				   "r"(r10)						\
				 : "rcx", "r11", "memory");			\
	} while (0)

static __attribute__((noinline)) uint64_t now(void)
{
	struct timespec time;
	long result;

	CALL(clock_gettime, result, CLOCK_MONOTONIC, &time, 0, 0);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec + (uint64_t)result;
}

static __attribute__((noinline)) long make(unsigned int call, const long *arguments)
{
	long a = arguments[0], b = arguments[1], c = arguments[2], d = arguments[3];
	long result;

	if (call == READ)
		CALL(read, result, a, b, c, d);
	else if (call == SLEEP)
		CALL(nanosleep, result, a, b, c, d);
	else if (call == POLL)
		CALL(poll, result, a, b, c, d);
	else
		CALL(futex, result, a, b, c, d);
	return result;
}

static void on_signal(int number)
{
	(void)number;
	shared->handled++;
}

/* The state of the loop's process, and the call in which it sleeps and its address. */
static char look(int *call, unsigned long *ip)
{
	unsigned long a[6], sp;
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", getppid());
	file = fopen(path, "r");
	if (!file)
		_exit(0);
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/syscall", getppid());
	*call = -1;
	file = fopen(path, "r");
	if (!file)
		_exit(0);
	if (fscanf(file, "%d %lx %lx %lx %lx %lx %lx %lx %lx", call, &a[0], &a[1], &a[2],
		   &a[3], &a[4], &a[5], &sp, ip) != 9)
		*call = -1;
	fclose(file);
	return state;
}

/* Until the loop sleeps in its call; the address that is shown. */
static unsigned long until_asleep(void)
{
	unsigned long ip;
	int call;

	while (look(&call, &ip) != 'S' || call != numbers[shared->call])
		usleep(1000);
	return ip;
}

static bool has_limit(void)
{
	return shared->call != READ && shared->call != FUTEX;
}

static void one_round(unsigned int handled)
{
	uint64_t began = shared->began;
	unsigned long ip = until_asleep();
	int call;

	shared->rounds++;
	shared->elsewhere += ip != (unsigned long)sites[shared->call];
	if (shared->mode == STOP) {
		while (has_limit() && now() < began + STOPPED)
			usleep(1000);
		kill(getppid(), SIGSTOP);
		while (look(&call, &ip) != 'T')
			usleep(1000);
		kill(getppid(), SIGCONT);
	} else {
		kill(getppid(), SIGUSR1);
		while (shared->handled == handled)
			usleep(1000);
	}
	if (has_limit() || shared->mode == PLAIN)
		return;
	/* It waits again, for what comes now. */
	until_asleep();
	if (shared->call == READ) {
		if (write(pipe_in, "x", 1) != 1)
			_exit(1);
	} else {
		shared->word++;
		syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1);
	}
}

static void help(void)
{
	unsigned int seen = 0, handled = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		while (shared->round == seen)
			usleep(1000);
		seen = shared->round;
		one_round(handled);
		/* One that has come twice must not be taken for the next one. */
		usleep(5000);
		handled = shared->handled;
	}
}

static void handle(unsigned int mode)
{
	struct sigaction action = {
		.sa_handler = on_signal, .sa_flags = mode == RESTART ? SA_RESTART : 0,
	};

	if (sigaction(SIGUSR1, &action, NULL))
		die("sigaction");
}

/* .slept: ns that the call took; .rest: what it says is left, or 0. */
static void report(long result, unsigned int handled, uint64_t slept, uint64_t rest)
{
	bool limit = has_limit();
	const char *time = "any";

	if (shared->mode == STOP && limit)
		time = slept >= WAIT && slept < WAIT + LATE ? "whole" : "wrong";
	else if (shared->call == SLEEP)
		time = rest && rest < WAIT && slept + rest >= WAIT &&
		       slept + rest < WAIT + LATE ? "rest" : "wrong";
	printf("%s %s: %ld handled %u time %s\n", names[shared->call], modes[shared->mode],
	       result, handled, time);
	if (!strcmp(time, "wrong"))
		fprintf(stderr, "slept %llu rest %llu\n", (unsigned long long)slept,
			(unsigned long long)rest);
}

int main(void)
{
	static const struct timespec brief = { 0, 1000 }, wait = { WAIT / 1000000000, 0 };
	static struct timespec rest;
	unsigned int plan = 0, round = 0, quiet = QUIET, next = 0, handled = 0;
	unsigned int waits = 0, calls[2];
	struct pollfd ready, empty;
	int zero, ends[2];
	char byte;

	control = control_page();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	zero = open("/dev/zero", O_RDONLY);
	if (shared == MAP_FAILED || zero < 0 || pipe(ends))
		die("setup");
	pipe_in = ends[1];
	ready = (struct pollfd){ zero, POLLIN, 0 };
	empty = (struct pollfd){ ends[0], POLLIN, 0 };
	handle(RESTART);
	if (!fork())
		help();

	/* Those that do not wait, and those that do. */
	long all[2][CALLS][4] = {
		{
			{ zero, (long)&byte, 1 },
			{ (long)&brief, 0 },
			{ (long)&ready, 1, 0 },
			{ (long)&shared->word, FUTEX_WAIT, -1 },
			{ (long)&shared->word, FUTEX_WAIT, -1, (long)&wait },
		},
		{
			{ ends[0], (long)&byte, 1 },
			{ (long)&wait, (long)&rest },
			{ (long)&empty, 1, WAIT / 1000000 },
			{ (long)&shared->word, FUTEX_WAIT, 0 },
			{ (long)&shared->word, FUTEX_WAIT, 0, (long)&wait },
		},
	};
	long arguments[4], result = 0;

	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		uint64_t time = now();

		if (waits) {
			report(result, shared->handled - handled, time - shared->began,
			       (uint64_t)rest.tv_sec * 1000000000 + (uint64_t)rest.tv_nsec);
			quiet = QUIET;
			if (++round == ROUNDS) {
				round = 0;
				if (++plan == CALLS * MODES)
					control[1] = 1;
				else
					handle(plan % MODES);
			}
		}
		/*
		 * A turn that waits takes the same path as the others, without a branch: code
		 * that was not executed before would end the run.
		 */
		if (++next >= CALLS)
			next = 0;
		quiet -= (control[0] == STAGE_ACT) & (plan < CALLS * MODES);
		waits = !quiet;
		__asm__("" : "+r"(waits));
		calls[0] = next;
		calls[1] = plan / MODES;
		shared->call = calls[waits];
		__asm__("" : "+r"(waits));
		all[1][FUTEX][2] = all[1][TIMED][2] = shared->word;
		for (unsigned int i = 0; i < 4; i++)
			arguments[i] = all[waits][shared->call][i];
		rest.tv_sec = rest.tv_nsec = 0;
		handled = shared->handled;
		shared->mode = plan % MODES;
		shared->began = time;
		shared->round += waits;
		result = make(shared->call, arguments);
	}
	fprintf(stderr, "elsewhere %u of %u\n", shared->elsewhere, shared->rounds);
	return 0;
}
