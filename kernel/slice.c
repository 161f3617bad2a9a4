// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounds the time of segments.
 *
 * Segments run with preemption off, and a number of instructions bounds no time: each of them
 * may miss all caches.  So the usual budget of a segment is small.  A region whose segments use
 * it up is entered with a timer from then on: as long as the timer runs on a CPU, segments
 * there have the large budget (UB_TUNE_BUDGET), and the timer ends each segment that it
 * interrupts.  It takes what is left of the budget, so that the segment exits at its next
 * charge: paths without a loop have charges, too.  There is no timer for programs with short
 * segments.
 */
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/irq_regs.h>

#include "arena_text.h"
#include "compat.h"
#include "slice.h"
#include "tunables.h"
#include "ub.h"

#define UB_SLICE_NS	100000	/* period of the timer */
#define UB_SLICE_TURNS	4	/* periods until the timer stops if nothing needs it */
/* Bytes that generated code has below its frame, between a push and the pop behind it. */
#define UB_SLICE_PUSHED	8

struct ub_slice {
	struct hrtimer timer;
	int cpu;
	u32 left;		/* periods; changed with interrupts off */
};

DEFINE_PER_CPU(u32, ub_budget) = UB_SLICE_BUDGET;
static u32 ub_small_budget = UB_SLICE_BUDGET;
static DEFINE_PER_CPU(struct ub_slice, ub_slices);

/* If the timer has interrupted a segment, it ends at its next charge. */
static void ub_slice_end(void)
{
	/* mov [rsp + BUDGET], r11d: a dispatch is about to store a new budget. */
	static const u8 store[] = { 0x44, 0x89, 0x5c, 0x24, UB_FRAME_BUDGET };
	struct pt_regs *regs = get_irq_regs();
	unsigned long frame = (unsigned long)task_pt_regs(current) - UB_FRAME_REGS;

	if (!regs || regs->ip - (unsigned long)ub_arena >= UB_ARENA_SIZE)
		return;
	/* The region of the self-test has its frame elsewhere. */
	if (frame - regs->sp > UB_SLICE_PUSHED)
		return;
	if (!memcmp((const void *)regs->ip, store, sizeof(store)))
		regs->r11 = (u32)UB_SLICE_TAKEN;
	*(s32 *)(frame + UB_FRAME_BUDGET) = UB_SLICE_TAKEN;
}

static enum hrtimer_restart ub_slice_tick(struct hrtimer *timer)
{
	struct ub_slice *slice = container_of(timer, struct ub_slice, timer);

	/* Timers of a CPU that goes offline move to another one. */
	if (slice->cpu != smp_processor_id()) {
		per_cpu(ub_budget, slice->cpu) = READ_ONCE(ub_small_budget);
		return HRTIMER_NORESTART;
	}
	ub_slice_end();
	if (in_serving_softirq()) {
		/* The segment that softirqs have interrupted may have the large budget. */
	} else if (slice->left) {
		slice->left--;
	} else if (__this_cpu_read(ub_budget) != READ_ONCE(ub_small_budget)) {
		/* The next turn ends a segment that has just read the large budget. */
		__this_cpu_write(ub_budget, READ_ONCE(ub_small_budget));
	} else {
		return HRTIMER_NORESTART;
	}
	hrtimer_forward_now(timer, ns_to_ktime(UB_SLICE_NS));
	return HRTIMER_RESTART;
}

/* A region with long segments is about to be entered.  With preemption off. */
void ub_slice_begin(void)
{
	struct ub_slice *slice;
	unsigned long flags;

	/* Then the small budget is the large one. */
	if (ub_tune(UB_TUNE_BUDGET) <= UB_SLICE_BUDGET)
		return;
	local_irq_save(flags);
	slice = this_cpu_ptr(&ub_slices);
	slice->left = UB_SLICE_TURNS;
	__this_cpu_write(ub_budget, ub_tune(UB_TUNE_BUDGET));
	if (!hrtimer_active(&slice->timer))
		hrtimer_start(&slice->timer, ns_to_ktime(UB_SLICE_NS),
			      HRTIMER_MODE_REL_PINNED_HARD);
	local_irq_restore(flags);
}

/* UB_TUNE_BUDGET has changed. */
void ub_slice_tuned(void)
{
	u32 small = min_t(u64, UB_SLICE_BUDGET, ub_tune(UB_TUNE_BUDGET));
	int cpu;

	WRITE_ONCE(ub_small_budget, small);
	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(ub_budget, cpu), small);
}

void ub_slice_init(void)
{
	int cpu;

	ub_slice_tuned();
	for_each_possible_cpu(cpu) {
		per_cpu(ub_slices, cpu).cpu = cpu;
		ub_hrtimer_setup(&per_cpu(ub_slices, cpu).timer, ub_slice_tick,
				 HRTIMER_MODE_REL_PINNED_HARD);
	}
}

/* No region is left. */
void ub_slice_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu(ub_slices, cpu).timer);
}
