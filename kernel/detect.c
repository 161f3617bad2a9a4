// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sites of attached processes are hot.
 *
 * The time from the end of one hooked call to the start of the same task's next
 * is the gap after the first call's site (its resume address), plus a transition.
 * Samples are lossy on purpose: one slot per CPU, one per hash of an address.
 */
#include <linux/hash.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <asm/syscall.h>
#include <asm/tsc.h>

#include "internal.h"

struct ub_last {
	struct task_struct *task;
	u64 ip;
	u64 tsc;
};

static DEFINE_PER_CPU(struct ub_last, ub_last);

static struct ub_site *ub_site_of(struct ub_proc *proc, u64 ip)
{
	return &proc->sites[hash_64(ip, ilog2(UB_SITES))];
}

static u64 ub_window(void)
{
	u64 ms = ub_tune(UB_TUNE_WINDOW_MS);

	return div64_u64(ktime_get_mono_fast_ns(), ms * NSEC_PER_MSEC) + 1;
}

/* A hooked call begins: account the gap before it.  Under RCU. */
void ub_detect_before(struct ub_proc *proc, u64 now)
{
	struct ub_site *site;
	struct ub_last last;
	u64 gap, window;

	preempt_disable();
	last = *this_cpu_ptr(&ub_last);
	__this_cpu_write(ub_last.task, NULL);
	preempt_enable();
	if (last.task != current)
		return;
	gap = now - last.tsc;
	if (gap > div64_u64(ub_tune(UB_TUNE_GAP_NS) * tsc_khz, 1000000))
		return;

	site = ub_site_of(proc, last.ip);
	window = ub_window();
	if (site->ip != last.ip || site->window != window) {
		/* A site that is still busy keeps its slot. */
		if (site->ip != last.ip && site->window == window &&
		    site->count > ub_tune(UB_TUNE_HOT_CALLS) / 4)
			return;
		if (site->ip != last.ip) {
			site->ip = last.ip;
			site->reported = 0;
			site->hot = false;
		}
		site->window = window;
		site->count = 0;
		site->gap_sum = 0;
	}
	site->count++;
	site->gap_sum += gap;
	if (site->count >= ub_tune(UB_TUNE_HOT_CALLS))
		site->hot = true;
}

/* A hooked call ended and its resume address is no entry. */
void ub_detect_after(struct ub_proc *proc, struct pt_regs *regs)
{
	struct ub_site *site = ub_site_of(proc, regs->ip);
	u64 window;

	if (site->ip == regs->ip && site->hot) {
		window = ub_window();
		/* Once a second is enough for one that nobody takes up. */
		if (!site->reported || (window - site->reported) *
		    ub_tune(UB_TUNE_WINDOW_MS) > MSEC_PER_SEC) {
			struct ub_event event = {
				.type = UB_EVENT_HOT,
				.nr = regs->orig_ax,
				.ip = regs->ip,
				.sp = regs->sp,
				.gap_ns = div64_u64(site->gap_sum * 1000000 /
						    (site->count ?: 1),
						    tsc_khz ?: 1),
			};

			site->reported = window;
			site->hot = false;
			ub_event_with_stack(proc, &event);
		}
	}

	preempt_disable();
	__this_cpu_write(ub_last.task, current);
	__this_cpu_write(ub_last.ip, regs->ip);
	__this_cpu_write(ub_last.tsc, rdtsc());
	preempt_enable();
}
