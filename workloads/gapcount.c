// SPDX-License-Identifier: GPL-2.0-only
/*
 * gapcount: counts the user instructions between two system calls.
 *
 *   gapcount NR SKIP SAMPLES -- PROGRAM ARGUMENTS...
 *
 * Runs the program natively under ptrace, lets SKIP calls of number NR pass (so
 * that lazy binding and warm-up are over), then steps through SAMPLES gaps: from
 * the return of the call until the same syscall instruction is next.  Prints
 * one number for each gap: its instructions, without the syscall instruction.
 * The program is killed after that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCALL_SIZE	2		/* bytes of the instruction */
#define MAX_STEPS	10000000UL	/* bound on the length of a gap */

static pid_t child;

static void die(const char *what)
{
	fprintf(stderr, "gapcount: %s: %s\n", what, strerror(errno));
	if (child > 0)
		kill(child, SIGKILL);
	exit(1);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > 100000000UL) {
		fprintf(stderr, "gapcount: %s: want a number\n", text);
		exit(2);
	}
	return value;
}

/* Resume the child and wait for its next stop; false when it has ended. */
static bool go(enum __ptrace_request how)
{
	int signal = 0, status;

	for (;;) {
		if (ptrace(how, child, NULL, (void *)(long)signal) < 0)
			die("ptrace");
		if (waitpid(child, &status, 0) != child)
			die("waitpid");
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) ||
		    WSTOPSIG(status) == SIGTRAP)
			return true;
		signal = WSTOPSIG(status);	/* the program's own: deliver */
	}
}

static struct user_regs_struct registers(void)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, child, NULL, &regs) < 0)
		die("PTRACE_GETREGS");
	return regs;
}

static uint64_t instruction_pointer(void)
{
	long ip;

	errno = 0;
	ip = ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rip),
		    NULL);
	if (errno)
		die("PTRACE_PEEKUSER");
	return (uint64_t)ip;
}

static void ended(void)
{
	fputs("gapcount: the program ended before enough calls were seen\n", stderr);
	exit(3);
}

/* Stop at the return of the next call of number nr; returns its resume address. */
static uint64_t next_return(uint64_t nr)
{
	struct user_regs_struct regs;

	do {
		if (!go(PTRACE_SYSCALL))	/* entry */
			ended();
		if (!go(PTRACE_SYSCALL))	/* return */
			ended();
		regs = registers();
	} while (regs.orig_rax != nr);
	return regs.rip;
}

static unsigned long step_gap(uint64_t resume)
{
	for (unsigned long steps = 1; steps <= MAX_STEPS; steps++) {
		if (!go(PTRACE_SINGLESTEP))
			ended();
		if (instruction_pointer() == resume - SYSCALL_SIZE)
			return steps;
	}
	fputs("gapcount: the loop never comes back to this call\n", stderr);
	kill(child, SIGKILL);
	exit(4);
}

int main(int argc, char **argv)
{
	unsigned long nr, skip, samples;
	int null, status;

	if (argc < 6 || strcmp(argv[4], "--")) {
		fputs("usage: gapcount NR SKIP SAMPLES -- PROGRAM ARGUMENTS...\n",
		      stderr);
		return 2;
	}
	nr = number(argv[1]);
	skip = number(argv[2]);
	samples = number(argv[3]);

	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		    ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			die("start");
		execvp(argv[5], &argv[5]);
		die(argv[5]);
	}
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return 1;	/* the child has printed the error */
	if (ptrace(PTRACE_SETOPTIONS, child, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0)
		die("PTRACE_SETOPTIONS");

	for (unsigned long i = 0; i < skip; i++)
		next_return(nr);
	for (unsigned long i = 0; i < samples; i++) {
		printf("%lu\n", step_gap(next_return(nr)));
		/* At the syscall instruction now: the next call enters there. */
	}
	kill(child, SIGKILL);
	return 0;
}
