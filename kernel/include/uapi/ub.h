/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Interface of /dev/ub: Userspace Bypass.
 *
 * The only definition; ubypass/abi.py mirrors it and a test compares the two.
 * docs/abi.md specifies the contract for generated code.
 */
#ifndef _UAPI_LINUX_UB_H
#define _UAPI_LINUX_UB_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UB_ABI_VERSION		8

/*
 * The frame: generated code runs with rsp fixed at its start and accesses all of its
 * own data as [rsp + offset].
 */
#define UB_FRAME_EXIT		0x00	/* u32: exit number */
#define UB_FRAME_BUDGET		0x04	/* s32: instructions left */
#define UB_FRAME_LIMIT		0x08	/* u64: TASK_SIZE_MAX, read only */
#define UB_FRAME_FLAGS		0x10	/* u64: saved user flags */
#define UB_FRAME_SYSFLAGS	0x18	/* u64: flags at the last syscall */
#define UB_FRAME_TARGET		0x20	/* u64: target of a missed jump */
#define UB_FRAME_FSBASE		0x28	/* u64: user fs base, read only */
#define UB_FRAME_TMP0		0x30	/* u64: free for generated code */
#define UB_FRAME_TMP1		0x38
#define UB_FRAME_TMP2		0x40
#define UB_FRAME_FIP		0x48	/* u64: user address of the last x87 instruction */
#define UB_FRAME_PRIVATE	0x50	/* private to the module from here on */
#define UB_FRAME_STACK		0x50	/* private: rsp of ub_enter() */
#define UB_FRAME_REGION		0x58	/* private: struct ub_region * */
#define UB_FRAME_R11		0x60	/* private: flags at the last dispatch */
#define UB_FRAME_ACCOUNT	0x68	/* private: see ub_left() */
/*
 * struct pt_regs of the task.  No slot of the frame may have the same low 11 address
 * bits as a slot of pt_regs (docs/abi.md, section 1).
 */
#define UB_FRAME_REGS		0x8c0

/* The reason of an exit. */
enum ub_exit_reason {
	UB_EXIT_NONE		= 0,
	UB_EXIT_FAULT		= 1,	/* the access at user_ip faulted */
	UB_EXIT_RET_MISS	= 2,	/* return to an address not in the region */
	UB_EXIT_CALL_MISS	= 3,	/* same for an indirect call */
	UB_EXIT_JUMP_MISS	= 4,	/* same for an indirect jump */
	UB_EXIT_FRONTIER	= 5,	/* direct branch to code not in the region */
	UB_EXIT_UNSUPPORTED	= 6,	/* instruction that is not translated */
	UB_EXIT_BUDGET		= 7,	/* too many instructions without a dispatch */
	UB_EXIT_WORK		= 8,	/* pending kernel work, before a dispatch */
	UB_EXIT_DISPATCHED	= 9,	/* same, after it; or a restart; or a dead region */
	UB_EXIT_SYSCALL		= 10,	/* call number not allowed or not expected */
	UB_EXIT_STACK		= 11,	/* user rsp outside user space */
	UB_EXIT_REASONS		= 12,	/* how many there are */
};

/* struct ub_exit.flags */
#define UB_EXITF_SLOT_FLAGS	(1U << 0)	/* user flags are in FRAME_FLAGS */
#define UB_EXITF_SLOT_SYSFLAGS	(1U << 1)	/* user flags are in FRAME_SYSFLAGS */
#define UB_EXITF_CX_SYS		(1U << 2)	/* user rcx is ub_exit.cx */
#define UB_EXITF_R11_SYS	(1U << 3)	/* user r11 is the flags of the last dispatch */
#define UB_EXITF_TARGET		(1U << 4)	/* FRAME_TARGET is set: report it */
#define UB_EXITF_DISPATCHED	(1U << 5)	/* after a dispatch: orig_ax stays nr */
#define UB_EXITF_ALL		0x3fU

/* An entry is behind one call at one address: many calls may be made there. */
struct ub_entry {
	__u64 user_ip;		/* resume address */
	__u32 code_offset;
	__u32 nr;		/* an allow-listed call, which has returned there */
};

