// SPDX-License-Identifier: GPL-2.0-only
/*
 * step: gaps that would show a trap flag that is not the program's own.
 *
 *   step ROUNDS
 *
 * Waits for a line on its standard input, then goes ROUNDS times through SITES system
 * calls, each at an address of its own.  Prints what it has seen: trap flags in pushf,
 * in r11 and in the flags of interrupted code, and how many signals came.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

#define TF	0x100
#define SITES	"10"	/* of each kind */

/* Written by the assembly below, read after it. */
static volatile unsigned long pushed, returned, calls;
static volatile unsigned long framed, traps, faults, alarms, steps;

static void note_flags(const ucontext_t *context)
{
	framed += !!(context->uc_mcontext.gregs[REG_EFL] & TF);
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	/* Our own steps are meant to be seen. */
	if (info->si_code == TRAP_TRACE) {
		steps++;
		return;
	}
	traps++;
	note_flags(context);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)number;
	(void)info;
	faults++;
	note_flags(at);
	at->uc_mcontext.gregs[REG_RIP] += 2;	/* ud2 */
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	alarms++;
	note_flags(context);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(number, &action, NULL);
}

/* getppid, and what the CPU left in r11 */
#define CALL						\
	"	mov	$110, %%eax\n"			\
	"	syscall\n"				\
	"	and	$0x100, %%r11d\n"		\
	"	add	%%r11, %[returned]\n"		\
	"	incq	%[calls]\n"

static void round_of_calls(void)
{
	asm volatile(
		/* The red zone is the compiler's. */
		"	sub	$128, %%rsp\n"
		"	.rept	" SITES "\n"
		CALL
		"	call	1f\n"
		"	jmp	2f\n"
		"1:	lea	2f(%%rip), %%rdx\n"
		"	ret\n"
		"2:	nop\n"
		"	.endr\n"
		"	.rept	" SITES "\n"
		CALL
		"	pushfq\n"
		"	pop	%%rdx\n"
		"	and	$0x100, %%edx\n"
		"	add	%%rdx, %[pushed]\n"
		"	.endr\n"
		"	.rept	" SITES "\n"
		CALL
		"	int3\n"
		"	.endr\n"
		"	.rept	" SITES "\n"
		CALL
		"	nop\n"
		"	ud2\n"
		"	.endr\n"
		"	.rept	" SITES "\n"
		CALL
		"	mov	$40, %%ecx\n"
		"1:	dec	%%ecx\n"	/* where an alarm may come in */
		"	jne	1b\n"
		"	.endr\n"
		CALL
		"	add	$128, %%rsp\n"
		: [pushed] "+m"(pushed), [returned] "+m"(returned), [calls] "+m"(calls)
		:
		: "rax", "rcx", "rdx", "r11", "memory", "cc");
}

/* Here the program has a trap flag of its own: four steps from each popf on. */
static void round_of_steps(void)
{
	asm volatile(
		"	sub	$128, %%rsp\n"
		"	.rept	" SITES "\n"
		CALL
		"	pushfq\n"
		"	orl	$0x100, (%%rsp)\n"
		"	popfq\n"
		"	nop\n"
		"	pushfq\n"
		"	andl	$~0x100, (%%rsp)\n"
		"	popfq\n"
		"	.endr\n"
		"	add	$128, %%rsp\n"
		: [returned] "+m"(returned), [calls] "+m"(calls)
		:
		: "rax", "rcx", "r11", "memory", "cc");
}

int main(int argc, char **argv)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	long rounds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

	handle(SIGTRAP, on_trap);
	handle(SIGILL, on_fault);
	handle(SIGALRM, on_alarm);
	if (rounds <= 0 || getchar() == EOF)
		return 2;
	setitimer(ITIMER_REAL, &often, NULL);
	for (long i = 0; i < rounds; i++)
		round_of_calls();
	often = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &often, NULL);
	/* An alarm in between would rightly show it. */
	for (long i = 0; i < rounds; i++)
		round_of_steps();
	printf("seen %lu %lu %lu of %lu calls, %lu traps, %lu faults, %lu steps\n",
	       pushed, returned, framed, calls, traps, faults, steps);
	return alarms ? 0 : 1;
}
