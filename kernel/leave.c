// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a run.
 *
 * Everything here runs on the stack below the frame, with preemption off.  What most runs
 * need is one function without a call, so that it saves no registers; all else is in
 * functions that it jumps to.
 */
#include <linux/compiler.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "backoff.h"
#include "clear.h"
#include "compat.h"
#include "frame.h"
#include "leave.h"
#include "proc.h"
#include "region.h"
#include "site_table.h"
#include "slice.h"
#include "trace.h"
#include "trace_gap.h"
#include "tunables.h"
#include "ub.h"
#include "x87.h"

#define UB_ARITH_FLAGS		(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
				 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

/* Where these end a run, the region lacks the code that follows. */
#define UB_LACKS	((1U << UB_EXIT_RET_MISS) | (1U << UB_EXIT_CALL_MISS) |	\
			 (1U << UB_EXIT_JUMP_MISS) | (1U << UB_EXIT_FRONTIER))

/* Steps for which the trace of a gap's rest must be paid; it may have more. */
#define UB_STEPS_REST	128
/* Number of exits up to which such a trace is tried, at each doubling. */
#define UB_REST_TRIES	4096

/* Misses of which only some are avoidable, so they are reported beyond the limit, too. */
#define UB_MIXED	((1U << UB_EXIT_SYSCALL) | (1U << UB_EXIT_FAULT))

/*
 * The general registers, one bit each, that hold no user address.  If the code clamped one
 * of them, that caused the exit, whether or not the access itself would have faulted.
 */
static u64 ub_nonpointers(const struct pt_regs *regs)
{
	static const u8 at[] = {
		offsetof(struct pt_regs, ax), offsetof(struct pt_regs, cx),
		offsetof(struct pt_regs, dx), offsetof(struct pt_regs, bx),
		offsetof(struct pt_regs, sp), offsetof(struct pt_regs, bp),
		offsetof(struct pt_regs, si), offsetof(struct pt_regs, di),
		offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9),
		offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
		offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13),
		offsetof(struct pt_regs, r14), offsetof(struct pt_regs, r15),
	};
	u64 found = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		if (at[i] != offsetof(struct pt_regs, sp) &&
		    *(const unsigned long *)((const u8 *)regs + at[i]) >= TASK_SIZE_MAX)
			found |= 1ULL << i;
	return found;
}

static void ub_report_miss(struct ub_region *region, const struct pt_regs *regs, u32 number,
			   u64 target, bool owed)
{
	const struct ub_exit *exit = &region->exits[number];
	struct ub_event event = {
		.type = UB_EVENT_MISS,
		.nr = exit->reason,
		.region = region->number,
		.exit = number,
		.ip = exit->user_ip,
		.sp = regs->sp,
	};

	if (exit->flags & UB_EXITF_TARGET)
		event.target = target;
	else if (exit->reason == UB_EXIT_SYSCALL)
		event.target = (u32)regs->ax;
	else if (exit->reason == UB_EXIT_FAULT)
		event.target = ub_nonpointers(regs);
	/* An ordinary fault, for example a page not present: nothing to report. */
	if (exit->reason == UB_EXIT_FAULT && !event.target)
		return;
	/* A lost event is owed: a later event of any exit makes up for it. */
	if (!ub_proc_send_with_stack(region->proc, &event))
		WRITE_ONCE(region->owed, region->owed + 1);
	else if (owed && region->owed)
		WRITE_ONCE(region->owed, region->owed - 1);
}

/*
 * A run has ended where the region lacks code, for the .exits-th time at exit .number, after
 * call .nr: the path from there to the next call is traced, once.  Not at the first exit,
 * which may be the only one, and not behind a call of a site whose gap stays native on
 * purpose, or has its own traces.
 */
static void ub_trace_rest(struct ub_region *region, struct pt_regs *regs, u32 nr, u32 number,
			  u64 exits)
{
	if (exits < 2 || exits > UB_REST_TRIES || exits & (exits - 1) ||
	    test_bit(number, region->followed) || ub_site_of(region->proc, regs->ip, nr, false))
		return;
	if (ub_trace_gap_begin(region->proc, regs, UB_PATH_MISS, true, UB_STEPS_REST))
		set_bit(number, region->followed);
}

static __always_inline u64 ub_arith(u64 flags, u64 raw)
{
	return (flags & ~(u64)UB_ARITH_FLAGS) | (raw & UB_ARITH_FLAGS);
}

/* Complete the user state in pt_regs for the exit that was taken. */
static __always_inline void ub_complete(struct pt_regs *regs, const struct ub_exit *exit,
					u64 host_flags)
{
	const struct ub_frame *frame = ub_frame_of(regs);
	u64 raw = host_flags;
	u32 how = exit->flags;

	if (how & UB_EXITF_SLOT_FLAGS)
		raw = frame->flags;
	else if (how & UB_EXITF_SLOT_SYSFLAGS)
		raw = frame->sysflags;
	if (how & UB_EXITF_R11_SYS)
		regs->r11 = ub_arith(regs->flags, frame->r11);
	if (how & UB_EXITF_CX_SYS)
		regs->cx = exit->cx;
	regs->flags = ub_arith(regs->flags, raw);
	regs->ip = exit->user_ip;
	/* Otherwise a user rax equal to a restart code would be taken for one. */
	if (!(how & UB_EXITF_DISPATCHED)) {
		regs->orig_ax = -1;
		ub_rseq_interrupted();
	}
}