struct ub_exit {
	__u64 user_ip;
	__u64 cx;		/* with UB_EXITF_CX_SYS */
	__u32 reason;		/* enum ub_exit_reason */
	__u32 flags;		/* UB_EXITF_* */
};

struct ub_fault {
	__u32 code_offset;	/* instruction that may fault */
	__u32 fixup_offset;	/* exit stub that undoes its partial effects */
};

struct ub_dispatch {
	__u32 code_offset;	/* start of dispatch_size bytes that the module fills */
	__u32 nr;
	__u32 pre_offset;	/* exit stub: not dispatched */
	__u32 post_offset;	/* exit stub: dispatched, but must exit */
	__u64 user_ip;		/* resume address, which filters see */
};

struct ub_source {
	__u64 start;		/* user address */
	__u64 length;		/* bytes; contents are concatenated in .bytes */
};

/* UB_IOC_INFO */
#define UB_INFOF_X87	(1U << 0)	/* UB_LOADF_X87 is accepted on this CPU */
#define UB_INFOF_SECCOMP (1U << 1)	/* seccomp filters run at each dispatch; else tasks with
					 * a filter are declined
					 */
#define UB_INFOF_FRED	(1U << 2)	/* system calls leave rcx and r11 as they are */
#define UB_SYSCALL_NONE		0xff
struct ub_info {
	__u32 abi;		/* out: UB_ABI_VERSION */
	__u32 dispatch_size;	/* out: bytes to reserve at each dispatch */
	__u32 max_code;		/* out: bytes of code in one region */
	__u32 max_regions;	/* out: regions in total */
	__u32 max_faults;	/* out: faults in all regions together */
	__u32 arena_size;	/* out: bytes for all regions together */
	__u64 task_size_max;	/* out */
	__u32 dispatch_vector_size; /* out: same as dispatch_size, with UB_LOADF_VECTOR */
	__u32 flags;		/* out: UB_INFOF_* */
	__u8 args[512];		/* out: arguments of call nr, UB_SYSCALL_NONE: refused */
};

/*
 * Process and thread numbers, here and in all events, are those of the PID namespace
 * in which the file was opened.
 *
 * UB_IOC_ATTACH: attaches every thread of the process, until it execs.  EAGAIN: a vfork()
 * child that still shares its parent's memory, until it execs.  ETIMEDOUT: somebody keeps
 * its memory map locked.
 */
#define UB_ATTACHF_CHILDREN	(1U << 0)	/* follow it and all its descendants:
						 * send UB_EVENT_FORK and _EXEC
						 */
#define UB_ATTACHF_TRUSTED	(1U << 1)	/* regions with UB_LOADF_TRUSTED may be loaded */
#define UB_ATTACHF_ALL		0x3U
struct ub_attach {
	__s32 pid;		/* in */
	__u32 flags;		/* in: UB_ATTACHF_* */
	__u64 proc;		/* out: number of the attachment */
};

/* UB_IOC_DETACH: also unloads the regions. */
struct ub_detach {
	__u64 proc;
	__u64 flags;		/* 0 */
};

/*
 * UB_IOC_LOAD: load a region.  With .replace, the old region's entries are replaced
 * atomically.  EAGAIN: the source bytes have changed, or a page of them is not in the page
 * tables.  ETIMEDOUT: as for UB_IOC_ATTACH.  0 in .trial_ns: the region runs without a limit.
 */
#define UB_LOADF_VECTOR	(1U << 0)	/* code uses x87, SSE or AVX registers */
#define UB_LOADF_X87	(1U << 1)	/* code uses x87: FIP has to be corrected */
#define UB_LOADF_TRUSTED (1U << 2)	/* guards without clamps (docs/abi.md, section 6);
					 * EPERM without UB_ATTACHF_TRUSTED
					 */
