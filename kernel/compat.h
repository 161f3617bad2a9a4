/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between kernels.
 *
 * UB_HAVE_* are in ub_probes.h: each says whether probes/NAME.c compiles (Kbuild).
 * Versions are never compared, since distributions backport changes.  If a kernel lacks
 * something necessary, UB_LACKS names it, and the module refuses to load (check.c).
 */
#ifndef _UB_COMPAT_H
#define _UB_COMPAT_H

#include <linux/ftrace.h>
#include <linux/bottom_half.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <asm/cpufeature.h>
#include <asm/current.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/preempt.h>

#include "ub_probes.h"

/*
 * rseq: each return to user mode checks the critical section; since "rseq: Record interrupt
 * from user space" and "rseq: Optimize event setting" (6.19) only a return from an
 * interrupt of user code does.  A kernel with neither interface is not supported.
 */
#if !defined(CONFIG_RSEQ) || defined(UB_HAVE_RSEQ_USER_IRQ) || \
	defined(UB_HAVE_RSEQ_EVENT_MASK)
/*
 * A side exit may be inside an rseq critical section, unlike a system call.  Treat it as an
 * interrupt of user code.  With preemption off, before the task can be preempted.
 */
static inline void ub_rseq_interrupted(void)
{
#if defined(CONFIG_RSEQ) && defined(UB_HAVE_RSEQ_USER_IRQ)
	current->rseq.event.user_irq = true;
#endif
}
#else
#define UB_LACKS "a known way to restart rseq critical sections"
static inline void ub_rseq_interrupted(void) { }
#endif

/*
 * The function that updates a task's rseq area when TIF_NOTIFY_RESUME is set; without
 * registers since "KVM: rseq: Update rseq when processing NOTIFY_RESUME on xfer to KVM
 * guest" (5.15).  Not defined since "rseq: Switch to TIF_RSEQ if supported" (6.19), where a
 * flag of its own stands for that.
 */
#if defined(CONFIG_RSEQ) && defined(UB_HAVE_RSEQ_EVENT_MASK)
#define UB_RSEQ_UPDATE		"__rseq_handle_notify_resume"
#endif

/* With any of these task work can be told from other work; otherwise it ends the run. */
#if defined(UB_RSEQ_UPDATE) || defined(UB_HAVE_RSEQ_SLOWPATH) || !defined(CONFIG_RSEQ)
#define UB_RUNS_TASK_WORK
#endif

/*
 * Whether TIF_NOTIFY_RESUME may stand for work other than task work and UB_RSEQ_UPDATE:
 * resume_user_mode_work() in kernels with UB_RUNS_TASK_WORK.  The throttled queue of a task
 * became a disk in "blk-cgroup: pass a gendisk to blkcg_schedule_throttle" (6.3).
 */
static inline bool ub_has_resume_work(void)
{
#if defined(CONFIG_RSEQ) && defined(UB_HAVE_RSEQ_SLOWPATH)
	if (current->rseq.event.slowpath)
		return true;
#endif
#ifdef CONFIG_KEYS_REQUEST_CACHE
	if (current->cached_requested_key)
		return true;
#endif
#ifdef CONFIG_MEMCG
	if (current->memcg_nr_pages_over_high)
		return true;
#endif
#ifdef CONFIG_BLK_CGROUP
#if defined(UB_HAVE_THROTTLE_DISK)
	if (current->throttle_disk)
		return true;
#elif defined(UB_HAVE_THROTTLE_QUEUE)
	if (current->throttle_queue)
		return true;
#else
	return true;
#endif
#endif
	return false;
}

/*
 * Under mmap_lock for writing.  Also excludes changes of pages under the VMA lock alone
 * ("mm: add per-VMA lock and helper functions to control it", 6.4; madvise() drops pages
 * this way since "mm: use per_vma lock for MADV_DONTNEED", 6.17).
 */
static inline void ub_vma_exclude(struct vm_area_struct *vma)
{
#ifdef CONFIG_PER_VMA_LOCK
#ifdef UB_HAVE_VMA_START_WRITE
	vma_start_write(vma);
#elif !defined(UB_LACKS)
#define UB_LACKS "a known way to lock single VMAs"
#endif
#endif
}

/* "mm/gup: remove vmas parameter from get_user_pages_remote()" (6.5) */
static inline long ub_get_page(struct mm_struct *mm, u64 start, unsigned int flags,
			       struct page **page, int *locked)
{
#ifdef UB_HAVE_GUP_VMAS
	return get_user_pages_remote(mm, start, 1, flags, page, NULL, locked);
#else
	return get_user_pages_remote(mm, start, 1, flags, page, locked);
#endif
}

/* mmap_write_trylock(), which some kernels do not have since nothing of theirs uses it. */
static inline bool ub_mmap_write_trylock(struct mm_struct *mm)
{
#ifdef UB_HAVE_MMAP_WRITE_TRYLOCK
	return mmap_write_trylock(mm);
#else
	if (!down_write_trylock(&mm->mmap_lock))
		return false;
	mm_lock_seqcount_begin(mm);
	return true;
#endif
}

/*
 * "x86/percpu: Move preempt_count next to current_task" and others (6.2); variables of
 * their own again since "x86/preempt: Move preempt count to percpu hot section" and
 * others (6.15).
 */
#ifdef UB_HAVE_PCPU_HOT
#define UB_CURRENT_TASK		pcpu_hot.current_task
#define UB_PREEMPT_COUNT	pcpu_hot.preempt_count
#else
#define UB_CURRENT_TASK		current_task
#define UB_PREEMPT_COUNT	__preempt_count
#endif