static struct ub_outcome *ub_outcome_of(unsigned long account)
{
	return (struct ub_outcome *)(account & ~UB_ACCOUNT_BITS);
}

static struct ub_backoff *ub_backoff_of(unsigned long account)
{
	return (struct ub_backoff *)(account & ~UB_ACCOUNT_BITS);
}

/* The code left through no exit of its region: never, if it was verified. */
static noinline void ub_left_wrongly(const struct ub_frame *frame)
{
	struct ub_region *region = frame->region;

	pr_err_once("ub: region %u left through unknown exit %u\n", region->number,
		    frame->exit);
	/* Signals have locks that sleep under PREEMPT_RT; the task still counts as inside. */
	preempt_enable();
	force_sig(SIGKILL);
	preempt_disable();
	ub_region_put(region, 0);
	if (READ_ONCE(region->dropped))
		ub_region_last(region);
	if (frame->account & UB_ACCOUNT_OUTCOME)
		ub_outcome_of(frame->account)->reason = 0;
	else
		preempt_enable();
}

/* All that there is to do after a run of which something is unusual, and was counted. */
static noinline void ub_left_unusually(struct pt_regs *regs, u64 host_flags)
{
	const struct ub_frame *frame = ub_frame_of(regs);
	bool dispatched = regs->orig_ax != -1UL;
	struct ub_region *region = frame->region;
	u32 number = frame->exit, nr = regs->orig_ax;
	const struct ub_exit *exit = &region->exits[number];
	u64 exits = READ_ONCE(region->counts[number]);

	ub_complete(regs, exit, host_flags);
	if (exit->flags & UB_EXITF_MISS) {
		bool owed = exits > ub_tune(UB_TUNE_MISS_EVENTS);

		if (!owed || unlikely(READ_ONCE(region->owed)) ||
		    ((1U << exit->reason) & UB_MIXED && !(exits & (exits - 1))))
			ub_report_miss(region, regs, number, frame->target, owed);
		if ((1U << exit->reason) & UB_LACKS)
			ub_trace_rest(region, regs, nr, number, exits);
	}
	/* Not if the timer, which other regions need, has ended the segment. */
	if (exit->flags & UB_EXITF_SLOW && frame->budget > UB_SLICE_TAKEN / 2)
		WRITE_ONCE(region->slow, true);
	trace_ub_exit(region->number, number, exit->reason, exit->user_ip);
	if (unlikely(READ_ONCE(region->dropped)))
		ub_region_last(region);
	if (frame->account & UB_ACCOUNT_OUTCOME) {
		struct ub_outcome *outcome = ub_outcome_of(frame->account);

		/* The caller goes on with preemption off. */
		outcome->reason = exit->reason;
		outcome->dispatched = dispatched;
		return;
	}
	/* Runs without a dispatch report misses; after a few of them the entry is parked. */
	ub_backoff_run(region, ub_backoff_of(frame->account), dispatched);
	preempt_enable();
}

/* .backoff: of the entry, unless .account is a struct ub_outcome. */
static __always_inline void ub_left_usually(struct pt_regs *regs, u64 host_flags,
					    const struct ub_backoff *backoff, bool outcome)
{
	const struct ub_frame *frame = ub_frame_of(regs);
	struct ub_region *region = frame->region;
	const struct ub_exit *exit;
	u32 number = frame->exit;

	if (unlikely(number >= region->nr_exits)) {
		ub_left_wrongly(frame);
		return;
	}
	exit = &region->exits[number];
	data_race(region->counts[number]++);
	/* It may be used until preemption is on again. */
	ub_region_put(region, exit->reason);
	/* Without a dispatch orig_ax still is what ub_enter() has stored. */
	if (unlikely(exit->flags & (UB_EXITF_MISS | UB_EXITF_SLOW) ||
		     trace_ub_exit_enabled() ||
		     data_race(region->dropped) || regs->orig_ax == -1UL ||
		     outcome || data_race(backoff->runs))) {
		ub_left_unusually(regs, host_flags);
		return;
	}
	ub_complete(regs, exit, host_flags);
	preempt_enable();
}

/*
 * The same with all that .account may ask for; not inlined, since it calls functions.  Not
 * traced: a tracer would run before the history is cleared.
 */
static noinline notrace void ub_left_specially(struct pt_regs *regs, u64 host_flags,
				       unsigned long account)
{
	const struct ub_frame *frame = ub_frame_of(regs);

	if (account & UB_ACCOUNT_OUTCOME)
		ub_outcome_of(account)->ended = rdtsc();
	ub_clear_user_history();
	if (account & UB_ACCOUNT_VECTOR) {
		if (frame->fip)
			ub_x87_leave(frame->fip);
		ub_softirqs_on();
	}
	ub_left_usually(regs, host_flags, ub_backoff_of(account), account & UB_ACCOUNT_OUTCOME);
}

/*
 * The code has been left: called on the stack below the frame.  With UB_ACCOUNT_OUTCOME
 * preemption stays off, else it is on again.
 */
notrace void ub_left(struct pt_regs *regs, u64 host_flags)
{
	unsigned long account = ub_frame_of(regs)->account;

	if (account & UB_ACCOUNT_BITS) {
		ub_left_specially(regs, host_flags, account);
		return;
	}
	/* Branch history of user code must not steer indirect branches of the kernel. */
	ub_clear_user_history();
	ub_left_usually(regs, host_flags, (struct ub_backoff *)account, false);
}
