// SPDX-License-Identifier: GPL-2.0-only
/*
 * ub_bench: the cost of a system call's handler without any transition.
 *
 * For measuring only, never part of a deployment.  It calls a handler in a loop,
 * in the context of the process that asks, with arguments of that process.  What
 * the loop's bookkeeping costs is measured by running it without the call, and
 * reported beside it, so the reader can subtract it.
 *
 * The handler is called as the kernel's own dispatcher calls it before 6.9:
 * through a pointer, so with whatever thunk the kernel's mitigations ask for.
 * That call counts as the handler's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>

#include "ub_bench.h"

/* Calls between looking for signals and rescheduling. */
#define UB_BENCH_CHUNK	256

typedef long (*ub_bench_fn)(const struct pt_regs *regs);

struct ub_bench_name {
	u32 nr;
	const char *symbol;
};

static const struct ub_bench_name ub_bench_names[] = {
#define UB_SYSCALL(_nr, _name, _args) { (_nr), "__x64_sys_" #_name },
#include "ub_syscalls.h"
#undef UB_SYSCALL
};

/* Where in pt_regs argument number n of a system call is. */
static const size_t ub_bench_args[6] = {
	offsetof(struct pt_regs, di),
	offsetof(struct pt_regs, si),
	offsetof(struct pt_regs, dx),
	offsetof(struct pt_regs, r10),
	offsetof(struct pt_regs, r8),
	offsetof(struct pt_regs, r9),
};

/* One measurement at a time: others would only disturb it. */
static DEFINE_MUTEX(ub_bench_lock);

static unsigned long *ub_bench_arg(struct pt_regs *regs, unsigned int n)
{
	return (unsigned long *)((char *)regs + ub_bench_args[n]);
}

/* kallsyms_lookup_name() is not exported; kprobes resolve names for us. */
static ub_bench_fn ub_bench_find(const char *symbol)
{
	struct kprobe kp = { .symbol_name = symbol };
	unsigned long addr;

	if (register_kprobe(&kp))
		return NULL;
	addr = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
#ifdef CONFIG_X86_KERNEL_IBT
	/* The probe sits behind the ENDBR, an indirect call must not. */
	if (*(u32 *)(addr - 4) == 0xfa1e0ff3)
		addr -= 4;
#endif
	return (ub_bench_fn)addr;
}

/* Without fn: the bookkeeping alone.  Inlined, so that fn is not tested in it. */
static __always_inline int ub_bench_loop(ub_bench_fn fn, struct ub_bench_run *run,
					 struct pt_regs *regs, u64 *ns)
{
	u32 left = run->count;
	unsigned long scratch = 0;
	unsigned long *arg = &scratch;
	u64 begin;

	if (run->advance_arg != UB_BENCH_NO_ADVANCE)
		arg = ub_bench_arg(regs, run->advance_arg);

	run->sum = 0;
	begin = ktime_get_ns();
	while (left) {
		u32 i, chunk = min_t(u32, left, UB_BENCH_CHUNK);

		for (i = 0; i < chunk; i++) {
			long ret = fn ? fn(regs) : 0;

			/* The compiler must not know the empty loop's results. */
			OPTIMIZER_HIDE_VAR(ret);
			run->last = ret;
			run->sum += ret;
			*arg += run->advance;
			if (*arg > run->wrap)
				*arg = 0;
		}
		left -= chunk;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	*ns = ktime_get_ns() - begin;
	return 0;
}

static void ub_bench_regs(const struct ub_bench_run *run, struct pt_regs *regs)
{
	unsigned int n;

	*regs = *current_pt_regs();
	for (n = 0; n < ARRAY_SIZE(run->args); n++)
		*ub_bench_arg(regs, n) = run->args[n];
	regs->orig_ax = run->nr;
	regs->ax = -ENOSYS;
}

static int ub_bench_check(const struct ub_bench_run *run)
{
	if (!run->count || run->count > UB_BENCH_MAX_COUNT || run->reserved)
		return -EINVAL;
	if (run->advance_arg != UB_BENCH_NO_ADVANCE &&
	    run->advance_arg >= ARRAY_SIZE(run->args))
		return -EINVAL;
	if (run->wrap < run->advance)
		return -EINVAL;
	return 0;
}

static int ub_bench_measure(struct ub_bench_run *run)
{
	const char *symbol = NULL;
	struct pt_regs regs;
	ub_bench_fn fn;
	unsigned int i;
	int err;

	err = ub_bench_check(run);
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(ub_bench_names); i++)
		if (ub_bench_names[i].nr == run->nr)
			symbol = ub_bench_names[i].symbol;
	if (!symbol)
		return -EOPNOTSUPP;
	fn = ub_bench_find(symbol);
	if (!fn)
		return -ENOENT;

	ub_bench_regs(run, &regs);
	err = ub_bench_loop(NULL, run, &regs, &run->empty_ns);
	if (err)
		return err;
	ub_bench_regs(run, &regs);
	return ub_bench_loop(fn, run, &regs, &run->total_ns);
}

static long ub_bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct ub_bench_run run;
	int err;

	if (cmd != UB_BENCH_IOC_RUN)
		return -ENOTTY;
	/* Anything root may do, and no one else: the handler is not filtered. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&run, user, sizeof(run)))
		return -EFAULT;
	if (mutex_lock_interruptible(&ub_bench_lock))
		return -ERESTARTSYS;
	err = ub_bench_measure(&run);
	mutex_unlock(&ub_bench_lock);
	if (err)
		return err;
	return copy_to_user(user, &run, sizeof(run)) ? -EFAULT : 0;
}

static const struct file_operations ub_bench_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = ub_bench_ioctl,
};

static struct miscdevice ub_bench_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ub_bench",
	.fops = &ub_bench_fops,
	.mode = 0600,
};

module_misc_device(ub_bench_device);

MODULE_DESCRIPTION("Measures system call handlers without their transitions");
MODULE_LICENSE("GPL");
