// SPDX-License-Identifier: GPL-2.0-only
/*
 * ub_others: other users of a handler that ub hooks, each of its kind.
 *
 * how=end: a probe that ends getppid early with -EPERM, as error injection does
 * how=watch: a probe that only counts calls of getppid
 * how=patch: a livepatch, getppid returns 4711
 * how=direct: a direct call, as BPF trampolines make
 */
#include <linux/atomic.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <asm/linkage.h>

#define HANDLER	"__x64_sys_getppid"

static char *how = "";
module_param(how, charp, 0444);

static ulong calls;
module_param(calls, ulong, 0444);

/* Where a call goes on that was ended; also a direct call that does nothing. */
void ub_others_return(void);
asm(".pushsection .text\n"
    ".type ub_others_return, @function\n"
    ".globl ub_others_return\n"
    "ub_others_return:\n"
    ASM_RET
    ".size ub_others_return, . - ub_others_return\n"
    ".popsection\n");

static int end_call(struct kprobe *kp, struct pt_regs *regs)
{
	regs->ax = -EPERM;
	/* All that a function may return. */
	regs->dx = 4712;
	regs->ip = (unsigned long)ub_others_return;
	return 1;
}

static int count_call(struct kprobe *kp, struct pt_regs *regs)
{
	WRITE_ONCE(calls, calls + 1);
	return 0;
}

static struct kprobe probe = { .symbol_name = HANDLER };

static long patched_getppid(const struct pt_regs *regs)
{
	return 4711;
}

static struct klp_func patched[] = {
	{ .old_name = HANDLER, .new_func = patched_getppid }, { }
};
static struct klp_object objects[] = { { .funcs = patched }, { } };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static struct ftrace_ops direct;

static int __init start_direct(void)
{
	struct kprobe kp = { .symbol_name = HANDLER, .flags = KPROBE_FLAG_DISABLED };
	unsigned long address;
	int err = register_kprobe(&kp);

	if (err)
		return err;
	address = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	err = ftrace_set_filter_ip(&direct, address, 0, 1);
	return err ?: register_ftrace_direct_multi(&direct,
						   (unsigned long)ub_others_return);
}

static int __init others_init(void)
{
	if (!strcmp(how, "patch"))
		return klp_enable_patch(&patch);
	if (!strcmp(how, "direct"))
		return start_direct();
	if (!strcmp(how, "end"))
		probe.pre_handler = end_call;
	else if (!strcmp(how, "watch"))
		probe.pre_handler = count_call;
	else
		return -EINVAL;
	return register_kprobe(&probe);
}

static void __exit others_exit(void)
{
	if (probe.pre_handler)
		unregister_kprobe(&probe);
	if (!strcmp(how, "direct"))
		unregister_ftrace_direct_multi(&direct, (unsigned long)ub_others_return);
}

module_init(others_init);
module_exit(others_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Other users of a handler that ub hooks, for tests");
MODULE_INFO(livepatch, "Y");