#define UB_LOADF_ALL	0x7U
struct ub_load {
	__u64 proc;
	__u32 flags;		/* UB_LOADF_* */
	__u32 replace;		/* region number, or 0 */
	__u64 code;		/* user pointers from here on */
	__u64 entries;		/* struct ub_entry[] */
	__u64 exits;		/* struct ub_exit[] */
	__u64 faults;		/* struct ub_fault[], by code_offset */
	__u64 dispatches;	/* struct ub_dispatch[] */
	__u64 jumps;		/* __u32[]: offsets of rel32 fields to the exit path */
	__u64 sources;		/* struct ub_source[] */
	__u64 bytes;		/* contents of all sources */
	__u32 code_length;
	__u32 nr_entries;
	__u32 nr_exits;
	__u32 nr_faults;
	__u32 nr_dispatches;
	__u32 nr_jumps;
	__u32 nr_sources;
	__u32 bytes_length;
	__u32 region;		/* out: > 0 */
	__u32 trial_ns;		/* > 0: on trial, with this credit; see UB_IOC_TRIAL */
};

struct ub_unload {
	__u64 proc;
	__u32 region;
	__u32 flags;		/* 0 */
};

/*
 * UB_IOC_TRIAL: bounds the run time of a region.
 *
 * A region on trial has a credit of run time.  One thread at a time runs in it, for
 * UB_TRIAL_SLICE_NS at most and then to the end of the current call; the time of the run,
 * entry and exit included, is taken off the credit.  When the credit is used up, the
 * entries are not taken any more, and UB_EVENT_TRIAL is sent.
 *
 * A confirmed region runs without a limit until its lease ends.  With .saving_ns, at the
 * end of each lease the time that its calls have saved during the lease is compared with
 * the cost of its runs.  A loss below UB_TRIAL_TRIFLE_NS is ignored.  After
 * UB_TRIAL_STRIKES consecutive leases with a loss, or without .saving_ns, the lease is
 * over.  Otherwise it is renewed.  After a lease without any run the region is idle until the
 * next attempt to enter it, which renews the lease.
 */
#define UB_TRIAL_SLICE_NS	100000
#define UB_TRIAL_GRANT_MAX	10000000000ULL	/* ns */
#define UB_TRIAL_LEASE_MIN	1000000ULL	/* ns */
#define UB_TRIAL_LEASE_MAX	3600000000000ULL /* ns */
#define UB_TRIAL_TRIFLE_NS	20000
#define UB_TRIAL_STRIKES	2
enum ub_trial_state {
	UB_TRIAL_NONE		= 0,	/* runs without a limit */
	UB_TRIAL_ON		= 1,	/* on trial */
	UB_TRIAL_OVER		= 2,	/* its credit is used up, or its lease has ended */
	UB_TRIAL_IDLE		= 3,	/* confirmed, without a run in its last lease */
	UB_TRIAL_STATES		= 4,
};
#define UB_TRIALF_CONFIRM	(1U << 0)	/* no limit from now on */
#define UB_TRIALF_TIMED		(1U << 1)	/* with .saving_ns, which was measured: later
						 * changes of the saving by the gaps of the
						 * entries are added
						 */
#define UB_TRIALF_ALL		0x3U
struct ub_trial {
	__u64 proc;		/* in */
	__u32 region;		/* in */
	__u32 flags;		/* in: UB_TRIALF_* */
	__u64 grant_ns;		/* in: added to the credit; puts the region on trial.
				 * 0 without a flag: nothing changes
				 */
	__u64 lease_ns;		/* in, with CONFIRM: length of the lease, plus or minus up
				 * to a quarter; at least UB_TRIAL_LEASE_MIN, or 0: no end
				 */
	__u32 saving_ns;	/* in, with .lease_ns: saving of a dispatched call; 0:
				 * the lease is not renewed
				 */
	__u32 run_ns;		/* in, with .saving_ns: cost of a run */
	__s64 left_ns;		/* out: credit before this request */
	__u64 spent_ns;		/* out: by all runs on trial since the load */
	__u64 runs;		/* out: number of those runs */
	__u64 lost_ns;		/* out: loss of leases with a loss, since the load */
	__u64 cpu_ns;		/* out: CPU time of the process since it was attached; the
				 * only result if .region, .flags and .grant_ns are 0
				 */
	__u32 state;		/* out: enum ub_trial_state before this request */
	__u32 reserved;		/* 0 */
};

