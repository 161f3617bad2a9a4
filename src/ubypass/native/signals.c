// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults, traps and time limits of the code under test. A handler only records the event
 * and continues the code at ub_stop(), which stores its state.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "runner.h"

#define ALTERNATE (64UL << 10)
/* Longer than any terminating run. */
#define LATE_US 400000
#define LATE_PERIODS 6

static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGVTALRM };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static struct sigaction before[NUMBERS];
static stack_t old_stack;
static void *alternate;

volatile u32 ub_phase, ub_counting, ub_hardware, ub_late, ub_signal;
volatile u64 ub_stop_ip, ub_counted, ub_count_from, ub_count_to;

u32 *ub_histogram;
u64 *ub_path;
u32 ub_path_room;

static u64 last_ip;

static void stop(greg_t *regs, u32 kind)
{
	ub_kind = kind;
	ub_stop_ip = (u64)regs[REG_RIP];
	regs[REG_RIP] = (greg_t)ub_stop;
	regs[REG_EFL] &= ~(greg_t)FLAG_TF;
}

static int ours(u64 ip)
{
	return ip >= (u64)ub_text_start && ip < (u64)ub_text_stop;
}

/* Counting: each trap is one executed instruction; instructions of stubs do not count. */
static void count(greg_t *regs)
{
	u64 ip = (u64)regs[REG_RIP];

	if (last_ip >= ub_count_from && last_ip < ub_count_to && !ours(last_ip)) {
		ub_counted++;
		if (ub_histogram)
			ub_histogram[last_ip - ub_count_from]++;
		if (ub_path_room) {
			*ub_path++ = last_ip;
			ub_path_room--;
		}
	}
	last_ip = ip;
	if (ip == (u64)ub_stop || ip == (u64)ub_leave)
		regs[REG_EFL] &= ~(greg_t)FLAG_TF;
	else
		regs[REG_EFL] |= FLAG_TF;
}

static u32 find_fixup(u64 ip)
{
	const struct ub_fault *faults = ub_job->faults;
	u32 low = 0, high = ub_job->fault_count;
	u64 base = (u64)ub_arena + ARENA_CODE;

	if (ip < base || ip >= base + ub_job->code_size)
		return 0;
	while (low < high) {
		u32 middle = (low + high) / 2;

		if (faults[middle].at < ip - base)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < ub_job->fault_count && faults[low].at == ip - base)
		return faults[low].fixup;
	return 0;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	u64 ip = (u64)regs[REG_RIP];
	u32 fixup;

	(void)info;
	ub_signal = (u32)number;
	if (ub_phase == PHASE_NONE) {
		if (number != SIGVTALRM)
			/* Not from the code under test: repeat it with the default action. */
			signal(number, SIG_DFL);
		return;
	}
	if (number == SIGVTALRM) {
		/*
		 * The timer is periodic: the first signal may come at the start of a run.
		 * A locked access across cache lines takes most of a second if a hypervisor
		 * throttles split locks.
		 */
		if (++ub_late < LATE_PERIODS)
			return;
		/* Elsewhere the delay is not caused by the code under test. */
		if (!ours(ip) && (ub_phase == PHASE_NATIVE ||
				  (ip >= (u64)ub_arena && ip < (u64)ub_arena + ARENA_SIZE)))
			stop(regs, KIND_TIMEOUT);
		return;
	}
	if (number == SIGTRAP && ub_counting) {
		count(regs);
		return;
	}
	if (ub_phase == PHASE_TRANSLATED) {
		fixup = number == SIGTRAP ? 0 : find_fixup(ip);
		if (fixup) {
			ub_hardware++;
			regs[REG_RIP] = (greg_t)(ub_arena + ARENA_CODE + fixup);
		} else {
			stop(regs, KIND_CRASH);
		}
		return;
	}
	if (number == SIGTRAP) {
		if (ub_stepping) {
			stop(regs, KIND_STEP);
		} else {
			regs[REG_RIP]--;
			stop(regs, KIND_BREAK);
		}
		return;
	}
	for (u32 i = 0; number == SIGILL && i < ub_job->site_count; i++)
		if (ub_job->sites[i] == ip) {
			stop(regs, KIND_SYSCALL);
			return;
		}
	stop(regs, KIND_FAULT);
}

int ub_signals_on(void)
{
	struct sigaction action;
	struct itimerval late = { { 0, LATE_US }, { 0, LATE_US } };
	stack_t stack = { .ss_size = ALTERNATE };

	if (!alternate) {
		alternate = mmap(NULL, ALTERNATE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (alternate == MAP_FAILED)
			return -1;
	}
	stack.ss_sp = alternate;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_signal;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	last_ip = 0;
	ub_late = 0;
	if (sigaltstack(&stack, &old_stack))
		return -1;
	for (u32 i = 0; i < NUMBERS; i++)
		if (sigaction(numbers[i], &action, &before[i]))
			return -1;
	return setitimer(ITIMER_VIRTUAL, &late, NULL);
}

void ub_signals_off(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_VIRTUAL, &never, NULL);
	for (u32 i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &before[i], NULL);
	sigaltstack(&old_stack, NULL);
}
