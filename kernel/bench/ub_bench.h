/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Interface of /dev/ub_bench: what a system call's handler costs by itself.
 * src/ubypass/bench/handler.py mirrors it and a test compares the two.
 */
#ifndef _UAPI_LINUX_UB_BENCH_H
#define _UAPI_LINUX_UB_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UB_BENCH_MAX_COUNT	100000000U
#define UB_BENCH_NO_ADVANCE	0xffU

/*
 * Runs the handler of call nr count times in the caller's context.  Between calls
 * argument number advance_arg grows by advance and starts over at 0 when it
 * would pass wrap, as a file offset does.
 */
struct ub_bench_run {
	__u32 nr;		/* in: must be in ub_syscalls.h */
	__u32 count;		/* in: 1 to UB_BENCH_MAX_COUNT */
	__u64 args[6];		/* in: rdi rsi rdx r10 r8 r9 */
	__u32 advance_arg;	/* in: 0 to 5, or UB_BENCH_NO_ADVANCE */
	__u32 reserved;		/* in: 0 */
	__u64 advance;		/* in */
	__u64 wrap;		/* in: >= advance */
	__u64 total_ns;		/* out: the loop around the handler */
	__u64 empty_ns;		/* out: the same loop without the call */
	__s64 last;		/* out: what the last call returned */
	__u64 sum;		/* out: of all results */
};

#define UB_BENCH_IOC_RUN	_IOWR('u', 0xd0, struct ub_bench_run)

#endif /* _UAPI_LINUX_UB_BENCH_H */
