// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gap tracing: records the instructions of one gap, or of the rest of one.
 *
 * A thread that returns from a hot system call is sometimes single-stepped until its next
 * call: user space then gets all the code in between at once, with the target of every
 * return and every jump.  So is a thread whose run has ended where the region lacks code:
 * otherwise a rare path would cost one build for each of its blocks.  One thread at a time,
 * a few thousand steps at most.
 *
 * The program must not be able to detect this.  The kernel hides a trap flag that is marked
 * as forced (TIF_FORCED_TF) from signal frames, core dumps and debuggers; the remaining
 * instructions show or change the flag themselves, or enter the kernel with it.  Stepping
 * ends before those.
 */
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>

#include "client.h"
#include "proc.h"
#include "retrace.h"
#include "sample_budget.h"
#include "site_table.h"
#include "trace_gap.h"
#include "tunables.h"
#include "ub.h"

#define UB_INSN_MAX	15	/* bytes */
#define UB_TRACE_PAUSE	1024	/* pause after a trace, as a multiple of its time */
#define UB_STEP_NS	1500	/* assumed time of a step until some have been timed */
#define UB_STEP_OUTLIER	4	/* multiple of the average; longer steps were interrupted */

enum ub_trace_gap_state {
	UB_TRACE_FREE,
	UB_TRACE_ON,		/* .task has the trap flag */
	UB_TRACE_DONE,		/* user space may fetch the path */
	UB_TRACE_TAKEN,		/* user space is fetching it */
};

static struct {
	raw_spinlock_t lock;
	enum ub_trace_gap_state state;
	struct task_struct *task;	/* while UB_TRACE_ON; a reference */
	struct ub_proc *proc;		/* unless UB_TRACE_FREE; a reference */
	u64 ip;
	u32 nr;
	u32 next_nr;
	u32 most;
	u32 count;
	unsigned long virtual_dr6;	/* value that a debugger would read */
	u64 begun_ns;			/* CLOCK_MONOTONIC, as the next */
	u64 pause_ns;			/* until then only urgent traces */
	u64 hash;			/* of the path so far */
	u64 ips[UB_PATH_MAX];
} ub_gap_trace = { .lock = __RAW_SPIN_LOCK_UNLOCKED(ub_gap_trace.lock) };

/* Time of a step, a moving average in ns. */
static u64 ub_step_ns = UB_STEP_NS;

/* Estimated time of .steps, in ns. */
u64 ub_trace_gap_cost(u32 steps)
{
	return steps * READ_ONCE(ub_step_ns);
}

/* Under the lock: .count steps took .elapsed.  Returns the ns to charge to the process. */
static u64 ub_trace_gap_learn(u64 elapsed, u32 count)
{
	u64 old = ub_step_ns, each = clamp(elapsed / count, old / 2, old * 2);

	WRITE_ONCE(ub_step_ns, old - (old >> 3) + (each >> 3) + 1);
	return min(elapsed, UB_STEP_OUTLIER * count * old);
}

/*
 * True if the instruction may be stepped.  False if it shows flags (pushf), sets them (popf,
 * iret), enters the kernel, traps, delays the trap (mov ss), leaves 64-bit code, or begins a
 * transaction, which the trap would abort.
 */
