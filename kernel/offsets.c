// SPDX-License-Identifier: GPL-2.0-only
/* Offsets and sizes for the assembly files, which cannot include C headers. */
#define COMPILE_OFFSETS
#include <linux/kbuild.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include "compat.h"
#include "arena_text.h"
#include "enter.h"
#include "gap.h"
#include "handler.h"
#include "proc.h"
#include "site_table.h"
#include "ub.h"

int main(void);
int main(void)
{
	BUILD_BUG_ON(offsetof(struct ub_gap, task));

#ifdef UB_HAVE_PCPU_HOT
	OFFSET(UB_PCPU_HOT_TASK, pcpu_hot, current_task);
#endif
	OFFSET(UB_TASK_MM, task_struct, mm);
	OFFSET(UB_PT_REGS_IP, pt_regs, ip);
	OFFSET(UB_PT_REGS_ORIG_AX, pt_regs, orig_ax);
	OFFSET(UB_LAUNCH_LIMIT, ub_launch, limit);
	OFFSET(UB_LAUNCH_FSBASE, ub_launch, fsbase);
	OFFSET(UB_LAUNCH_SYSFLAGS, ub_launch, sysflags);
	OFFSET(UB_LAUNCH_R11, ub_launch, r11);
	OFFSET(UB_LAUNCH_FLAGS, ub_launch, flags);
	OFFSET(UB_LAUNCH_HOST_FLAGS, ub_launch, host_flags);
	OFFSET(UB_LAUNCH_TARGET, ub_launch, target);
	OFFSET(UB_LAUNCH_FIP, ub_launch, fip);
	OFFSET(UB_LAUNCH_EXIT, ub_launch, exit);
	OFFSET(UB_LAUNCH_BUDGET, ub_launch, budget);
	DEFINE(UB_FRAME_EXIT, UB_FRAME_EXIT);
	DEFINE(UB_FRAME_BUDGET, UB_FRAME_BUDGET);
	DEFINE(UB_FRAME_LIMIT, UB_FRAME_LIMIT);
	DEFINE(UB_FRAME_FLAGS, UB_FRAME_FLAGS);
	DEFINE(UB_FRAME_SYSFLAGS, UB_FRAME_SYSFLAGS);
	DEFINE(UB_FRAME_TARGET, UB_FRAME_TARGET);
	DEFINE(UB_FRAME_FSBASE, UB_FRAME_FSBASE);
	DEFINE(UB_FRAME_FIP, UB_FRAME_FIP);
	DEFINE(UB_FRAME_STACK, UB_FRAME_STACK);
	DEFINE(UB_FRAME_LAUNCH, UB_FRAME_LAUNCH);
	DEFINE(UB_FRAME_R11, UB_FRAME_R11);
	DEFINE(UB_FRAME_REGS, UB_FRAME_REGS);
	DEFINE(UB_FILTER_SIZE, UB_FILTER_SIZE);
	DEFINE(UB_FILTER_BUSY, UB_FILTER_BUSY);
	DEFINE(UB_PARKED_SIZE, UB_PARKED_SIZE);
	DEFINE(UB_CALLS, UB_CALLS);
	DEFINE(UB_ARENA_SIZE, UB_ARENA_SIZE);
	return 0;
}