/* "x86/msr: Rename 'rdmsrl()' to 'rdmsrq()'" (6.16) */
static inline u64 ub_read_fs_base(void)
{
	u64 base;

#ifdef UB_HAVE_RDMSRQ
	rdmsrq(MSR_FS_BASE, base);
#else
	rdmsrl(MSR_FS_BASE, base);
#endif
	return base;
}

/*
 * Whether an indirect branch of the kernel has to end at an endbr64 ("x86/ibt: Add IBT
 * feature, MSR and #CP handling", 5.18).  The processor's flag alone says nothing: a kernel
 * built without IBT does not clear it.
 */
static __always_inline bool ub_tracks_branches(void)
{
	return IS_ENABLED(CONFIG_X86_KERNEL_IBT) && cpu_feature_enabled(X86_FEATURE_IBT);
}

/*
 * Whether SYSCALL leaves rcx and r11 as they are, and with them pt_regs ("x86/cpufeatures: Add
 * the CPU feature bit for FRED", 6.9).
 */
static __always_inline bool ub_syscall_keeps_rcx(void)
{
#ifdef X86_FEATURE_FRED
	return cpu_feature_enabled(X86_FEATURE_FRED);
#else
	return false;
#endif
}

/*
 * Whether the kernel clears the branch history at each entry ("x86/bhi: Add support for
 * clearing branch history at syscall entry", 6.9 and stable).
 */
static __always_inline bool ub_clears_history(void)
{
#ifdef X86_FEATURE_CLEAR_BHB_LOOP
	return cpu_feature_enabled(X86_FEATURE_CLEAR_BHB_LOOP) ||
	       cpu_feature_enabled(X86_FEATURE_CLEAR_BHB_HW);
#else
	return false;
#endif
}

/*
 * Whether the kernel clears the processor's buffers on each return to user mode, with verw:
 * "x86/bugs: Use ALTERNATIVE() instead of mds_user_clear static key" (6.8 and stable).
 * A kernel with only that key is refused on processors that need the clearing (check.c).
 */
static __always_inline bool ub_clears_buffers(void)
{
#if defined(X86_FEATURE_CLEAR_CPU_BUF)
	return cpu_feature_enabled(X86_FEATURE_CLEAR_CPU_BUF);
#elif defined(UB_HAVE_MDS_USER_CLEAR)
	return static_key_enabled(&mds_user_clear);
#else
#ifndef UB_LACKS
#define UB_LACKS "a known way to clear the processor's buffers"
#endif
	return true;
#endif
}

/*
 * With preemption off: as fpregs_lock(), keep softirqs, which may use the FPU registers, from
 * running, by .preempt_count.  Under PREEMPT_RT they run in threads, so nothing is left to
 * do, and the count has no part for them.
 */
#define UB_SOFTIRQS_OFF	(IS_ENABLED(CONFIG_PREEMPT_RT) ? 0 : SOFTIRQ_DISABLE_OFFSET)

static __always_inline void ub_softirqs_off(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_bh_disable();
}

static __always_inline void ub_softirqs_on(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_bh_enable();
}

/*
 * Whether put_task_struct() may be called with preemption off under PREEMPT_RT, where freeing
 * sleeps: "kernel/fork: beware of __put_task_struct() calling context" (6.5 and stable)
 */
#if IS_ENABLED(CONFIG_PREEMPT_RT) && !defined(UB_HAVE_PUT_TASK_RCU) && !defined(UB_LACKS)
#define UB_LACKS "a put_task_struct() that real time allows where the module needs it"
#endif

/* "hrtimers: Introduce hrtimer_setup() to replace hrtimer_init()" (6.13) */
static inline void ub_hrtimer_setup(struct hrtimer *timer,
				    enum hrtimer_restart (*function)(struct hrtimer *timer),
				    enum hrtimer_mode mode)
{
#ifdef UB_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, mode);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = function;
#endif
}

/*
 * "ftrace: Add multi direct register/unregister interface" (5.16); "ftrace: Rename
 * _ftrace_direct_multi APIs to _ftrace_direct APIs" (6.4)
 */
static inline int ub_register_direct(struct ftrace_ops *ops, unsigned long address)
{
#ifdef UB_HAVE_DIRECT_MULTI
	return register_ftrace_direct_multi(ops, address);
#else
	return register_ftrace_direct(ops, address);
#endif
}

static inline int ub_unregister_direct(struct ftrace_ops *ops, unsigned long address)
{
#ifdef UB_HAVE_DIRECT_MULTI
	return unregister_ftrace_direct_multi(ops, address);
#else
	return unregister_ftrace_direct(ops, address, false);
#endif
}

/*
 * The parameters of ftrace_ops.ops_func, if ftrace calls it before an IPMODIFY user (one
 * that redirects a function) is added ("ftrace: Allow IPMODIFY and DIRECT ops on the same
 * function", 6.0); with the function's address since "ftrace: Factor ftrace_ops ops_func
 * interface" (7.0).
 */
#if defined(UB_HAVE_SHARE_IPMODIFY) && defined(UB_HAVE_OPS_FUNC_IP)
#define UB_OPS_FUNC_PARAMETERS	\
	struct ftrace_ops *ops, unsigned long ip, enum ftrace_ops_cmd cmd
#elif defined(UB_HAVE_SHARE_IPMODIFY)
#define UB_OPS_FUNC_PARAMETERS	struct ftrace_ops *ops, enum ftrace_ops_cmd cmd
#endif

/*
 * Whether the running kernel may be changed: 0 or an error ("lockdown: Enforce module
 * signatures if the kernel is locked down", 5.4).
 */
static inline int ub_locked_down(void)
{
#ifdef UB_HAVE_LOCKDOWN
	return security_locked_down(LOCKDOWN_MODULE_SIGNATURE);
#else
	return 0;
#endif
}

#endif /* _UB_COMPAT_H */
