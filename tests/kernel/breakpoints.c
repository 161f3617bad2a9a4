// SPDX-License-Identifier: GPL-2.0-only
/*
 * breakpoints: debug registers and gaps that are stepped.
 *
 *   breakpoints stale SECONDS
 *
 * On one CPU, leaves the addresses of four functions in debug registers that are
 * switched off, waits for a line on its standard input, and then calls those
 * functions in the gaps of system calls for so long.  Nothing may come of it, also not in
 * what a debugger reads: before, the program has stepped itself once.
 *
 *   breakpoints live SECONDS
 *
 * Waits for a line, then goes for so long through SITES system calls, with many calls
 * of one function in the gap after each.  Meanwhile another thread sets a breakpoint of
 * perf on that function again and again, and compares how often it fired with how often
 * the function was called: by the counter, and every other time by signals.
 *
 * The breakpoint is for execution: QEMU (7.2, without KVM) hangs in the guest's exception
 * handler if a write that is watched is single-stepped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define TF	0x100
#define DR_STEP	0x4000
#define SLOTS	4
#define SITES	"10"

unsigned long watched;	/* how often it was called */
void watched_call(void);
static atomic_ulong signals, framed;
static atomic_bool over;
static pid_t worker;

static int open_breakpoint(pid_t tid, unsigned int type, const volatile void *address,
			   int by_signal)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.bp_type = type,
		.bp_addr = (unsigned long)address,
		.bp_len = sizeof(long),
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sigtrap = by_signal,
		.remove_on_exec = by_signal,
	};

	return syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	const ucontext_t *at = context;

	(void)number;
	(void)info;
	signals++;
	/* The program's own steps are meant to be seen. */
	framed += info->si_code != TRAP_TRACE && at->uc_mcontext.gregs[REG_EFL] & TF;
}

static void handle_traps(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
}

/* Each at an address of its own. */
#define TARGET(n)							\
static __attribute__((noinline, noclone)) void target##n(void)		\
{									\
	asm volatile("# %0" : : "i"(n));				\
}
TARGET(0) TARGET(1) TARGET(2) TARGET(3)

static void call_targets(void)
{
	target0();
	target1();
	target2();
	target3();
}

/* One step that the program makes itself. */
static void step_once(void)
{
	asm volatile(
		"	sub	$128, %%rsp\n"
		"	pushfq\n"
		"	orl	$0x100, (%%rsp)\n"
		"	popfq\n"
		"	pushfq\n"
		"	andl	$~0x100, (%%rsp)\n"
		"	popfq\n"
		"	add	$128, %%rsp\n"
		:
		:
		: "memory", "cc");
}

/* A debugger reads DR6 of its parent: 1 if it shows the step, else 0. */
static int read_dr6(pid_t parent)
{
	const size_t at = offsetof(struct user, u_debugreg[6]);
	long dr6;
	int status;

	if (ptrace(PTRACE_SEIZE, parent, 0, 0) || ptrace(PTRACE_INTERRUPT, parent, 0, 0) ||
	    waitpid(parent, &status, 0) != parent)
		die("ptrace");
	errno = 0;
	dr6 = ptrace(PTRACE_PEEKUSER, parent, at, 0);
	if (errno)
		die("PTRACE_PEEKUSER");
	ptrace(PTRACE_DETACH, parent, 0, 0);
	return !!(dr6 & DR_STEP);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int stale(long seconds)
{
	static void (*const targets[SLOTS])(void) = { target0, target1, target2, target3 };
	const struct sigaction none = { .sa_handler = SIG_DFL };
	long long hits, sum = 0;
	int fds[SLOTS], status;
	pid_t debugger;
	double end;

	stay_on_one_cpu();
	for (int i = 0; i < SLOTS; i++) {
		fds[i] = open_breakpoint(0, HW_BREAKPOINT_X, (void *)targets[i], 0);
		if (fds[i] < 0)
			die("perf_event_open");
	}
	call_targets();
	for (int i = 0; i < SLOTS; i++) {
		if (read(fds[i], &hits, sizeof(hits)) != sizeof(hits))
			die("read");
		sum += hits;
		close(fds[i]);
	}
	handle_traps();
	step_once();
	if (getchar() == EOF)
		return 2;
	sigaction(SIGTRAP, &none, NULL);
	for (end = now() + seconds; now() < end;) {
		syscall(SYS_getppid);
		call_targets();
	}
	debugger = fork();
	if (!debugger)
		_exit(read_dr6(getppid()));
	while (waitpid(debugger, &status, 0) != debugger)
		;
	printf("fired %lld, %lu steps, %s\n", sum, (unsigned long)signals,
	       WEXITSTATUS(status) == 1 ? "known" : "lost");
	return 0;
}

static unsigned long called(void)
{
	return *(volatile unsigned long *)&watched;
}

/* Counts after the breakpoint, so one call may be under way. */
asm(	"	.text\n"
	"watched_call:\n"
	"	incq	watched(%rip)\n"
	"	ret\n");

static void *watch(void *unused)
{
	unsigned long times = 0, wrong = 0, fired = 0;

	(void)unused;
	for (; !over; times++) {
		unsigned long before = called(), began, ended, after, by_signal = signals;
		int fd = open_breakpoint(worker, HW_BREAKPOINT_X,
					 (void *)watched_call, times & 1);
		long long hits;

		if (fd < 0)
			die("perf_event_open");
		began = called();
		usleep(2000);
		ended = called();
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		if (read(fd, &hits, sizeof(hits)) != sizeof(hits))
			die("read");
		after = called();
		close(fd);
		/* Each call takes a hundred times as long while it is watched. */
		usleep(4000);
		wrong += (unsigned long)hits + 1 < ended - began;
		wrong += (unsigned long)hits > after - before + 1;
		if (times & 1) {
			unsigned long raised = signals - by_signal;

			/* Disabling meets one that is on its way, natively too. */
			wrong += raised + 1 < (unsigned long)hits ||
				 raised > (unsigned long)hits + 1;
		}
		fired += hits;
	}
	printf("watched %lu times, wrong %lu, fired %s\n", times, wrong,
	       fired ? "yes" : "no");
	return NULL;
}

static void round_of_calls(void)
{
	asm volatile(
		"	sub	$128, %%rsp\n"
		"	.rept	" SITES "\n"
		"	mov	$110, %%eax\n"
		"	syscall\n"
		"	mov	$1100, %%ecx\n"
		"1:	call	watched_call\n"
		"	dec	%%ecx\n"
		"	jne	1b\n"
		"	.endr\n"
		"	add	$128, %%rsp\n"
		:
		:
		: "rax", "rcx", "r11", "memory", "cc");
}

static int live(long seconds)
{
	pthread_t watcher;
	double end;

	worker = gettid();
	handle_traps();
	if (getchar() == EOF || pthread_create(&watcher, NULL, watch, NULL))
		return 2;
	for (end = now() + seconds; now() < end;)
		round_of_calls();
	over = true;
	pthread_join(watcher, NULL);
	printf("trap flags seen %lu\n", framed);
	return 0;
}

int main(int argc, char **argv)
{
	long seconds = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	if (seconds > 0 && !strcmp(argv[1], "stale"))
		return stale(seconds);
	if (seconds > 0 && !strcmp(argv[1], "live"))
		return live(seconds);
	fprintf(stderr, "usage: breakpoints stale|live SECONDS\n");
	return 2;
}
