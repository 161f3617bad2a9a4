// SPDX-License-Identifier: GPL-2.0-only
/* The part of the module by docs/abi.md: entries, dispatches, exits. */
#include <string.h>

#include "runner.h"

/* Offset in pt_regs of each user register, in hardware order. */
static const u32 slots[16] = { 80, 88, 96, 40, 152, 32, 104, 112,
			       72, 64, 56, 48, 24, 16, 8,   0 };
static const int arguments[6] = { RDI, RSI, RDX, R10, R8, R9 };
static const int caller_saved[] = { RCX, RDX, RSI, RDI, R8, R9, R10, R11 };

const struct ub_job *ub_job;

static const struct ub_plan *plan;
static u64 junk, done, r11_copy, frame_wrong;

static u64 *slot(u32 offset)
{
	return (u64 *)(ub_frame + offset);
}

static u32 *half(u32 offset)
{
	return (u32 *)(ub_frame + offset);
}

static u64 *user(int number)
{
	return slot(FRAME_REGS + slots[number]);
}

static int place(u32 at, const void *what, u64 size)
{
	if (at + size > ub_job->code_size)
		return -1;
	ub_copy(ub_arena + ARENA_CODE + at, what, size);
	return 0;
}

/* Copy the translation to the arena and fill in dispatches and jumps as the module. */
int ub_load(const struct ub_job *job)
{
	ub_job = job;
	if (job->code_size > ARENA_SIZE - ARENA_CODE)
		return -1;
	ub_copy(ub_arena + ARENA_CODE, job->code, job->code_size);
	for (u32 i = 0; i < job->jump_count; i++) {
		u32 distance = -(ARENA_CODE + job->jumps[i] + 4);

		if (place(job->jumps[i], &distance, 4))
			return -1;
	}
	for (u32 i = 0; i < job->dispatch_count; i++) {
		/* mov dword [rsp + FRAME_PRIVATE], i; jmp [rip]; address */
		u8 code[22] = { 0xc7, 0x44, 0x24, FRAME_PRIVATE };
		u64 stub = (u64)ub_dispatch_stub;

		ub_copy(code + 4, &i, 4);
		code[8] = 0xff;
		code[9] = 0x25;
		ub_copy(code + 14, &stub, 8);
		if (place(job->dispatches[i].at, code, sizeof(code)))
			return -1;
	}
	return 0;
}

/* The result of a call by its number and arguments: small, an error, or large. */
u64 ub_answer(u64 nr, const u64 *args, u32 count, u64 number)
{
	u64 value = nr * 0x9e3779b97f4a7c15UL + number;

	for (u32 i = 0; i < count; i++)
		value = (value ^ args[i]) * 0xbf58476d1ce4e5b9UL;
	if (value >> 62 == 0)
		return -(value % 133 + 1);
	return value >> 62 < 3 ? value % 4096 : value & 0xffffffff;
}

static void spoil(const int *names, u32 count)
{
	for (u32 i = 0; i < count; i++)
		ub_cpu.gpr[names[i]] = ub_random(&junk);
	ub_cpu.flags = (ub_random(&junk) & ARITHMETIC) | FLAGS_USER;
	if (ub_counting)
		ub_cpu.flags |= FLAG_TF;
}

static void check_frame(void)
{
	if (*slot(FRAME_LIMIT) != LIMIT || *slot(FRAME_FSBASE) != ub_job->fsbase)
		frame_wrong = 1;
	if (ub_cpu.gpr[RSP] != (u64)ub_frame)
		frame_wrong = 1;
}

