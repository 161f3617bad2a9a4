// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the original and searches for the state at which the translation exited: the same
 * instruction, the same number of system calls, and the same registers and memory.
 */
#include <string.h>

#include "runner.h"

#define VISITS 3000
#define CRAWL 30000

struct search {
	const struct ub_job *job;
	const struct ub_outcome *outcome;
	const u8 *fpu; /* after the translation */
	u8 start_fpu[FPU_SIZE] __attribute__((aligned(64)));
	struct ub_failure *failure;
	u64 want, done;
	u64 flags; /* of the original at the match */
	u32 live;
	u8 *planted; /* address of the int3 */
	u8 original;
	u32 best;
	int closest;
};

static int same_fpu(const struct search *s, u32 *at)
{
	*at = (u32)ub_fpu_differ(s->fpu, ub_fpu, ub_x87_pointers);
	return *at == FPU_SIZE;
}

/* Whether the state of the original equals the state that the translation left. */
static int matches(struct search *s)
{
	const struct ub_cpu *left = &s->outcome->cpu;
	struct ub_failure now = { 0 };
	int closeness;

	if (s->done != s->want)
		return 0;
	for (u32 i = 0; i < 16; i++)
		if (ub_cpu.gpr[i] != left->gpr[i] && !(s->job->ignore & 1u << i))
			now.registers |= 1u << i;
	if (now.registers)
		now.wrong |= WRONG_REGISTER;
	if ((ub_cpu.flags ^ left->flags) & s->live)
		now.wrong |= WRONG_FLAGS;
	if (!same_fpu(s, &now.vector))
		now.wrong |= WRONG_VECTOR;
	if (ub_compare_memory(&now))
		now.wrong |= WRONG_MEMORY;
	if (!now.wrong) {
		s->flags = ub_cpu.flags;
		return 1;
	}
	closeness = __builtin_popcount(now.registers) + __builtin_popcount(now.wrong);
	if (!s->failure->wrong || s->failure->wrong == WRONG_PATH ||
	    closeness < s->closest) {
		s->closest = closeness;
		s->failure->wrong = now.wrong;
		s->failure->registers = now.registers;
		s->failure->vector = now.vector;
		s->failure->memory = now.memory;
		s->failure->memory_native = now.memory_native;
		s->failure->memory_translated = now.memory_translated;
		s->failure->native = ub_cpu;
	}
	return 0;
}

static void run(void)
{
	ub_phase = PHASE_NATIVE;
	ub_enter();
	ub_phase = PHASE_NONE;
	ub_cpu.rip = ub_stop_ip;
}

static void step(u8 first)
{
	u64 from = ub_cpu.rip;

	ub_stepping = 1;
	ub_cpu.flags |= FLAG_TF;
	run();
	ub_stepping = 0;
	ub_cpu.flags &= ~FLAG_TF;
	/* pushfq has stored TF: remove it. */
	if (ub_kind == KIND_STEP && first == 0x9c && ub_cpu.rip == from + 1)
		*(u64 *)ub_cpu.gpr[RSP] &= ~FLAG_TF;
}

/* Execute the instruction under the planted int3. */
static void step_over(struct search *s)
{
	*s->planted = s->original;
	step(s->original);
	*s->planted = 0xcc;
}

static void system_call(struct search *s)
{
	static const int arguments[6] = { RDI, RSI, RDX, R10, R8, R9 };
	u64 nr = ub_cpu.gpr[RAX] & 0xffffffff, given[6];
	u32 count = nr < s->job->args_count ? s->job->args[nr] : 0;

	s->done++;
	if (count > 6)
		count = 0;
	for (u32 i = 0; i < count; i++)
		given[i] = ub_cpu.gpr[arguments[i]];
	ub_cpu.gpr[RAX] = ub_answer(nr, given, count, s->done);
	ub_cpu.rip += 2;
	if (s->job->fred)
		return;
	ub_cpu.gpr[RCX] = ub_cpu.rip;
	ub_cpu.gpr[R11] = (ub_cpu.flags & ARITHMETIC) | FLAGS_USER;
}

static int is_site(const struct ub_job *job, u64 ip)
{
	for (u32 i = 0; i < job->site_count; i++)
		if (job->sites[i] == ip)
			return 1;
	return 0;
}

static int is_end(const struct ub_job *job, u64 ip)
{
	for (u32 i = 0; i < job->end_count; i++)
		if (job->ends[i] == ip)
			return 1;
	return 0;
}

/* The search proper: 0 found, 1 never, 2 out of time. */
static int search(struct search *s, u64 target)
{
	if (ub_cpu.rip == target && matches(s))
		return 0;
	for (u32 visit = 0; visit < VISITS; visit++) {
		if (s->planted && ub_cpu.rip == target)
			step_over(s);
		else
			run();
		switch (ub_kind) {
		case KIND_END:
			ub_cpu.rip = s->job->ends[ub_end];
			return !(ub_cpu.rip == target && matches(s));
		case KIND_BREAK:
		case KIND_STEP:
			if (ub_cpu.rip == target && matches(s))
				return 0;
			break;
		case KIND_SYSCALL:
			if (ub_cpu.rip == target && matches(s))
				return 0;
			if (s->done == s->want)
				return 1;
			system_call(s);
			if (ub_cpu.rip == target && matches(s))
				return 0;
			break;
		case KIND_TIMEOUT:
			return 2;
		default:
			return !(ub_cpu.rip == target && matches(s));
		}
	}
	return 2;
}