/* The reason why an entry was not taken: the program continues natively. */
enum ub_decline {
	UB_DECLINE_NONE		= 0,
	/* Transient reasons. */
	UB_DECLINE_WORK		= 1,	/* pending kernel work: signal, reschedule */
	UB_DECLINE_RESTART	= 2,	/* the call is to be restarted */
	UB_DECLINE_FLAGS	= 3,	/* unusual user flags: TF DF IOPL NT AC ID... */
	UB_DECLINE_REGISTERS	= 4,	/* not as SYSCALL leaves them, or rsp is not a user address */
	UB_DECLINE_FSBASE	= 5,	/* fs base is not a user address */
	UB_DECLINE_X87		= 6,	/* an x87 exception is not masked */
	UB_DECLINE_STACK	= 7,	/* no room on the kernel stack */
	UB_DECLINE_DEAD		= 8,	/* the region has just died */
	/* Lasting reasons: such a thread is declined each time. */
	UB_DECLINE_SECCOMP	= 9,	/* strict mode, or a filter without UB_INFOF_SECCOMP */
	UB_DECLINE_PTRACE	= 10,
	UB_DECLINE_AUDIT	= 11,
	UB_DECLINE_TRACEPOINT	= 12,	/* a tracepoint on system calls is enabled */
	UB_DECLINE_SYSCALL_WORK	= 13,	/* other work at each call: user dispatch */
	UB_DECLINE_STEP		= 14,	/* single or block step */
	UB_DECLINE_NOTSC	= 15,	/* rdtsc has to fault */
	UB_DECLINE_VCPU		= 16,	/* registers are lent to a virtual machine */
	UB_DECLINE_BREAKPOINT	= 17,	/* hardware breakpoint */
	UB_DECLINE_RSEQ		= 18,	/* membarrier() for rseq is registered */
	UB_DECLINE_SHADOW_STACK	= 19,
	UB_DECLINE_USER_TIME	= 20,	/* a timer measures user time */
	UB_DECLINES		= 21,	/* how many there are */
};
#define UB_DECLINE_LASTING	UB_DECLINE_SECCOMP	/* and all after it */
#define UB_DECLINE_SLOTS	32

/*
 * UB_IOC_STATS: statistics of one attachment since its start.  Those of a process that has
 * ended are final and available until it is detached.
 */
#define UB_STATSF_GONE	(1U << 0)	/* the process has ended or execed */
#define UB_STATSF_TRUSTED (1U << 1)	/* attached with UB_ATTACHF_TRUSTED */
#define UB_STATSF_RESTING (1U << 2)	/* nothing to gain: its calls are not hooked */
struct ub_stats {
	__u64 proc;		/* in */
	__u64 flags;		/* in: 0; out: UB_STATSF_* */
	__u64 native;		/* allow-listed calls entered by SYSCALL, while counted */
	__u64 dispatched;
	__u64 runs;		/* times a region was entered */
	__u64 declined;		/* entries not taken */
	__u64 exits[16];	/* by enum ub_exit_reason */
	__u64 declines[UB_DECLINE_SLOTS]; /* .declined by enum ub_decline, plus reports of
					 * hot sites of threads that would be declined
					 */
	__u64 attach_ns;	/* CLOCK_MONOTONIC, when attached */
	__u64 first_run_ns;	/* CLOCK_MONOTONIC, of the first dispatch; 0: none */
	__u64 events_lost;
	__u64 uncounted_ns;	/* CPU time since the attachment in which no call was counted */
	__u64 filtered;		/* calls of regions that were not dispatched because a
				 * seccomp filter does not plainly allow them
				 */
	__u32 regions;		/* live ones */
	__u32 code_bytes;	/* live code */
	__u32 always;		/* enum ub_decline: all threads are declined for this or
				 * another lasting reason at present; else 0
				 */
	__u32 reserved;		/* 0 */
};

/* UB_IOC_REGIONS: numbers of the live regions; ENOENT if the process has ended. */
struct ub_regions {
	__u64 proc;		/* in */
	__u64 regions;		/* in: pointer to __u32[max] */
	__u32 max;		/* in: at least ub_info.max_regions */
	__u32 flags;		/* in: 0 */
	__u32 count;		/* out */
	__u32 reserved;		/* 0 */
};

