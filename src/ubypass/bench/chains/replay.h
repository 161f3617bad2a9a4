/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations of the replay program.
 *
 * The program has no C library and is linked into the lowest 2 GiB, so that the rest of
 * the address space is for the memory of the captured program. The vector registers and
 * the fs base belong to the captured program, too; no code here uses them.
 */
#ifndef UB_REPLAY_H
#define UB_REPLAY_H

#include "shim.h"

#include "arena_text.h"
#include "backoff.h"
#include "detect.h"
#include "dispatch.h"
#include "enter.h"
#include "entry.h"
#include "gap.h"
#include "handler.h"
#include "lookup.h"
#include "proc.h"
#include "region.h"
#include "run.h"
#include "sample.h"
#include "seccomp.h"
#include "site_table.h"
#include "slice.h"
#include "trace_gap.h"
#include "trial.h"
#include "tunables.h"
#include "ub.h"

/* The job file as written by job.py: 64-bit words in this order. */
#define JOB_MAGIC	0x336e696168636275ULL
struct area {
	u64 start, end, offset, flags;
};
#define AREA_WRITE	1
#define AREA_VDSO	2

struct call {
	u64 nr;		/* number of the call, and its result */
	u64 result;
	u64 resume;	/* where user code continues */
	u64 words;	/* changed memory: number of the first word, and count */
	u64 nr_words;
	u64 args;	/* number of argument registers in use */
	u64 work;	/* enum work: the call in its place */
	u64 size;	/* bytes of that call */
};

enum work {
	WORK_NOTHING,	/* getppid */
	WORK_RECEIVE,	/* from a TCP socket, after the peer has sent */
	WORK_NOTHING_THERE, /* from a TCP socket without data */
	WORK_SEND,	/* to a TCP socket; the peer receives */
	WORK_DATAGRAM,	/* from a UDP socket, after the peer has sent */
	WORK_READ,	/* from a file */
	WORK_WRITE,
	WORK_SENDFILE,
	WORK_OPEN,
	WORK_STAT,
	WORK_CLOSE,
	WORK_WAIT,	/* epoll_wait with a pending event */
};

struct word {
	u64 at, value;
};

struct patch {
	u64 at, length, bytes[3];
};

struct part {
	u64 number, size, offset;	/* of the XSAVE state; offset in the job */
};

struct exitrec {
	u64 ip, cx, reason, flags;
};

struct faultrec {
	u64 at, fixup;
};

struct dispatchrec {
	u64 at, nr, pre, post;
};

struct entryrec {
	u64 ip, offset, nr;
};

struct job {
	u64 magic;
	u64 regs[16];	/* in hardware order */
	u64 rip, flags, fsbase;
	u64 nr_areas, areas;		/* counts, and offsets in the file */
	u64 nr_calls, calls;
	u64 nr_words, words;
	u64 nr_patches, patches;
	u64 nr_parts, parts;
	u64 nr_times, times, times_at;	/* answers of the vDSO, and their address */
	u64 code, code_size, vector, x87;
	u64 nr_entries, entries;
	u64 nr_exits, exits;
	u64 nr_faults, faults;
	u64 nr_dispatches, dispatches;
	u64 nr_jumps, jumps;
	u64 clear_history;	/* if this machine's kernel does at each system call */
	u64 clear_buffers;	/* if the kernel does on each return to user mode */
	u64 repetitions;
	u64 nr_modes, modes[8];
	u64 nr_hops, hops;	/* pages of jumps to this program */
	u64 processor;		/* number of the one to run on */
};
#define JOB_WORDS	62	/* as in job.py */
_Static_assert(sizeof(struct job) == 8 * JOB_WORDS, "job.py writes another header");

#define MODE_WORK	1	/* real system calls in place of those of the chain */
#define MODE_TRANSITION	2	/* each gap in user mode pays an empty system call */
#define MODE_THRASH	4	/* other data and code fill caches and predictors between gaps */

#define OUT_MAGIC	0x74756f6e69616863ULL

/* replay.c */
extern const struct job *job;
#define JOB_TABLE(type, name)	((const type *)((const u8 *)job + job->name))
extern int checking;
extern u64 mode;

/* stubs.S; times are ticks of the time stamp counter */
extern u64 ub_user[16], ub_user_ip, ub_user_flags;
extern u64 ub_began, ub_ended, ub_came, ub_pay;
void ub_native(void);		/* run user code up to the next system call */
void ub_native_end(void);
long ub_call(struct pt_regs *regs);	/* a handler as patched by ftrace */
long ub_call_body(struct pt_regs *regs);
u64 ub_stamp_cost(void);
void ub_start_chain(void);	/* on the stack below pt_regs, until ub_finish() */
void ub_finish(void) __attribute__((noreturn));

/* chain.c */
struct counts {
	u64 runs; /* cut off by the end of the chain, in a dispatch */
	u64 wrong; /* chains on another path */
};
extern struct counts counts;
extern u64 *gap_ticks, chain_ticks, null_native, null_dispatch;
void chain_setup(void);
void chain_run(bool translated);
long chain_work(struct pt_regs *regs);

/* module.c: the module's data of an attached process */
extern u8 *frame;
extern struct ub_region region;
extern u64 exit_nonpointers[]; /* registers without an address, by exit */
void module_setup(void);
u64 module_parked(void);
struct pt_regs *module_regs(void);

/* work.c */
void work_setup(void);
void work_do(u64 kind, u64 nr, u64 size);
void work_thrash(void);

/* system.c: system calls without a C library */
long sys6(long nr, long a, long b, long c, long d, long e, long f);
#define sys0(nr)		sys6(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a)		sys6(nr, (long)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b)		sys6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c)	sys6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) \
	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
void fail(const char *what, u64 value) __attribute__((noreturn));
void *memory_at(u64 at, u64 size);
void signals_setup(void);
void program_exit(int status) __attribute__((noreturn));

#endif
