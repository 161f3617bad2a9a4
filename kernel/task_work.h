/* SPDX-License-Identifier: GPL-2.0-only */
/* Task work: functions that the kernel runs before a task returns to user mode. */
#ifndef _UB_TASK_WORK_H
#define _UB_TASK_WORK_H

#include <linux/sched.h>
#include <linux/thread_info.h>

#include "compat.h"

void ub_task_work_init(void);
void ub_task_work_run(void);
bool ub_task_work_dispatched(bool vector);	/* called by generated code only */

/* Whether ub_task_work_run() may have something to do. */
static inline bool ub_task_work_pending(void)
{
#ifdef UB_RUNS_TASK_WORK
	return test_thread_flag(TIF_NOTIFY_RESUME) && READ_ONCE(current->task_works);
#else
	return false;
#endif
}

#endif /* _UB_TASK_WORK_H */
