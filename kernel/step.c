// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way that one gap takes, instruction by instruction.
 *
 * Now and then a thread that returns from a hot system call is single-stepped until
 * its next one: user space then knows all the code in between at once, with the target
 * of every return and every jump.  One thread at a time, a few thousand steps at most.
 *
 * The program must not see it.  The kernel hides a trap flag that is marked as forced
 * (TIF_FORCED_TF) from signal frames, core dumps and debuggers; that leaves instructions
 * that show or change the flag themselves, or enter the kernel with it.  Stepping ends
 * before those.
 */
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>

#include "internal.h"

#define UB_INSN_MAX	15	/* bytes */
#define UB_STEP_PAUSE	1024	/* after a way, for so many times as long as it took */
#define UB_STEP_NS	1500	/* of a step, until some have been timed */
#define UB_STEP_ODD	4	/* times as long is not all the step's: others ran, too */

enum ub_step_state {
	UB_STEP_FREE,
	UB_STEP_ON,		/* .task has the trap flag */
	UB_STEP_DONE,		/* user space may fetch it */
	UB_STEP_TAKEN,		/* user space does */
};

static struct {
	spinlock_t lock;
	enum ub_step_state state;
	struct task_struct *task;	/* while UB_STEP_ON; a reference */
	struct ub_proc *proc;		/* unless UB_STEP_FREE; a reference */
	u64 ip;
	u32 nr;
	u32 most;
	u32 count;
	unsigned long virtual_dr6;	/* what a debugger would have read before */
	u64 begun_ns;			/* CLOCK_MONOTONIC, as the next */
	u64 pause_ns;			/* until then only what is urgent */
	u64 ips[UB_PATH_MAX];
} ub_step = { .lock = __SPIN_LOCK_UNLOCKED(ub_step.lock) };

/* What a step takes, a moving average in ns. */
static u64 ub_step_ns = UB_STEP_NS;

/* What so many steps take, in ns. */
u64 ub_step_cost(u32 steps)
{
	return steps * READ_ONCE(ub_step_ns);
}

/* Under the lock: .count steps took .elapsed.  What that costs their process, in ns. */
static u64 ub_step_learn(u64 elapsed, u32 count)
{
	u64 old = ub_step_ns, each = clamp(elapsed / count, old / 2, old * 2);

	WRITE_ONCE(ub_step_ns, old - (old >> 3) + (each >> 3) + 1);
	return min(elapsed, UB_STEP_ODD * count * old);
}

/*
 * May the instruction be stepped?  Not if it shows flags (pushf), sets them (popf,
 * iret), enters the kernel, traps, delays the trap (mov ss), leaves 64-bit code, or
 * begins a transaction, which no trap survives.
 */
