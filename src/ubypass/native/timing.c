// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs one state natively or translated, to time it or to count its instructions. The
 * code belongs to this process, with real effects: after a side exit it continues
 * natively to its end.
 */
#define _GNU_SOURCE
#include <string.h>

#include "runner.h"

static u8 clean_fpu[FPU_SIZE] __attribute__((aligned(64)));

struct ub_call {
	struct ub_cpu cpu; /* in: at the entry; out: at the end */
	u64 cycles;	   /* of the time stamp counter */
	u64 instructions;  /* if counted */
	u64 target;	   /* target of an indirect branch that missed */
	u64 at;		   /* user address of the exit */
	u32 number;	   /* of the exit */
	u32 dispatched;
	u32 kind; /* why the original stopped */
	u32 count;	/* in: count instructions */
	u32 translated; /* in: run the translation, not the original */
	u32 budget;	/* in */
	u32 *histogram; /* in: for execution counts by offset in the translation */
	u64 *path;	/* in: for addresses of instructions counted natively, in order */
	u32 path_room;	/* in: size of path in entries; out: unused entries */
};

static u64 now(void)
{
	u32 low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static void native(const struct ub_job *job, struct ub_call *call)
{
	u64 start;

	ub_counting = call->count && !call->translated;
	if (ub_counting) {
		/* The first trap precedes the code, with last_ip 0: exclude it. */
		ub_count_from = 1;
		ub_count_to = ~0UL;
		ub_path = call->path;
		ub_path_room = call->path_room;
		ub_cpu.flags |= FLAG_TF;
	}
	ub_phase = PHASE_NATIVE;
	start = now();
	ub_enter();
	if (!call->translated)
		call->cycles = now() - start;
	ub_phase = PHASE_NONE;
	if (ub_counting)
		call->path_room = ub_path_room;
	ub_path_room = 0;
	ub_counting = 0;
	if (ub_kind == KIND_END)
		ub_cpu.rip = job->ends[ub_end];
	else
		ub_cpu.rip = ub_stop_ip;
	ub_cpu.flags &= ~FLAG_TF;
	call->cpu = ub_cpu;
	call->kind = ub_kind;
}

static int translated(const struct ub_job *job, struct ub_call *call)
{
	struct ub_entry entry = { call->cpu.rip, 0 };
	struct ub_plan plan = { .count = 0, .before = 1, .budget = call->budget };
	struct ub_outcome outcome;
	u64 start;

	for (u32 i = 0; i < job->entry_count; i++)
		if (job->entries[i].ip == entry.ip)
			entry = job->entries[i];
	ub_counting = call->count;
	ub_histogram = call->histogram;
	ub_count_from = (u64)ub_arena + ARENA_CODE;
	ub_count_to = ub_count_from + job->code_size;
	start = now();
	ub_run_translated(job, &entry, &plan, &outcome);
	call->cycles = now() - start;
	ub_counting = 0;
	ub_histogram = NULL;
	call->number = outcome.number;
	call->dispatched = (u32)outcome.dispatched;
	call->at = outcome.cpu.rip;
	ub_copy(&call->target, ub_frame + FRAME_TARGET, 8);
	if (outcome.wrong)
		return -4;
	outcome.cpu.flags |= FLAGS_USER;
	ub_cpu = outcome.cpu;
	/* After an exit at an end of the original nothing is left to run. */
	call->kind = KIND_END;
	call->cpu = ub_cpu;
	for (u32 i = 0; i < job->end_count; i++)
		if (job->ends[i] == ub_cpu.rip)
			return 0;
	native(job, call);
	return 0;
}

/* Once per job, before ub_call(): as ub_run(), but other memory is unchanged. */
PUBLIC int ub_prepare(const struct ub_job *job);
PUBLIC int ub_prepare(const struct ub_job *job)
{
	if (ub_fpu_init())
		return -4;
	if (ub_arena_init() || ub_map_areas(job))
		return -1;
	if (ub_load(job) || ub_plant(job) || !job->entry_count)
		return -2;
	memset(clean_fpu, 0, sizeof(clean_fpu));
	__asm__ volatile("xsave64 %0"
			 : "=m"(clean_fpu)
			 : "a"(ub_xmask), "d"(0)
			 : "memory");
	return 0;
}

/* The fs base is the one of this thread; job->fsbase must have the same value. */
PUBLIC int ub_call(const struct ub_job *job, struct ub_call *call);
PUBLIC int ub_call(const struct ub_job *job, struct ub_call *call)
{
	int result = 0;

	if (ub_signals_on())
		return -3;
	ub_copy(ub_fpu, clean_fpu, FPU_SIZE);
	ub_cpu = call->cpu;
	ub_counted = 0;
	if (call->translated)
		result = translated(job, call);
	else
		native(job, call);
	call->instructions = ub_counted;
	__asm__ volatile("xrstor64 %0"
			 :
			 : "m"(clean_fpu), "a"(ub_xmask), "d"(0)
			 : "memory");
	ub_signals_off();
	return result;
}

PUBLIC u64 ub_fsbase(void);
PUBLIC u64 ub_fsbase(void)
{
	u64 base;

	ub_fs_base(0, &base);
	return base;
}