/* UB_IOC_COUNTS: how often each exit of a region was taken. */
struct ub_counts {
	__u64 proc;
	__u32 region;
	__u32 flags;		/* 0 */
	__u64 exits;		/* pointer to __u64[nr_exits] */
	__u32 nr_exits;
	__u32 reserved;
	__u64 dispatched;	/* out */
	__u64 runs;		/* out */
};

/* The module's classification of a site: a call number at a resume address. */
enum ub_site_verdict {
	UB_SITE_OPEN		= 0,	/* being timed */
	UB_SITE_HOT		= 1,	/* frequent, with a short gap */
	UB_SITE_RARE		= 2,	/* too few calls */
	UB_SITE_LONG		= 3,	/* its gap is longer than UB_TUNE_GAP_NS */
	UB_SITE_BUSY		= 4,	/* its gaps are always interrupted */
	UB_SITE_ENTRY		= 5,	/* entry of a region */
	UB_SITE_VERDICTS	= 6,
};

/*
 * Times are moving averages.  native_ns: from the end of a call to the start of the next,
 * that is gap and transition; boosted_ns: the same gap in a translation, including entry and
 * exit, and the seccomp filters and the clearing of buffers and branch history at its
 * dispatch; overhead_ns: time of a run before and after that.  Entries are sampled.
 */
struct ub_site_info {
	__u64 ip;		/* resume address */
	__u32 nr;
	__u32 verdict;		/* enum ub_site_verdict */
	__u64 native_ns;
	__u64 boosted_ns;
	__u64 overhead_ns;
	__u32 native_samples;
	__u32 boosted_samples;
	__u64 runs;		/* sampled runs */
	__u64 dispatched;	/* dispatches in them */
};

/* UB_IOC_SITES: the site table of a process. */
#define UB_SITES_MAX	256
struct ub_sites {
	__u64 proc;		/* in */
	__u64 sites;		/* in: pointer to struct ub_site_info[max] */
	__u32 max;		/* in: at most UB_SITES_MAX */
	__u32 flags;		/* in: 0 */
	__u32 count;		/* out */
	__u32 reserved;		/* 0 */
};

/*
 * UB_IOC_PATH: the path reported by UB_EVENT_PATH; can be read once.  Addresses of all
 * instructions in execution order, from .ip to the instruction before which tracing ended:
 * the next syscall, or one that cannot be traced.  EAGAIN: none.
 */
#define UB_PATH_MAX	8192
#define UB_PATH_MISS	(~0U)	/* nr of a path that continues a run after a miss */
struct ub_path {
	__u64 proc;		/* in */
	__u64 ips;		/* in: pointer to __u64[max] */
	__u32 max;		/* in: at least UB_PATH_MAX */
	__u32 flags;		/* in: 0 */
	__u64 ip;		/* out: resume address, or address of the miss */
	__u32 nr;		/* out: of the call before the gap, or UB_PATH_MISS */
	__u32 count;		/* out */
	__u32 next_nr;		/* out: of the call that the last instruction makes, or
				 * UB_PATH_MISS: it is no syscall
				 */
	__u32 reserved;		/* 0 */
};

/* Upper bound of UB_TUNE_BUDGET; bounds how far an address moves in a segment. */
#define UB_BUDGET_MAX		(1U << 24)
/* Upper bound of the elements of one repeated string instruction. */
#define UB_REP_MAX		(1U << 16)

