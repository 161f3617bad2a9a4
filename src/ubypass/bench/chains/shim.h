/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's headers for the module's files in user mode.
 *
 * run.c, leave.c, eligible.c, dispatch.c, enter.S, clear.S, trampoline.S and x87.c of the
 * module are compiled unchanged against this file, so that their cost can be timed without the module.  Each
 * name has the kernel's meaning as far as possible in user mode.  Left out: stac and clac,
 * which fault there; the gs prefix in C code; alternatives, in whose place is the code for
 * a processor with enhanced IBRS (plain indirect jumps and returns).
 */
#ifndef UB_SHIM_H
#define UB_SHIM_H

#define X86_EFLAGS_CF	0x001
#define X86_EFLAGS_PF	0x004
#define X86_EFLAGS_AF	0x010
#define X86_EFLAGS_ZF	0x040
#define X86_EFLAGS_SF	0x080
#define X86_EFLAGS_OF	0x800

#define X86_EFLAGS_AC	0x40000

#define __stringify_1(x...)	#x
#define __stringify(x...)	__stringify_1(x)

/* As on a processor without SMAP: stac and clac fault in user mode. */
#define X86_FEATURE_SMAP		0
#define X86_FEATURE_CLEAR_CPU_BUF	6
/* verw clears with any selector ("Intel Analysis of MDS"). */
#define __KERNEL_DS		0x2b

#ifdef __ASSEMBLER__

#define SYM_FUNC_START(name)	.globl name; .balign 16; name:
#define SYM_FUNC_END(name)
#define SYM_DATA(name, data)	.globl name; name: data
#define SYM_CODE_START(name)	SYM_FUNC_START(name)
#define SYM_CODE_END(name)
#define UNWIND_HINT_FUNC
#define ANNOTATE_NOENDBR
#define ANNOTATE_INTRA_FUNCTION_CALL
#define STACK_FRAME_NON_STANDARD(name)
#define ASM_STAC
#define ASM_CLAC
#define RET			ret
#define PER_CPU_VAR(name)	%gs:name
/* A choice at run time, since alternatives are not patched here. */
.macro ALTERNATIVE without, with, feature
	cmpb $0, ub_shim_has + \feature(%rip)
	jne 7771f
	\without
	jmp 7772f
7771:
	\with
7772:
.endm
.macro JMP_NOSPEC reg
	jmp *%\reg
.endm
.macro CALL_NOSPEC reg
	call *%\reg
.endm

#else

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8, __u8;
typedef uint16_t u16, __u16;
typedef uint32_t u32, __u32;
typedef int32_t s32, __s32;
typedef unsigned long long u64;
typedef unsigned long long __u64;
typedef long long s64;
typedef long long __s64;
typedef long ssize_t;

#define noinline		__attribute__((noinline))
#define noinline_for_stack	noinline
#define notrace
#define ____cacheline_aligned	__attribute__((aligned(64)))
#define ASM_CALL_CONSTRAINT	"+r"(current_stack_pointer)
#define static_assert(right)	_Static_assert(right, #right)
#define U32_MAX			(~0U)
#define U64_MAX			(~0ULL)
#undef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define barrier()		__asm__ volatile("" ::: "memory")
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)	(*(volatile __typeof__(x) *)&(x) = (value))
#define data_race(x)		(x)
#define OPTIMIZER_HIDE_VAR(x)	__asm__("" : "=r"(x) : "0"(x))
#define WARN_ON_ONCE(x)	((void)(x))
#define BUILD_BUG_ON(wrong)	_Static_assert(!(wrong), #wrong)
#define min(a, b)		((a) < (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define PTR_ALIGN(p, a) \
	((__typeof__(p))(((uintptr_t)(p) + (a) - 1) & -(uintptr_t)(a)))
#define __percpu
#define __rcu
#define __user
#define pr_err_once(...)	ub_shim_fail("the module says: exit not known")

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;

static inline bool test_bit(long nr, const unsigned long *bits)
{
	return bits[nr / 64] >> nr % 64 & 1;
}

static inline void set_bit(long nr, unsigned long *bits)
{
	bits[nr / 64] |= 1UL << nr % 64;
}

static inline int atomic_read(const atomic_t *v)
{
	return READ_ONCE(v->counter);
}