static bool ub_can_step(u64 ip)
{
	u8 code[UB_INSN_MAX + 3] = {};	/* bytes behind the end read as 0 */
	unsigned long left;
	int at, reg;

	if (ip >= TASK_SIZE_MAX - UB_INSN_MAX)
		return false;
	pagefault_disable();
	left = copy_from_user(code, (void __user *)ip, UB_INSN_MAX);
	pagefault_enable();
	if (left)
		return false;
	for (at = 0; at < UB_INSN_MAX; at++) {
		switch (code[at]) {
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64 ... 0x67:
		case 0xf0: case 0xf2: case 0xf3: case 0x40 ... 0x4f:
			continue;
		}
		break;
	}
	reg = (code[at + 1] >> 3) & 7;
	switch (code[at]) {
	case 0x8e:				/* mov to a segment register */
	case 0x9c: case 0x9d:			/* pushf, popf */
	case 0xca: case 0xcb:			/* far return */
	case 0xcc: case 0xcd: case 0xcf:	/* int3, int, iret */
	case 0xf1:				/* int1 */
		return false;
	case 0xc7:				/* xbegin */
		return code[at + 1] != 0xf8;
	case 0xff:				/* far call and jump */
		return reg != 3 && reg != 5;
	case 0x0f:
		switch (code[at + 1]) {
		case 0x01:			/* of this group only rdtscp */
			return code[at + 2] == 0xf9;
		case 0x05: case 0x07:		/* syscall, sysret */
		case 0x34: case 0x35:		/* sysenter, sysexit */
		case 0xb2:			/* lss */
			return false;
		}
	}
	return true;
}

/*
 * Under the lock.  Discards the recorded path, if any.  A last reference to the task frees it
 * later, where that may sleep (compat.h).
 */
static void ub_trace_gap_free(void)
{
	if (ub_gap_trace.state == UB_TRACE_ON)
		put_task_struct(ub_gap_trace.task);
	WRITE_ONCE(ub_gap_trace.task, NULL);
	ub_proc_put(ub_gap_trace.proc);
	ub_gap_trace.proc = NULL;
	WRITE_ONCE(ub_gap_trace.state, UB_TRACE_FREE);
}

/* Under the lock.  True if no task steps any more, and no client will fetch the path. */
static bool ub_trace_gap_is_stale(void)
{
	struct task_struct *task = ub_gap_trace.task;

	if (ub_gap_trace.state == UB_TRACE_DONE)
		return !READ_ONCE(ub_gap_trace.proc->client);
	/* A signal clears both flags. */
	return ub_gap_trace.state == UB_TRACE_ON &&
	       (READ_ONCE(task->exit_state) || READ_ONCE(task->flags) & PF_EXITING ||
		!test_tsk_thread_flag(task, TIF_FORCED_TF));
}

/*
 * Step current, which is eligible, from regs->ip: the resume address of call .nr, or, for
 * UB_PATH_MISS, the address at which a run has ended.  With preemption off.  False if it
 * cannot be stepped, or not now: traces that are not urgent are limited to a small share of
 * the time, all traces by the sample budget of the process, which must cover .steps.
 */
bool ub_trace_gap_begin(struct ub_proc *proc, struct pt_regs *regs, u32 nr, bool urgent,
			u32 steps)
{
	u32 most = ub_tune(UB_TUNE_PATH_STEPS);
	u64 need = ub_sample_budget_clamp(ub_trace_gap_cost(steps));
	u64 left = ub_sample_budget_left(proc, need);
	u64 now = ktime_get_mono_fast_ns();
	unsigned long flags;
	bool begun = false;

	if (!urgent && now < READ_ONCE(ub_gap_trace.pause_ns))
		return false;
	if (left < need)
		return false;
	most = min_t(u64, most, left / READ_ONCE(ub_step_ns));
	if (!most || READ_ONCE(ub_gap_trace.state) == UB_TRACE_TAKEN ||
	    test_thread_flag(TIF_FORCED_TF) || !ub_can_step(regs->ip))
		return false;
	raw_spin_lock_irqsave(&ub_gap_trace.lock, flags);
	if (ub_trace_gap_is_stale())
		ub_trace_gap_free();
	/* An attachment that fails gives up its process while tasks may still find it. */
	if (ub_gap_trace.state == UB_TRACE_FREE && refcount_inc_not_zero(&proc->refs)) {
		ub_gap_trace.proc = proc;
		ub_gap_trace.ip = regs->ip;
		ub_gap_trace.nr = nr;
		ub_gap_trace.most = most;
		ub_gap_trace.begun_ns = now;
		ub_gap_trace.virtual_dr6 = current->thread.virtual_dr6;
		ub_gap_trace.count = 1;
		ub_gap_trace.ips[0] = regs->ip;
		ub_gap_trace.hash = UB_PATH_HASH_FIRST;
		set_thread_flag(TIF_FORCED_TF);
		set_thread_flag(TIF_SINGLESTEP);
		/* Not in r11, which the program can read. */
		regs->flags |= X86_EFLAGS_TF;
		WRITE_ONCE(ub_gap_trace.state, UB_TRACE_ON);
		WRITE_ONCE(ub_gap_trace.task, get_task_struct(current));
		begun = true;
	}
	raw_spin_unlock_irqrestore(&ub_gap_trace.lock, flags);
	return begun;
}

