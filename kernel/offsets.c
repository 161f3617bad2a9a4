// SPDX-License-Identifier: GPL-2.0-only
/* Offsets and sizes for the assembly files, which cannot include C headers. */
#define COMPILE_OFFSETS
#include <linux/kbuild.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include "compat.h"
#include "arena_text.h"
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
	OFFSET(UB_PT_REGS_AX, pt_regs, ax);
	OFFSET(UB_PT_REGS_FLAGS, pt_regs, flags);
	DEFINE(UB_FRAME_EXIT, UB_FRAME_EXIT);
	DEFINE(UB_FRAME_BUDGET, UB_FRAME_BUDGET);
	DEFINE(UB_FRAME_LIMIT, UB_FRAME_LIMIT);
	DEFINE(UB_FRAME_FLAGS, UB_FRAME_FLAGS);
	DEFINE(UB_FRAME_SYSFLAGS, UB_FRAME_SYSFLAGS);
	DEFINE(UB_FRAME_TARGET, UB_FRAME_TARGET);
	DEFINE(UB_FRAME_FSBASE, UB_FRAME_FSBASE);
	DEFINE(UB_FRAME_FIP, UB_FRAME_FIP);
	DEFINE(UB_FRAME_STACK, UB_FRAME_STACK);
	DEFINE(UB_FRAME_REGION, UB_FRAME_REGION);
	DEFINE(UB_FRAME_R11, UB_FRAME_R11);
	DEFINE(UB_FRAME_ACCOUNT, UB_FRAME_ACCOUNT);
	DEFINE(UB_FRAME_REGS, UB_FRAME_REGS);
	DEFINE(UB_FILTER_SIZE, UB_FILTER_SIZE);
	DEFINE(UB_FILTER_BUSY, UB_FILTER_BUSY);
	DEFINE(UB_PARKED_SIZE, UB_PARKED_SIZE);
	DEFINE(UB_PARKED_NR, UB_PARKED_NR);
	DEFINE(UB_CALLS, UB_CALLS);
	DEFINE(UB_ARENA_SIZE, UB_ARENA_SIZE);
	DEFINE(UB_LANDINGS_SIZE, UB_LANDINGS_SIZE);
	return 0;
}
