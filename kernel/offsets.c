// SPDX-License-Identifier: GPL-2.0-only
/* Structure offsets for the assembly files. */
#define COMPILE_OFFSETS
#include <linux/kbuild.h>
#include <linux/sched.h>

#include "internal.h"

int main(void);
int main(void)
{
	OFFSET(UB_TASK_MM, task_struct, mm);
	OFFSET(UB_LAUNCH_LIMIT, ub_launch, limit);
	OFFSET(UB_LAUNCH_FSBASE, ub_launch, fsbase);
	OFFSET(UB_LAUNCH_SYSFLAGS, ub_launch, sysflags);
	OFFSET(UB_LAUNCH_R11, ub_launch, r11);
	OFFSET(UB_LAUNCH_FLAGS, ub_launch, flags);
	OFFSET(UB_LAUNCH_HOST_FLAGS, ub_launch, host_flags);
	OFFSET(UB_LAUNCH_TARGET, ub_launch, target);
	OFFSET(UB_LAUNCH_EXIT, ub_launch, exit);
	OFFSET(UB_LAUNCH_BUDGET, ub_launch, budget);
	return 0;
}
