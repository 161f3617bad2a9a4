// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the task work that a call has left, before the code that follows the call.
 *
 * Some calls complete in task work: close() releases the file there.  The kernel runs the
 * work before the task returns to user mode, so otherwise each such call would end the run.
 */
#include <linux/cache.h>
#include <linux/entry-common.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "eligible.h"
#include "lookup.h"
#include "task_work.h"

#ifdef UB_RUNS_TASK_WORK

/* Not exported; NULL if it was not found. */
static void (*ub_run_works)(void) __ro_after_init;

#ifdef UB_RSEQ_UPDATE

struct ksignal;

/* Not exported, either. */
static void (*ub_update_rseq)(struct ksignal *signal, struct pt_regs *regs) __ro_after_init;

/*
 * Whether user memory names an rseq critical section.  A system call in one is not allowed,
 * but the kernel aborts the section if the task was preempted meanwhile.
 */
static bool ub_has_rseq_cs(void)
{
	u64 section;

	return current->rseq && (get_user(section, &current->rseq->rseq_cs) || section);
}

/* The flag that was cleared may have stood for a preemption or a migration, too. */
static void ub_update_rseq_area(void)
{
	if (current->rseq)
		ub_update_rseq(NULL, NULL);
}

static bool ub_find_rseq_update(void)
{
	ub_update_rseq = ub_lookup_function(UB_RSEQ_UPDATE);
	return ub_update_rseq;
}

#else /* a preemption sets another flag, with which no run is entered */

static bool ub_has_rseq_cs(void)
{
	return false;
}

static void ub_update_rseq_area(void)
{
}

static bool ub_find_rseq_update(void)
{
	return true;
}

#endif

/*
 * Run the task work if the return to user mode has nothing else to do.  With preemption on,
 * after the handler.  Like resume_user_mode_work() before a guest is entered: without
 * registers.  Any new work sets a thread flag again.
 */
void ub_task_work_run(void)
{
	might_sleep();
	if ((READ_ONCE(current_thread_info()->flags) & UB_THREAD_WORK) != _TIF_NOTIFY_RESUME)
		return;
	/* Tracers and the like come first. */
	if (READ_ONCE(current_thread_info()->syscall_work) & SYSCALL_WORK_EXIT)
		return;
	if (!ub_run_works || !READ_ONCE(current->task_works))
		return;
	if (ub_has_resume_work() || ub_has_rseq_cs())
		return;
	clear_thread_flag(TIF_NOTIFY_RESUME);
	smp_mb__after_atomic();
	ub_run_works();
	ub_update_rseq_area();
}

void ub_task_work_init(void)
{
	if (ub_find_rseq_update())
		ub_run_works = ub_lookup_function("task_work_run");
	if (!ub_run_works)
		pr_info("ub: this kernel does not have task_work_run: calls with task work end runs\n");
}

#else /* no known way to tell task work from other work */

void ub_task_work_run(void)
{
}

void ub_task_work_init(void)
{
}

#endif

/*
 * Called by the code at a dispatch, after the call, if any thread flag of UB_THREAD_WORK is
 * set: with preemption off and, if .vector, softirqs off.  Whether none is set any more.
 */
bool ub_task_work_dispatched(bool vector)
{
	if (!ub_task_work_pending())
		return false;
	if (vector)
		ub_softirqs_on();
	preempt_enable();
	ub_task_work_run();
	preempt_disable();
	if (vector)
		ub_softirqs_off();
	return !(READ_ONCE(current_thread_info()->flags) & UB_THREAD_WORK);
}