/* Structures that are only members or pointer targets in the module's own. */
struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct rcu_head {
	void *next, *func;
};
struct mutex {
	long word[4];
};
struct work_struct {
	long word[4];
};
struct mmu_notifier {
	long word[6];
};
struct mm_struct {
	atomic_t membarrier_state;
};
typedef struct {
	u32 word;
} spinlock_t, raw_spinlock_t;
struct hrtimer {
	long word[8];
};
typedef struct {
	atomic_t refs;
} refcount_t;
typedef struct {
	long word[3];
} wait_queue_head_t;

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

struct thread_info {
	unsigned long flags, syscall_work;
};

struct thread_struct {
	void *ptrace_bps[4];
};

/* The configuration of Debian's kernel. */
#define CONFIG_MEMBARRIER	1
#define CONFIG_POSIX_TIMERS	1
#define MEMBARRIER_STATE_PRIVATE_EXPEDITED_RSEQ	(1U << 6)
#define CPUCLOCK_VIRT		1
struct posix_cputimers {
	struct {
		u64 nextevt;
		void *timers[3];
	} bases[3];
};
struct signal_struct {
	u8 counts[512];
	struct posix_cputimers posix_cputimers;
};

/* In the kernel's order, and as far apart. */
struct task_struct {
	struct thread_info thread_info;
	void *stack;
	u8 scheduling[1024];
	u32 ptrace;
	u8 links[512];
	struct mm_struct *mm;
	struct signal_struct *signal;
	u8 rest[1024];
	struct posix_cputimers posix_cputimers;
	void *task_works;
	u8 more[512];
	struct thread_struct thread;
};

#define HBP_NUM	4

/* Per-CPU data of the only CPU; the gs base is 0. */
#define DECLARE_PER_CPU(type, name)	extern __typeof__(type) name
#define DEFINE_PER_CPU(type, name)	__typeof__(type) name
#define this_cpu_inc(x)		__asm__ volatile("inc%z0 %0" : "+m"(x))
#define this_cpu_dec(x)		__asm__ volatile("dec%z0 %0" : "+m"(x))
#define this_cpu_read(x)	READ_ONCE(x)
#define __this_cpu_read(x)	READ_ONCE(x)
#define __this_cpu_write(x, value)	WRITE_ONCE(x, value)

extern struct task_struct *current_task;
extern int __preempt_count;
extern u16 ub_shim_softirqs;
extern unsigned long cpu_dr7;
#define DR_GLOBAL_ENABLE_MASK	0xaa
#define local_softirq_pending_ref	ub_shim_softirqs
#define current				READ_ONCE(current_task)
#define task_thread_info(task)		(&(task)->thread_info)
#define current_thread_info()		task_thread_info(current)
#define smp_processor_id()		0
#define preempt_disable()	do { __preempt_count++; barrier(); } while (0)
#define preempt_enable()	do { barrier(); __preempt_count--; } while (0)
#define PREEMPT_DISABLE_OFFSET	1
#define SOFTIRQ_DISABLE_OFFSET	0x200
#define local_bh_disable() \
	do { __preempt_count += SOFTIRQ_DISABLE_OFFSET; barrier(); } while (0)
#define local_bh_enable()	ub_shim_bh_enable()
/* As in compat.h for a kernel without PREEMPT_RT. */
#define UB_SOFTIRQS_OFF		SOFTIRQ_DISABLE_OFFSET
#define ub_softirqs_off()	local_bh_disable()
#define ub_softirqs_on()	local_bh_enable()
void ub_shim_bh_enable(void);

register unsigned long current_stack_pointer __asm__("rsp");
#define THREAD_SIZE	16384
#define task_pt_regs(task) \
	((struct pt_regs *)((u8 *)(task)->stack + THREAD_SIZE) - 1)
extern u8 ub_shim_stack[];

/* thread_info.flags on x86: work on the return to user mode. */
#define EXIT_TO_USER_MODE_WORK	0x0002300eU
#define SYSCALL_WORK_SECCOMP		(1U << 0)
#define SYSCALL_WORK_SYSCALL_TRACEPOINT	(1U << 1)
#define SYSCALL_WORK_SYSCALL_TRACE	(1U << 2)
#define SYSCALL_WORK_SYSCALL_EMU	(1U << 3)
#define SYSCALL_WORK_SYSCALL_AUDIT	(1U << 4)
#define SYSCALL_WORK_SYSCALL_EXIT_TRAP	(1U << 6)
#define _TIF_SINGLESTEP		(1U << 4)
#define _TIF_USER_RETURN_NOTIFY	(1U << 11)
#define _TIF_NEED_FPU_LOAD	(1U << 14)
#define _TIF_NOTSC		(1U << 16)
#define _TIF_BLOCKSTEP		(1U << 25)
#define TIF_NOTIFY_RESUME	1
/* As in compat.h for a kernel on which task work may be run. */
#define UB_RUNS_TASK_WORK
#define TIF_NEED_FPU_LOAD	14
#define test_thread_flag(flag)	(READ_ONCE(current_thread_info()->flags) >> (flag) & 1)
#define set_thread_flag(flag) \
	((void)(current_thread_info()->flags |= 1UL << (flag)))
