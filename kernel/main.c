// SPDX-License-Identifier: GPL-2.0-only
/* Userspace Bypass: hot user code between system calls runs in the kernel. */
#include <linux/module.h>

#include <asm/cpufeature.h>

#include "internal.h"

static int __init ub_init(void)
{
	int err;

	/* Translations keep flags with it.  Only the first 64-bit processors lack it. */
	if (!boot_cpu_has(X86_FEATURE_LAHF_LM)) {
		pr_err("ub: no lahf in 64-bit mode on this processor\n");
		return -ENODEV;
	}

	/*
	 * Handlers are called behind their endbr, and regions begin with none.  That
	 * the processor has it says nothing: a kernel without it does not hide the flag.
	 */
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && cpu_feature_enabled(X86_FEATURE_IBT)) {
		pr_err("ub: this kernel runs with indirect branch tracking (IBT), which is not supported; boot it with ibt=off\n");
		return -EOPNOTSUPP;
	}

	ub_hook_setup();
	err = ub_hook_init();
	if (err)
		return err;
	ub_seccomp_init();
	err = ub_arena_init();
	if (err)
		goto hook;
	err = ub_region_init();
	if (err)
		goto hook;
	err = ub_fault_init();
	if (err)
		goto region;
	err = ub_step_init();
	if (err)
		goto fault;
	err = ub_device_init();
	if (err)
		goto step;
	ub_stats_init();
	return 0;

step:
	ub_step_exit();
fault:
	ub_fault_exit();
region:
	ub_region_exit();
hook:
	ub_hook_exit();
	return err;
}

static void __exit ub_exit(void)
{
	ub_stats_exit();
	ub_device_exit();
	ub_cost_exit();
	ub_hook_exit();
	ub_step_exit();
	ub_children_exit();
	ub_detect_exit();
	ub_region_exit();
	ub_attach_exit();
	ub_fault_exit();
	ub_arena_exit();
}

module_init(ub_init);
module_exit(ub_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Userspace Bypass");
