// SPDX-License-Identifier: GPL-2.0-only
/* The loop over states, and the functions for Python. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner.h"

static u8 start_fpu[FPU_SIZE] __attribute__((aligned(64)));
static u8 left_fpu[FPU_SIZE] __attribute__((aligned(64)));
static u8 host_fpu[FPU_SIZE] __attribute__((aligned(64)));

static long segment_base(int what, void *value)
{
	long result;

	/* Not by the C library, which needs the base that this call changes. */
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_arch_prctl), "D"(what), "S"(value)
			 : "rcx", "r11", "memory");
	return result;
}

/* Get (set = 0) or set (set = 1) the fs base. */
long ub_fs_base(int set, u64 *base)
{
	return set ? segment_base(ARCH_SET_FS, (void *)*base) :
		     segment_base(ARCH_GET_FS, base);
}

int ub_plant(const struct ub_job *job)
{
	if (job->end_count > ENDS)
		return -1;
	for (u32 i = 0; i < job->end_count; i++) {
		u8 code[14] = { 0xff, 0x25 };
		u64 stub = (u64)ub_ends + END_STUB * i;
		u8 *at = ub_text(job->ends[i], sizeof(code));

		if (!at)
			return -1;
		ub_copy(code + 6, &stub, 8);
		ub_copy(at, code, sizeof(code));
	}
	for (u32 i = 0; i < job->site_count; i++) {
		/* ud2 has the same length as syscall. */
		u8 *at = ub_text(job->sites[i], 2);

		if (!at)
			return -1;
		at[0] = 0x0f;
		at[1] = 0x0b;
	}
	return 0;
}

static void make_plan(const struct ub_job *job, u64 *rng, struct ub_plan *plan)
{
	static const u32 budgets[] = { 5, 40, 1000, 100000 };
	u64 r = ub_random(rng);

	plan->before = r & 1;
	plan->count = 1 + (u32)(r >> 8) % (job->max_dispatches ? job->max_dispatches : 1);
	plan->budget = job->budget ? job->budget : budgets[(r >> 4) % 4];
	plan->junk = ub_random(rng);
}

/* Run one state translated and natively. Returns WRONG_* bits. */
static u32 one(const struct ub_job *job, u64 index, struct ub_result *result)
{
	u64 rng = job->seed ^ (index * 0xd1342543de82ef95UL), memory;
	const struct ub_entry *entry;
	const struct ub_exit *leave;
	struct ub_outcome outcome;
	struct ub_cpu start;
	struct ub_plan plan;
	u32 wrong;

	ub_random(&rng);
	memory = ub_random(&rng);
	make_plan(job, &rng, &plan);
	entry = &job->entries[ub_random(&rng) % job->entry_count];
	ub_random_state(job, &rng);
	ub_cpu.rip = entry->ip;
	if (!job->fred) {
		ub_cpu.gpr[RCX] = entry->ip;
		ub_cpu.gpr[R11] = ub_cpu.flags;
	}
	start = ub_cpu;
	ub_copy(start_fpu, ub_fpu, FPU_SIZE);

	ub_late = 0;
	ub_reset_memory(memory);
	ub_run_translated(job, entry, &plan, &outcome);
	result->failure.index = index;
	result->failure.start = start;
	result->failure.translated = outcome.cpu;
	result->failure.leave = outcome.number;
	result->failure.entry = entry->ip;
	result->failure.dispatched = outcome.dispatched;
	if (outcome.wrong) {
		result->failure.stopped = outcome.cpu.rip;
		return (u32)outcome.wrong;
	}
	leave = &job->exits[outcome.number];
	result->reasons[leave->reason % REASONS]++;
	if (outcome.number < 64)
		result->exits[outcome.number]++;
	if (leave->reason == REASON_FAULT) {
		if (outcome.hardware)
			result->faults++;
		else
			result->careful++;
	}
	ub_copy(left_fpu, ub_fpu, FPU_SIZE);
	ub_keep_memory();

	ub_reset_memory(memory);
	ub_cpu = start;
	ub_copy(ub_fpu, start_fpu, FPU_SIZE);
	wrong = ub_run_native(job, &outcome, left_fpu, memory, result);
	return wrong;
}

static void run_all(const struct ub_job *job, struct ub_result *result)
{
	struct ub_failure first;
	u32 failed = 0;

	for (u64 i = 0; i < job->executions; i++) {
		u32 wrong = one(job, job->first + i, result);

		result->executions++;
		if (!wrong)
			continue;
		result->failure.wrong = wrong;
		result->mismatches++;
		if (!failed++)
			first = result->failure;
	}
	if (failed)
		result->failure = first;
	else
		result->failure.wrong = 0;
}

/*
 * Run job->executions states from number job->first on. Returns 0, or: the job's memory
 * is already in use (-1), the job is invalid (-2), signals are not available (-3), the
 * processor has no XSAVE (-4).
 */
PUBLIC int ub_run(const struct ub_job *job, struct ub_result *result);
PUBLIC int ub_run(const struct ub_job *job, struct ub_result *result)
{
	u64 base, gs_base, theirs = job->fsbase;

	memset(result, 0, sizeof(*result));
	if (ub_fpu_init())
		return -4;
	if (ub_arena_init() || ub_map_areas(job))
		return -1;
	if (ub_load(job) || ub_plant(job) || !job->entry_count)
		return -2;
	if (ub_signals_on())
		return -3;
	__asm__ volatile("xsave64 %0"
			 : "=m"(host_fpu)
			 : "a"(ub_xmask), "d"(0)
			 : "memory");
	ub_fs_base(0, &base);
	ub_fs_base(1, &theirs);
	/*
	 * gs is rarely used: a base that differs from 0 shows whether a translation treats
	 * it as plain memory.
	 */
	segment_base(ARCH_GET_GS, &gs_base);
	segment_base(ARCH_SET_GS, (void *)theirs);
	run_all(job, result);
	segment_base(ARCH_SET_GS, (void *)gs_base);
	ub_fs_base(1, &base);
	__asm__ volatile("xrstor64 %0" : : "m"(host_fpu), "a"(ub_xmask), "d"(0) : "memory");
	ub_signals_off();
	return 0;
}

/* Whether this CPU keeps the addresses of the last x87 instruction; -1: no XSAVE. */
PUBLIC int ub_keeps_x87_pointers(void);
PUBLIC int ub_keeps_x87_pointers(void)
{
	return ub_fpu_init() ? -1 : (int)ub_x87_pointers;
}