/* The call that the next instruction of .regs makes; UB_PATH_MISS: it is no syscall. */
static u32 ub_next_nr(const struct pt_regs *regs)
{
	u8 code[2];
	unsigned long left;

	pagefault_disable();
	left = copy_from_user(code, (void __user *)regs->ip, sizeof(code));
	pagefault_enable();
	return !left && code[0] == 0x0f && code[1] == 0x05 ? regs->ax : UB_PATH_MISS;
}

/* The path behind a call is known from now on. */
static void ub_trace_gap_note(struct ub_proc *proc, u64 ip, u32 nr, u64 hash)
{
	struct ub_site *site;

	if (nr == UB_PATH_MISS)
		return;
	site = ub_site_of(proc, ip, nr, false);
	if (site)
		ub_retrace_add(&site->retrace, hash);
}

/*
 * Stop stepping current; .whole is true if the path was recorded to its end, from where it
 * goes on with call .next_nr.
 */
static void ub_trace_gap_end(bool whole, u32 next_nr)
{
	struct ub_event event = { .type = UB_EVENT_PATH };
	struct ub_proc *proc = NULL;
	u64 now = ktime_get_mono_fast_ns(), hash = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&ub_gap_trace.lock, flags);
	/* Otherwise the trace was found stale and freed. */
	if (ub_gap_trace.task == current) {
		u64 took = now - ub_gap_trace.begun_ns;

		WRITE_ONCE(ub_gap_trace.pause_ns, now + UB_TRACE_PAUSE * took);
		atomic64_add(ub_trace_gap_learn(took, ub_gap_trace.count),
			     &ub_gap_trace.proc->spent_ns);
		if (whole) {
			ub_gap_trace.next_nr = next_nr;
			event.nr = ub_gap_trace.nr;
			event.ip = ub_gap_trace.ip;
			hash = ub_gap_trace.hash;
			proc = ub_gap_trace.proc;
			refcount_inc(&proc->refs);
			put_task_struct(current);
			WRITE_ONCE(ub_gap_trace.task, NULL);
			WRITE_ONCE(ub_gap_trace.state, UB_TRACE_DONE);
		} else {
			ub_trace_gap_free();
		}
	}
	raw_spin_unlock_irqrestore(&ub_gap_trace.lock, flags);
	if (proc) {
		ub_trace_gap_note(proc, event.ip, event.nr, hash);
		ub_proc_send(proc, &event);
		ub_proc_put(proc);
	}
}