/* UB_IOC_TUNE: set a tunable and get its previous value.  For all attachments. */
enum ub_tunable {
	UB_TUNE_GAP_NS		= 0,	/* a gap shorter than this is short */
	UB_TUNE_HOT_CALLS	= 1,	/* short gaps in a window that make a site hot */
	UB_TUNE_WINDOW_MS	= 2,
	UB_TUNE_BUDGET		= 3,	/* instructions between dispatches */
	UB_TUNE_MISS_EVENTS	= 4,	/* events for each exit of a region; beyond that,
					 * one at each doubling of the exits with reason
					 * SYSCALL or FAULT
					 */
	UB_TUNE_REARM_MS	= 5,	/* period after which sites are timed again */
	UB_TUNE_SAMPLE_BITS	= 6,	/* one in 2^n hits of an entry is timed natively */
	UB_TUNE_IDLE_RUNS	= 7,	/* runs without a dispatch that park an entry */
	UB_TUNE_PATH_STEPS	= 8,	/* largest number of steps of a gap trace; 0: no tracing */
	UB_TUNE_GRACE_MS	= 9,	/* CPU time before a process is watched */
	UB_TUNE_SHARE_BITS	= 10,	/* sampling takes one part in 2^n of the CPU time of the
					 * last ten seconds, and 4 ms once; 0: no bound
					 */
	UB_TUNE_REST_BITS	= 11,	/* looks at resting processes take one part in 2^n of
					 * their CPU time; 0: no process rests
					 */
	UB_TUNABLES		= 12,
};

struct ub_tune {
	__u32 what;		/* enum ub_tunable */
	__u32 flags;		/* bit 0: set; else only get */
	__u64 value;		/* in: new; out: previous */
};
#define UB_TUNEF_SET		(1U << 0)

/* read(): whole events, oldest first. */
enum ub_event_type {
	UB_EVENT_HOT		= 1,	/* ip = resume address, nr, stack */
	UB_EVENT_MISS		= 2,	/* exit taken: ip, target, region, exit, stack */
	UB_EVENT_DEAD		= 3,	/* region invalidated: ip = changed address */
	UB_EVENT_GONE		= 4,	/* process exited or replaced by exec */
	UB_EVENT_FORK		= 5,	/* target = pid of a new descendant, native */
	UB_EVENT_EXEC		= 6,	/* target = pid of one with a new program */
	UB_EVENT_PATH		= 7,	/* a path was traced: ip, nr; see UB_IOC_PATH */
	UB_EVENT_LOST		= 8,	/* target = events lost since the last LOST event:
					 * read the present state; not of one process
					 */
	UB_EVENT_TRIAL		= 9,	/* the trial of region is over: see UB_IOC_TRIAL */
};

#define UB_EVENT_STACK		24	/* words of user stack, from rsp upwards */
struct ub_event {
	__u32 type;		/* enum ub_event_type */
	__u32 nr;		/* call number (HOT), exit reason (MISS) */
	__u64 proc;		/* FORK, EXEC: the attachment that it was or descends from */
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u32 tid;		/* 0: no number in that namespace */
	__u32 region;
	__u64 ip;
	__u64 target;		/* MISS with UB_EXITF_TARGET; MISS of reason SYSCALL: the
				 * call number, FAULT: bit n is set if general register
				 * n, rsp excepted, holds no user address (never 0);
				 * FORK, EXEC: pid
				 */
	__u64 sp;
	__u64 gap_ns;		/* HOT: median-like sample of the gap */
	__u32 exit;		/* MISS: exit number; HOT: enum ub_decline, or 0 */
	__u32 stack_words;	/* valid words in stack */
	__u64 stack[UB_EVENT_STACK];
};

#define UB_IOC_INFO	_IOR('u', 0xb0, struct ub_info)
#define UB_IOC_ATTACH	_IOWR('u', 0xb1, struct ub_attach)
#define UB_IOC_DETACH	_IOW('u', 0xb2, struct ub_detach)
#define UB_IOC_LOAD	_IOWR('u', 0xb3, struct ub_load)
#define UB_IOC_UNLOAD	_IOW('u', 0xb4, struct ub_unload)
#define UB_IOC_STATS	_IOWR('u', 0xb5, struct ub_stats)
#define UB_IOC_COUNTS	_IOWR('u', 0xb6, struct ub_counts)
#define UB_IOC_TUNE	_IOWR('u', 0xb7, struct ub_tune)
#define UB_IOC_SITES	_IOWR('u', 0xb8, struct ub_sites)
#define UB_IOC_PATH	_IOWR('u', 0xb9, struct ub_path)
#define UB_IOC_REGIONS	_IOWR('u', 0xba, struct ub_regions)
#define UB_IOC_TRIAL	_IOWR('u', 0xbb, struct ub_trial)

#endif /* _UAPI_LINUX_UB_H */
