// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks of the allow-listed system-call handlers.
 *
 * ftrace's direct calls let the start of a handler call our trampoline with no
 * register save.  Handlers run after the entry work (seccomp, ptrace, audit) and
 * before the exit work, on every kernel since 4.17.  Hooked only while some process is
 * attached, and UB_LINGER longer; calls that are not listed are never touched.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "internal.h"

#define UB_CALL_SIZE	5	/* of the call that ftrace patches in */
#define UB_LINGER	(HZ / 10) /* from the last detach until handlers are unhooked */

struct ub_handler {
	const char *name;
	u32 nr;
	u8 args;
	unsigned long fentry;	/* where ftrace patches */
};

#define UB_SYSCALL(_nr, _name, _args) \
	{ .name = "__x64_sys_" #_name, .nr = _nr, .args = _args },
static struct ub_handler ub_handlers[] = {
#include "ub_syscalls.h"
};
#undef UB_SYSCALL

u16 ub_filter[UB_FILTER_SIZE];

static struct ub_handler *ub_by_nr[512];
static struct ftrace_ops ub_ops;
static DEFINE_MUTEX(ub_hook_mutex);
static unsigned int ub_hook_users;
static bool ub_hooked;
/* One reference to the module from the first attachment until all are out. */
static bool ub_hook_reference;
/* Tasks of attached processes that are between the trampoline's two calls. */
DEFINE_PER_CPU(long, ub_inside);
static struct delayed_work ub_drain_work;

static unsigned long ub_lookup(const char *name)
{
	struct kprobe kp = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long address;

	if (register_kprobe(&kp) < 0)
		return 0;
	address = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	return address;
}

static bool ub_is_fentry(unsigned long address)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	const u8 *at = (const u8 *)address;

	/* Somebody may be tracing it already: then it is a call. */
	return !memcmp(at, nop, sizeof(nop)) || *at == 0xe8;
}

/*
 * The filter is set once: ftrace_free_filter() leaves a dangling hash behind, so an
 * ftrace_ops whose filter was freed must not be used again.
 */
static int ub_hook_filter(void)
{
	unsigned long *ips;
	unsigned int i;
	int err;

	ips = kcalloc(ARRAY_SIZE(ub_handlers), sizeof(*ips), GFP_KERNEL);
	if (!ips)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++)
		ips[i] = ub_handlers[i].fentry;
	err = ftrace_set_filter_ips(&ub_ops, ips, ARRAY_SIZE(ub_handlers), 0, 1);
	kfree(ips);
	if (err)
		pr_err("ub: ftrace refuses the system-call handlers (%d)\n", err);
	return err;
}

int ub_hook_init(void)
{
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ub_handlers); i++) {
		struct ub_handler *h = &ub_handlers[i];
		unsigned long address = ub_lookup(h->name);

		if (!address) {
			pr_err("ub: this kernel has no %s to hook\n", h->name);
			return -EOPNOTSUPP;
		}
		if (!memcmp((void *)address, endbr, sizeof(endbr)))
			address += sizeof(endbr);
		if (!ub_is_fentry(address)) {
			pr_err("ub: %s cannot be traced by ftrace\n", h->name);
			return -EOPNOTSUPP;
		}
		h->fentry = address;
		ub_by_nr[h->nr] = h;
	}
	return ub_hook_filter();
}

/* The handler past its ftrace prologue, or 0 if nr is not allowed. */
unsigned long ub_hook_body(u32 nr)
{
	if (nr >= ARRAY_SIZE(ub_by_nr) || !ub_by_nr[nr])
		return 0;
	return ub_by_nr[nr]->fentry + UB_CALL_SIZE;
}

u8 ub_hook_args(u32 nr)
{
	return ub_hook_body(nr) ? ub_by_nr[nr]->args : UB_SYSCALL_NONE;
}

static int ub_hook_install(void)
{
	int err;

#ifdef UB_HAVE_DIRECT_MULTI
	err = register_ftrace_direct_multi(&ub_ops, (unsigned long)ub_trampoline);
#else
	err = register_ftrace_direct(&ub_ops, (unsigned long)ub_trampoline);
#endif
	/* Left set by some failures (livepatch), and then refused the next time. */
	if (err) {
		ub_ops.func = NULL;
		ub_ops.trampoline = 0;
	}
	return err;
}

static int ub_hook_remove(void)
{
#ifdef UB_HAVE_DIRECT_MULTI
	return unregister_ftrace_direct_multi(&ub_ops, (unsigned long)ub_trampoline);
#else
	return unregister_ftrace_direct(&ub_ops, (unsigned long)ub_trampoline, false);
#endif
}

static long ub_hook_inside(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ub_inside, cpu));
	return sum;
}

/*
 * After the last detach: unhook, and let the module go once nobody is inside.
 *
 * Unhooking waits for all tasks (RCU-tasks), seconds at worst, so it is neither
 * done in the caller's time nor for a process that is attached again at once.  Tasks
 * may sleep in a handler with frames of ours on their stacks long after that; nobody
 * comes in any more, so the sum only falls and zero is final; no stepping begins either.
 */
static void ub_hook_drain(struct work_struct *work)
{
	mutex_lock(&ub_hook_mutex);
	if (ub_hook_users)
		goto out;
	if (ub_hooked) {
		if (ub_hook_remove()) {
			/* ftrace gave up; handlers still call us, so stay for good. */
			pr_err("ub: ftrace cannot unhook, the module must stay\n");
			goto out;
		}
		ub_hooked = false;
	}
	if (ub_hook_inside() || ub_step_is_on()) {
		mod_delayed_work(system_wq, &ub_drain_work, HZ / 10);
	} else if (ub_hook_reference) {
		ub_hook_reference = false;
		module_put(THIS_MODULE);
	}
out:
	mutex_unlock(&ub_hook_mutex);
}

/* One more process is attached.  It must be in the filter after this. */
int ub_hook_get(void)
{
	int err = 0;

	mutex_lock(&ub_hook_mutex);
	if (!ub_hook_reference) {
		ub_hook_reference = true;
		__module_get(THIS_MODULE);
	}
	if (!ub_hooked)
		err = ub_hook_install();
	if (!err) {
		ub_hooked = true;
		ub_hook_users++;
	} else if (!ub_hook_users) {
		mod_delayed_work(system_wq, &ub_drain_work, 0);
	}
	mutex_unlock(&ub_hook_mutex);
	return err;
}

void ub_hook_put(void)
{
	mutex_lock(&ub_hook_mutex);
	if (!--ub_hook_users)
		mod_delayed_work(system_wq, &ub_drain_work, UB_LINGER);
	mutex_unlock(&ub_hook_mutex);
}

/* No module reference is left, so nobody is inside; wait for the last steps. */
void ub_hook_exit(void)
{
	flush_delayed_work(&ub_drain_work);
	synchronize_rcu_tasks();
	ftrace_free_filter(&ub_ops);
}

void ub_hook_setup(void)
{
	INIT_DELAYED_WORK(&ub_drain_work, ub_hook_drain);
}