/* A debug exception in user mode, with interrupts off: handle it if it is our step. */
static int ub_trace_gap_notify(struct notifier_block *block, unsigned long what, void *data)
{
	struct die_args *args = data;
	struct pt_regs *regs = args->regs;
	unsigned long *dr6 = (unsigned long *)args->err;
	unsigned long virtual_dr6;

	if (what != DIE_DEBUG || READ_ONCE(ub_gap_trace.task) != current ||
	    !user_mode(regs) || !(*dr6 & DR_STEP))
		return NOTIFY_DONE;
	/*
	 * A signal has ended the stepping here and the program now steps itself; or a
	 * debugger does: user_enable_single_step() sets this since "entry: Ensure trap
	 * after single-step on system call return" (5.11).
	 */
	if (!test_thread_flag(TIF_FORCED_TF) ||
	    current_thread_info()->syscall_work & SYSCALL_WORK_SYSCALL_EXIT_TRAP) {
		ub_trace_gap_end(false, UB_PATH_MISS);
		return NOTIFY_DONE;
	}
	/*
	 * The remaining trap bits would raise SIGTRAP, but none of them is a triggered
	 * breakpoint.  The kernel's handler, which ran before, has cleared the bits of data
	 * breakpoints, and set those for a debugger in virtual_dr6; it leaves execution
	 * breakpoints to their own exception, which follows.  All other bits are stale: a
	 * single step also reports disabled registers, whose type then reads as execution.
	 */
	*dr6 &= ~(DR_STEP | DR_TRAP_BITS);
	current->thread.virtual_dr6 &= ~DR_STEP;
	virtual_dr6 = ub_gap_trace.virtual_dr6;
	ub_gap_trace.ips[ub_gap_trace.count++] = regs->ip;
	ub_gap_trace.hash = ub_path_hash(ub_gap_trace.hash, regs->ip);
	if (ub_gap_trace.count >= ub_gap_trace.most || !ub_can_step(regs->ip)) {
		regs->flags &= ~X86_EFLAGS_TF;
		clear_thread_flag(TIF_SINGLESTEP);
		clear_thread_flag(TIF_FORCED_TF);
		ub_trace_gap_end(true, ub_next_nr(regs));
	}
	/* Remaining bits, for example of a bus lock, raise no signal. */
	if (*dr6 || current->thread.virtual_dr6)
		return NOTIFY_DONE;
	current->thread.virtual_dr6 = virtual_dr6;
	return NOTIFY_STOP;
}

static struct notifier_block ub_trace_gap_block = { .notifier_call = ub_trace_gap_notify };

/* UB_IOC_PATH: copy the recorded path to user space, if it is of .proc. */
int ub_trace_gap_take(struct ub_proc *proc, struct ub_path *path)
{
	unsigned long flags;
	int err = -EAGAIN;

	if (path->flags || path->reserved || path->max < UB_PATH_MAX)
		return -EINVAL;
	raw_spin_lock_irqsave(&ub_gap_trace.lock, flags);
	if (ub_gap_trace.state == UB_TRACE_DONE && ub_gap_trace.proc == proc) {
		WRITE_ONCE(ub_gap_trace.state, UB_TRACE_TAKEN);
		err = 0;
	}
	raw_spin_unlock_irqrestore(&ub_gap_trace.lock, flags);
	if (err)
		return err;
	path->ip = ub_gap_trace.ip;
	path->nr = ub_gap_trace.nr;
	path->next_nr = ub_gap_trace.next_nr;
	path->count = ub_gap_trace.count;
	if (copy_to_user(u64_to_user_ptr(path->ips), ub_gap_trace.ips,
			 array_size(ub_gap_trace.count, sizeof(ub_gap_trace.ips[0]))))
		err = -EFAULT;
	raw_spin_lock_irqsave(&ub_gap_trace.lock, flags);
	ub_trace_gap_free();
	raw_spin_unlock_irqrestore(&ub_gap_trace.lock, flags);
	return err;
}

/* True if a thread still has a trap flag that was set here. */
bool ub_trace_gap_is_on(void)
{
	unsigned long flags;
	bool on;

	raw_spin_lock_irqsave(&ub_gap_trace.lock, flags);
	if (ub_gap_trace.state != UB_TRACE_FREE && ub_trace_gap_is_stale())
		ub_trace_gap_free();
	on = ub_gap_trace.state == UB_TRACE_ON;
	raw_spin_unlock_irqrestore(&ub_gap_trace.lock, flags);
	return on;
}

int ub_trace_gap_init(void)
{
	return register_die_notifier(&ub_trace_gap_block);
}

/* Wait for all tasks in the notifier. */
void ub_trace_gap_exit(void)
{
	unregister_die_notifier(&ub_trace_gap_block);
	/* A path that was not fetched. */
	if (ub_gap_trace.state != UB_TRACE_FREE)
		ub_trace_gap_free();
}