/* Called by ub_dispatch_stub: the effect of a system call on the translation's state. */
HIDDEN void ub_dispatched(void);
HIDDEN void ub_dispatched(void)
{
	static const int only_r11[] = { R11 };
	const struct ub_dispatch *dispatch = &ub_job->dispatches[*half(FRAME_PRIVATE)];
	u8 *base = ub_arena + ARENA_CODE;
	u64 given[6];
	u32 count;

	check_frame();
	if (done == plan->count && plan->before) {
		spoil(only_r11, 1);
		ub_cpu.rip = (u64)(base + dispatch->pre);
		return;
	}
	done++;
	r11_copy = *slot(FRAME_SYSFLAGS);
	count = dispatch->nr < ub_job->args_count ? ub_job->args[dispatch->nr] : 0;
	for (u32 i = 0; i < count && i < 6; i++)
		given[i] = *user(arguments[i]);
	spoil(caller_saved, 8);
	ub_cpu.gpr[RAX] = ub_answer(dispatch->nr, given, count, done);
	*half(FRAME_BUDGET) = plan->budget;
	if (done >= plan->count && !plan->before)
		ub_cpu.rip = (u64)(base + dispatch->post);
	else
		ub_cpu.rip = (u64)(base + dispatch->next);
}

/* Run from ub_cpu and ub_fpu (the user at an entry) to out->cpu and ub_fpu. */
void ub_run_translated(const struct ub_job *job, const struct ub_entry *entry,
		       const struct ub_plan *what, struct ub_outcome *out)
{
	const struct ub_exit *leave;

	plan = what;
	junk = what->junk;
	done = frame_wrong = 0;
	r11_copy = ub_cpu.flags;
	for (u32 i = 0; i < 16; i++)
		*user((int)i) = ub_cpu.gpr[i];
	/* Translations do not read them after SYSCALL, unless the kernel runs with FRED. */
	if (!job->fred) {
		*user(RCX) = ub_random(&junk);
		*user(R11) = ub_random(&junk);
	}
	*slot(FRAME_LIMIT) = LIMIT;
	*slot(FRAME_FSBASE) = job->fsbase;
	*slot(FRAME_FLAGS) = FLAGS_USER;
	*slot(FRAME_SYSFLAGS) = ub_cpu.flags;
	*slot(FRAME_FIP) = 0;
	*slot(FRAME_TARGET) = ub_random(&junk);
	*half(FRAME_EXIT) = ~0u;
	*half(FRAME_BUDGET) = what->budget;
	for (u32 i = 0; i < 16; i++)
		ub_cpu.gpr[i] = ub_random(&junk);
	ub_cpu.gpr[RSP] = (u64)ub_frame;
	ub_cpu.flags = (ub_random(&junk) & ARITHMETIC) | FLAGS_USER;
	if (ub_counting)
		ub_cpu.flags |= FLAG_TF;
	ub_cpu.rip = (u64)(ub_arena + ARENA_CODE + entry->offset);
	ub_hardware = 0;
	ub_phase = PHASE_TRANSLATED;
	ub_enter();
	ub_phase = PHASE_NONE;

	out->hardware = ub_hardware;
	out->dispatched = done;
	out->number = *half(FRAME_EXIT);
	out->target = *slot(FRAME_TARGET);
	out->wrong = 0;
	if (ub_kind != KIND_LEFT || out->number >= job->exit_count) {
		out->wrong = WRONG_CRASH;
		out->cpu = ub_cpu;
		out->cpu.rip = ub_stop_ip - (u64)(ub_arena + ARENA_CODE);
		return;
	}
	check_frame();
	if (frame_wrong)
		out->wrong = WRONG_FRAME;
	leave = &job->exits[out->number];
	for (u32 i = 0; i < 16; i++)
		out->cpu.gpr[i] = *user((int)i);
	out->cpu.flags = ub_cpu.flags;
	if (leave->flags & EXITF_SLOT_FLAGS)
		out->cpu.flags = *slot(FRAME_FLAGS);
	else if (leave->flags & EXITF_SLOT_SYSFLAGS)
		out->cpu.flags = *slot(FRAME_SYSFLAGS);
	out->cpu.flags &= ARITHMETIC;
	if (leave->flags & EXITF_CX_SYS)
		out->cpu.gpr[RCX] = leave->cx;
	if (leave->flags & EXITF_R11_SYS)
		out->cpu.gpr[R11] = (r11_copy & ARITHMETIC) | FLAGS_USER;
	out->cpu.rip = leave->ip;
	/* The address of the user's last x87 instruction, as the module restores it. */
	if (*slot(FRAME_FIP))
		ub_copy(ub_fpu + 8, slot(FRAME_FIP), 8);
}