/*
 * The same search by single steps, without an int3: if the original reads its own text,
 * the int3 itself causes a difference.
 */
static int crawl(struct search *s, u64 target)
{
	for (u32 steps = 0; steps < CRAWL; steps++) {
		const u8 *text = ub_text(ub_cpu.rip, 1);

		if (ub_cpu.rip == target && matches(s))
			return 0;
		if (is_end(s->job, ub_cpu.rip))
			return 1;
		if (is_site(s->job, ub_cpu.rip)) {
			if (s->done == s->want)
				return 1;
			system_call(s);
			continue;
		}
		step(text ? *text : 0);
		if (ub_kind == KIND_TIMEOUT)
			return 2;
		if (ub_kind != KIND_STEP)
			return !(ub_cpu.rip == target && matches(s));
	}
	return 2;
}

/* Whether the original, at the exit for a fault, does fault there. */
static int faults_here(struct search *s)
{
	if (ub_kind == KIND_FAULT)
		return 1;
	if (!s->planted)
		return 0;
	/* A string instruction may fault in a later repetition. */
	for (u32 turn = 0; turn < VISITS; turn++) {
		u64 ip = ub_cpu.rip;

		step_over(s);
		if (ub_kind != KIND_STEP || ub_cpu.rip != ip)
			break;
	}
	return ub_kind == KIND_FAULT;
}

/*
 * Whether an exit for a fault is acceptable although the original does not fault: a base
 * that is no user address is rejected before its displacement is added.
 */
static int excused(const struct ub_outcome *outcome, const struct ub_exit *leave)
{
	for (u32 i = 0; i < 16; i++)
		if (leave->bases & 1u << i && outcome->cpu.gpr[i] >= LIMIT)
			return 1;
	return 0;
}

/*
 * Whether the original, at an exit for an unknown branch target, goes to the target that
 * the translation has reported. True also if the original faults instead.
 */
static int goes_there(struct search *s)
{
	if (s->planted)
		step_over(s);
	else
		step(0);
	return ub_kind != KIND_STEP || ub_cpu.rip == s->outcome->target;
}

/*
 * Run the original from ub_cpu and ub_fpu (the user at the entry) and compare it with
 * the outcome. Returns WRONG_* bits, and updates the counts in result.
 */
u32 ub_run_native(const struct ub_job *job, const struct ub_outcome *outcome,
		  const u8 *fpu, u64 memory, struct ub_result *result)
{
	struct ub_cpu start = ub_cpu;
	const struct ub_exit *leave = &job->exits[outcome->number];
	static struct search s;
	int answer, astray, needless, real = 1;

	s.job = job;
	s.outcome = outcome;
	s.fpu = fpu;
	s.failure = &result->failure;
	s.want = outcome->dispatched;
	s.done = 0;
	s.live = leave->live;
	s.planted = NULL;
	s.closest = 0;
	ub_copy(s.start_fpu, ub_fpu, FPU_SIZE);
	result->failure.wrong = 0;
	ub_stop_ip = ub_cpu.rip;
	if (!is_end(job, leave->ip) && !is_site(job, leave->ip)) {
		s.planted = ub_text(leave->ip, 1);
		if (s.planted) {
			s.original = *s.planted;
			*s.planted = 0xcc;
		}
	}
	ub_kind = 0;
	answer = search(&s, leave->ip);
	if (!answer && leave->reason == REASON_FAULT)
		real = faults_here(&s);
	astray = !answer && leave->flags & EXITF_TARGET && !goes_there(&s);
	if (s.planted)
		*s.planted = s.original;
	if (answer == 1 && s.planted) {
		result->failure.wrong = 0;
		s.done = 0;
		s.planted = NULL;
		ub_reset_memory(memory);
		ub_cpu = start;
		ub_copy(ub_fpu, s.start_fpu, FPU_SIZE);
		answer = crawl(&s, leave->ip);
		astray = !answer && leave->flags & EXITF_TARGET && !goes_there(&s);
	}
	if (astray) {
		result->failure.target_native = ub_cpu.rip;
		result->failure.target_translated = outcome->target;
	}
	needless = !real && outcome->hardware && !excused(outcome, leave);
	if (needless)
		result->needless++;
	else if (!real)
		result->careless++;
	if (answer == 2) {
		result->undecided++;
		return 0;
	}
	if (answer && !result->failure.wrong) {
		result->failure.wrong = WRONG_PATH;
		result->failure.native = ub_cpu;
	}
	if (!answer && (s.flags ^ outcome->cpu.flags) & ARITHMETIC)
		result->inexact[leave->reason % REASONS]++;
	if (!answer)
		result->failure.wrong = (astray ? WRONG_TARGET : 0) |
					(needless ? WRONG_NEEDLESS : 0);
	result->failure.stopped = ub_stop_ip;
	return result->failure.wrong;
}