static bool ub_step_may(u64 ip)
{
	u8 code[UB_INSN_MAX + 3] = {};	/* what is behind the end reads as 0 */
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

/* Under the lock.  What was found is lost, if anything. */
static void ub_step_free(void)
{
	if (ub_step.state == UB_STEP_ON)
		put_task_struct(ub_step.task);
	WRITE_ONCE(ub_step.task, NULL);
	ub_proc_put(ub_step.proc);
	ub_step.proc = NULL;
	WRITE_ONCE(ub_step.state, UB_STEP_FREE);
}

/* Under the lock.  Is there nobody who goes on stepping, or fetches what was found? */
static bool ub_step_is_stale(void)
{
	struct task_struct *task = ub_step.task;

	if (ub_step.state == UB_STEP_DONE)
		return !READ_ONCE(ub_step.proc->client);
	/* A signal takes both flags away. */
	return ub_step.state == UB_STEP_ON &&
	       (READ_ONCE(task->exit_state) || READ_ONCE(task->flags) & PF_EXITING ||
		!test_tsk_thread_flag(task, TIF_FORCED_TF));
}

/*
 * Step current from regs->ip, where a system call returns to, which is not odd in any
 * way.  With preemption off.  False if it is not to be, or not now: what is not urgent
 * has to keep to a small share of the time, and all of it to what the process may spend.
 * .steps: so many have to be affordable.
 */
bool ub_step_begin(struct ub_proc *proc, struct pt_regs *regs, bool urgent, u32 steps)
{
	u32 most = ub_tune(UB_TUNE_PATH_STEPS);
	u64 need = ub_cost_clamp(ub_step_cost(steps));
	u64 left = ub_cost_left(proc, need);
	u64 now = ktime_get_mono_fast_ns();
	unsigned long flags;
	bool begun = false;

	if (!urgent && now < READ_ONCE(ub_step.pause_ns))
		return false;
	if (left < need)
		return false;
	most = min_t(u64, most, left / READ_ONCE(ub_step_ns));
	if (!most || READ_ONCE(ub_step.state) == UB_STEP_TAKEN ||
	    test_thread_flag(TIF_FORCED_TF) || !ub_step_may(regs->ip))
		return false;
	spin_lock_irqsave(&ub_step.lock, flags);
	if (ub_step_is_stale())
		ub_step_free();
	if (ub_step.state == UB_STEP_FREE) {
		refcount_inc(&proc->refs);
		ub_step.proc = proc;
		ub_step.ip = regs->ip;
		ub_step.nr = regs->orig_ax;
		ub_step.most = most;
		ub_step.begun_ns = now;
		ub_step.virtual_dr6 = current->thread.virtual_dr6;
		ub_step.count = 1;
		ub_step.ips[0] = regs->ip;
		set_thread_flag(TIF_FORCED_TF);
		set_thread_flag(TIF_SINGLESTEP);
		/* Not in r11: the program sees that. */
		regs->flags |= X86_EFLAGS_TF;
		WRITE_ONCE(ub_step.state, UB_STEP_ON);
		WRITE_ONCE(ub_step.task, get_task_struct(current));
		begun = true;
	}
	spin_unlock_irqrestore(&ub_step.lock, flags);
	return begun;
}

/* Current is not stepped any more; .whole tells whether its way was seen to an end. */
static void ub_step_end(bool whole)
{
	struct ub_event event = { .type = UB_EVENT_PATH };
	struct ub_proc *proc = NULL;
	u64 now = ktime_get_mono_fast_ns();
	unsigned long flags;

	spin_lock_irqsave(&ub_step.lock, flags);
	/* Else somebody found it stale meanwhile. */
	if (ub_step.task == current) {
		u64 took = now - ub_step.begun_ns;

		WRITE_ONCE(ub_step.pause_ns, now + UB_STEP_PAUSE * took);
		atomic64_add(ub_step_learn(took, ub_step.count), &ub_step.proc->spent_ns);
		if (whole) {
			event.nr = ub_step.nr;
			event.ip = ub_step.ip;
			proc = ub_step.proc;
			refcount_inc(&proc->refs);
			put_task_struct(current);
			WRITE_ONCE(ub_step.task, NULL);
			WRITE_ONCE(ub_step.state, UB_STEP_DONE);
		} else {
			ub_step_free();
		}
	}
	spin_unlock_irqrestore(&ub_step.lock, flags);
	if (proc) {
		ub_event_send(proc, &event);
		ub_proc_put(proc);
	}
}

/* A debug exception of user mode, with interrupts off.  Is it a step of ours? */
static int ub_step_notify(struct notifier_block *block, unsigned long what, void *data)
{
	struct die_args *args = data;
	struct pt_regs *regs = args->regs;
	unsigned long *dr6 = (unsigned long *)args->err;
	unsigned long virtual_dr6;

	if (what != DIE_DEBUG || READ_ONCE(ub_step.task) != current ||
	    !user_mode(regs) || !(*dr6 & DR_STEP))
		return NOTIFY_DONE;
	/*
	 * A signal has ended our stepping and the program now steps itself; or a
	 * debugger does: user_enable_single_step() sets this since "entry: Ensure trap
	 * after single-step on system call return" (5.11).
	 */
	if (!test_thread_flag(TIF_FORCED_TF) ||
	    current_thread_info()->syscall_work & SYSCALL_WORK_SYSCALL_EXIT_TRAP) {
		ub_step_end(false);
		return NOTIFY_DONE;
	}
	/*
	 * What is left of the trap bits would raise SIGTRAP, but none of them means a
	 * breakpoint that has fired.  The kernel's handler, which came first, has taken
	 * away those of data breakpoints, and says in virtual_dr6 which of them a
	 * debugger wants to hear of; execution breakpoints it leaves to the exception of
	 * their own that follows.  All others are stale: a single step also reports
	 * registers that are switched off, whose type then reads as execution.
	 */
	*dr6 &= ~(DR_STEP | DR_TRAP_BITS);
	current->thread.virtual_dr6 &= ~DR_STEP;
	virtual_dr6 = ub_step.virtual_dr6;
	ub_step.ips[ub_step.count++] = regs->ip;
	if (ub_step.count >= ub_step.most || !ub_step_may(regs->ip)) {
		regs->flags &= ~X86_EFLAGS_TF;
		clear_thread_flag(TIF_SINGLESTEP);
		clear_thread_flag(TIF_FORCED_TF);
		ub_step_end(true);
	}
	/* What remains, as of a bus lock, is not for signals. */
	if (*dr6 || current->thread.virtual_dr6)
		return NOTIFY_DONE;
	current->thread.virtual_dr6 = virtual_dr6;
	return NOTIFY_STOP;
}

static struct notifier_block ub_step_block = { .notifier_call = ub_step_notify };

/* UB_IOC_PATH: hand out the way that was found, if it is of proc. */
int ub_step_take(struct ub_proc *proc, struct ub_path *path)
{
	unsigned long flags;
	int err = -EAGAIN;

	if (path->flags || path->max < UB_PATH_MAX)
		return -EINVAL;
	spin_lock_irqsave(&ub_step.lock, flags);
	if (ub_step.state == UB_STEP_DONE && ub_step.proc == proc) {
		WRITE_ONCE(ub_step.state, UB_STEP_TAKEN);
		err = 0;
	}
	spin_unlock_irqrestore(&ub_step.lock, flags);
	if (err)
		return err;
	path->ip = ub_step.ip;
	path->nr = ub_step.nr;
	path->count = ub_step.count;
	if (copy_to_user(u64_to_user_ptr(path->ips), ub_step.ips,
			 array_size(ub_step.count, sizeof(ub_step.ips[0]))))
		err = -EFAULT;
	spin_lock_irqsave(&ub_step.lock, flags);
	ub_step_free();
	spin_unlock_irqrestore(&ub_step.lock, flags);
	return err;
}

/* Whether some thread still has a trap flag that only we know of. */
bool ub_step_is_on(void)
{
	unsigned long flags;
	bool on;

	spin_lock_irqsave(&ub_step.lock, flags);
	if (ub_step.state != UB_STEP_FREE && ub_step_is_stale())
		ub_step_free();
	on = ub_step.state == UB_STEP_ON;
	spin_unlock_irqrestore(&ub_step.lock, flags);
	return on;
}

int ub_step_init(void)
{
	return register_die_notifier(&ub_step_block);
}

/* Waits for those who are in the notifier. */
void ub_step_exit(void)
{
	unregister_die_notifier(&ub_step_block);
	/* What nobody has fetched. */
	if (ub_step.state != UB_STEP_FREE)
		ub_step_free();
}
