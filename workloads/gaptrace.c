// SPDX-License-Identifier: GPL-2.0-only
/*
 * gaptrace: the user instructions between the system calls of a running program.
 *
 *   gaptrace PID CALLS [LENGTH]
 *
 * Steps through thread PID until it has made CALLS system calls.  Prints one
 * line for each: its resume address (hexadecimal), its number, the instructions
 * from its return to the next syscall instruction, which is not counted, and the
 * number of that call.  For gaps of up to LENGTH instructions the address of each and
 * of the syscall instruction follow.  Then lets the program continue.
 *
 * The program runs natively, thousands of times slower than usual: only counts are
 * valid here, not times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define MAX_STEPS	100000000UL	/* in total: bounds the time of a trace */
#define PAGE		4096
#define PAGES		1024		/* number of cached pages */
#define MAX_LENGTH	65536UL

static pid_t thread;
static uint64_t way[MAX_LENGTH + 1];

static void die(const char *what)
{
	fprintf(stderr, "gaptrace: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || !value ||
	    value > 100000000UL) {
		fprintf(stderr, "gaptrace: %s: want a number\n", text);
		exit(2);
	}
	return value;
}

/* One instruction, or one system call; signals of the program are delivered. */
static void step(void)
{
	int status, signal = 0;

	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, thread, NULL, (void *)(long)signal) < 0)
			die("PTRACE_SINGLESTEP");
		if (waitpid(thread, &status, __WALL) != thread)
			die("waitpid");
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			fputs("gaptrace: the program ended\n", stderr);
			exit(3);
		}
		if (WSTOPSIG(status) == SIGTRAP)
			return;
		signal = WSTOPSIG(status);
		if (status >> 16)	/* a group stop: nothing to deliver */
			signal = 0;
	}
}

static uint64_t user(size_t offset)
{
	long value;

	errno = 0;
	value = ptrace(PTRACE_PEEKUSER, thread, offset, NULL);
	if (errno)
		die("PTRACE_PEEKUSER");
	return (uint64_t)value;
}

#define USER(reg) user(offsetof(struct user_regs_struct, reg))

static bool at_syscall(uint64_t ip)
{
	static struct page {
		uint64_t start;
		uint8_t bytes[PAGE];
	} cache[PAGES];	/* code rarely changes: fewer calls per step */
	struct page *page = &cache[ip / PAGE % PAGES];
	struct iovec here = { page->bytes, PAGE };
	struct iovec there = { (void *)(uintptr_t)(ip / PAGE * PAGE), PAGE };

	if (page->start != ip / PAGE * PAGE) {
		/* Unreadable: the step to come will fault, as it would untraced. */
		if (process_vm_readv(thread, &here, 1, &there, 1, 0) != PAGE)
			return false;
		page->start = ip / PAGE * PAGE;
	}
	/* One that straddles pages is missed; compilers' padding avoids most. */
	return ip % PAGE < PAGE - 1 && page->bytes[ip % PAGE] == 0x0f &&
	       page->bytes[ip % PAGE + 1] == 0x05;
}

int main(int argc, char **argv)
{
	unsigned long calls, left, longest = 0, gap = 0;
	uint64_t resume = 0, nr = 0;
	int status;

	if (argc != 3 && argc != 4) {
		fputs("usage: gaptrace PID CALLS [LENGTH]\n", stderr);
		return 2;
	}
	if (argc == 4)
		longest = number(argv[3]);
	if (longest > MAX_LENGTH) {
		fprintf(stderr, "gaptrace: %s: at most %lu\n", argv[3], MAX_LENGTH);
		return 2;
	}
	thread = (pid_t)number(argv[1]);
	calls = number(argv[2]);
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0)
		die("PTRACE_SEIZE");
	if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0)
		die("PTRACE_INTERRUPT");
	if (waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) {
		fputs("gaptrace: the program ended\n", stderr);
		return 3;
	}
	left = MAX_STEPS;
	for (unsigned long seen = 0; seen <= calls && left; left--) {
		uint64_t ip = USER(rip), next;

		if (gap <= longest)
			way[gap] = ip;
		if (!at_syscall(ip)) {
			gap++;
			step();
			continue;
		}
		next = USER(rax);
		if (seen) {
			printf("%" PRIx64 " %" PRIu64 " %lu %" PRIu64, resume, nr, gap,
			       next);
			for (unsigned long i = 0; longest && i <= gap && gap <= longest; i++)
				printf(" %" PRIx64, way[i]);
			putchar('\n');
		}
		seen++;
		resume = ip + 2;
		nr = next;
		gap = 0;
		step();
	}
	if (ptrace(PTRACE_DETACH, thread, NULL, NULL) < 0)
		die("PTRACE_DETACH");
	if (!left) {
		fputs("gaptrace: too few system calls for so many steps\n", stderr);
		return 4;
	}
	return 0;
}
