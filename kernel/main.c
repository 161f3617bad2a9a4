// SPDX-License-Identifier: GPL-2.0-only
/* Userspace Bypass: hot user code between system calls runs in the kernel. */
#include <linux/module.h>

#include "internal.h"

static int __init ub_init(void)
{
	int err;

	err = ub_check();
	if (err)
		return err;
	err = ub_lookup_init();
	if (err)
		return err;

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
/* As src/ubypass/version.py has it. */
MODULE_VERSION("0.1.0");
