// SPDX-License-Identifier: GPL-2.0-only
/* Userspace Bypass: hot user code between system calls runs in the kernel. */
#include <linux/module.h>

#include "arena.h"
#include "check.h"
#include "children.h"
#include "detect.h"
#include "device.h"
#include "epoch.h"
#include "fault.h"
#include "hook.h"
#include "lookup.h"
#include "proc.h"
#include "queue.h"
#include "seccomp.h"
#include "selftest.h"
#include "slice.h"
#include "stats.h"
#include "suspend.h"
#include "task_work.h"
#include "trace_gap.h"
#include "watch.h"

static int __init ub_init(void)
{
	int err;

	err = ub_check();
	if (err)
		return err;
	/* Landings are in its pages. */
	err = ub_arena_init();
	if (err)
		return err;
	err = ub_lookup_init();
	if (err)
		return err;

	err = ub_queue_init();
	if (err)
		return err;

	ub_watch_init();
	ub_hook_setup();
	err = ub_hook_init();
	if (err)
		goto queue;
	ub_seccomp_init();
	ub_task_work_init();
	ub_slice_init();
	err = ub_fault_init();
	if (err)
		goto hook;
	err = ub_trace_gap_init();
	if (err)
		goto fault;
	/* Nobody can use what has not passed it. */
	err = ub_selftest();
	if (err)
		goto trace_gap;
	err = ub_device_init();
	if (err)
		goto trace_gap;
	ub_stats_init();
	return 0;

trace_gap:
	ub_trace_gap_exit();
fault:
	ub_fault_exit();
hook:
	ub_hook_exit();
queue:
	ub_queue_exit();
	return err;
}

static void __exit ub_exit(void)
{
	ub_stats_exit();
	ub_device_exit();
	ub_watch_exit();
	ub_hook_exit();
	ub_trace_gap_exit();
	ub_children_exit();
	ub_epoch_exit();
	ub_detect_exit();
	ub_suspend_exit();
	ub_slice_exit();
	ub_queue_exit();
	ub_proc_exit();
	ub_fault_exit();
	ub_arena_exit();
}

module_init(ub_init);
module_exit(ub_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Userspace Bypass");
/* Same as in src/ubypass/version.py. */
MODULE_VERSION("0.1.0");