#define hw_breakpoint_active()	(READ_ONCE(cpu_dr7) & DR_GLOBAL_ENABLE_MASK)

#define X86_EFLAGS_TF		0x00000100
#define X86_EFLAGS_DF		0x00000400
#define X86_EFLAGS_IOPL		0x00003000
#define X86_EFLAGS_NT		0x00004000
#define X86_EFLAGS_RF		0x00010000
#define X86_EFLAGS_VM		0x00020000
#define X86_EFLAGS_VIF		0x00080000
#define X86_EFLAGS_VIP		0x00100000
#define X86_EFLAGS_ID		0x00200000
#define __USER_CS		0x33
#define TASK_SIZE_MAX		0x7ffffffff000UL
#define ERESTARTSYS		512
#define ERESTART_RESTARTBLOCK	516
#define SIGKILL			9
#define force_sig(sig)		ub_shim_fail("the module kills the program")
void ub_shim_fail(const char *why) __attribute__((noreturn));

#define X86_FEATURE_FSGSBASE		1
#define X86_FEATURE_CLEAR_BHB_LOOP	2
#define X86_FEATURE_FXSR		4
#define X86_BUG_FXSAVE_LEAK		5
extern u8 ub_shim_has[7];
#define boot_cpu_has(feature)		(ub_shim_has[feature])
#define boot_cpu_has_bug(bug)		(ub_shim_has[bug])
/* Patched code in the kernel: no test at run time. */
#define cpu_feature_enabled(feature)	((feature) == X86_FEATURE_FSGSBASE)
static const struct {
	int x86_vendor;
} boot_cpu_data = { 0 };
#define X86_VENDOR_INTEL	0

static inline u64 rdfsbase(void)
{
	u64 base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

#define MSR_FS_BASE		0xc0000100

/* compat.h, as for a kernel up to 6.1 */
#define UB_CURRENT_TASK		current_task
#define UB_PREEMPT_COUNT	__preempt_count
#define ub_read_fs_base()	rdfsbase()
#define ub_rseq_interrupted()	do { } while (0)
#ifndef UB_SHIM_FRED
#define UB_SHIM_FRED		false
#endif
#define ub_syscall_keeps_rcx()	UB_SHIM_FRED
#define ub_clears_history()	(ub_shim_has[X86_FEATURE_CLEAR_BHB_LOOP])
#define ub_clears_buffers()	(ub_shim_has[X86_FEATURE_CLEAR_CPU_BUF])
#define barrier_nospec()	__asm__ volatile("lfence" ::: "memory")

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

#define ktime_get_ns()		0ULL
#define trace_ub_exit(...)	do { } while (0)
#define trace_ub_exit_enabled()	0

#define rcu_dereference_sched(p)	READ_ONCE(p)
#define GOLDEN_RATIO_64		0x61C8864680B583EBULL
static inline u32 hash_64(u64 value, unsigned int bits)
{
	return (u32)(value * GOLDEN_RATIO_64 >> (64 - bits));
}
#define container_of(p, type, member) \
	((type *)((u8 *)(p) - offsetof(type, member)))
#define hash_for_each_possible_rcu(table, at, member, key)			\
	for (struct hlist_node *_node =						\
		     READ_ONCE((table)[hash_64(key, UB_PROC_BITS)].first);	\
	     _node && ((at) = container_of(_node, struct ub_proc, member), 1);	\
	     _node = READ_ONCE(_node->next))

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* The macros of offsets.c. */
#define DEFINE(name, value) \
	__asm__ volatile("\n.ascii \"->" #name " %0\"" : : "i"(value))
#define OFFSET(name, type, member)	DEFINE(name, offsetof(struct type, member))

#endif /* __ASSEMBLER__ */
#endif /* UB_SHIM_H */
