// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data of ub.ko while a process is attached and one region is loaded, as expected by
 * the module's own code: the process by its mm, the entry by its address, the region's
 * code with dispatches by ub_dispatch_emit().
 */
#include "replay.h"

#define NUMBER 1 /* number of the process in ub_filter */
#define ENTRIES 4096
#define CODE_ROOM (4UL << 20)
#define BUDGET 262144
#define OLD 4096 /* hits of an entry that is sampled once in 2^30 */

struct ub_tunable_range ub_tunables[UB_TUNABLES] = {
	/* No run is sampled, and almost no miss is reported. */
	[UB_TUNE_SAMPLE_BITS] = { .value = 32 },
	[UB_TUNE_IDLE_RUNS] = { .value = 1000000000 },
};
u8 ub_arena[CODE_ROOM] __attribute__((aligned(4096)));
u16 ub_filter[UB_FILTER_SIZE];
unsigned long ub_bodies[UB_CALLS];
u64 ub_parked[UB_PARKED_SIZE];
u64 ub_passed_calls[UB_FILTER_BUSY + 1];
struct ub_gap ub_gap;
u32 ub_budget = BUDGET;
u8 ub_dead[UB_MAX_REGIONS];
u64 ub_dispatched[UB_MAX_REGIONS];
static struct ub_entry_head nobody;
struct ub_entry_head *ub_entries[UB_FILTER_NUMBERS];
struct hlist_head ub_procs[1 << UB_PROC_BITS];
struct ub_region region;
int __preempt_count;
u16 ub_shim_softirqs;
unsigned long cpu_dr7;
u8 ub_shim_has[7] = { [X86_FEATURE_FSGSBASE] = 1, [X86_FEATURE_FXSR] = 1 };
u8 *frame;

static struct mm_struct mm __attribute__((aligned(64)));
static struct signal_struct signals;
static struct task_struct task;
static struct ub_proc proc;
static struct ub_proc_cpu proc_cpu;
static struct ub_region_cpu region_cpu;
static struct {
	struct ub_entry_table table;
	struct ub_entry_slot slot[ENTRIES];
} entries;
static u64 exit_counts[UB_MAX_EXITS];
static unsigned long exit_followed[UB_MAX_EXITS / 64 + 1];
u64 exit_nonpointers[UB_MAX_EXITS];
static struct ub_exit exits[UB_MAX_EXITS];
static struct ub_entry entry_list[UB_MAX_ENTRIES];
static struct ub_backoff backoffs[UB_MAX_ENTRIES];
struct task_struct *current_task = &task;

struct pt_regs *module_regs(void)
{
	return task_pt_regs(current);
}

/* ---- parts of the module that an ordinary run does not reach ------------------- */

void ub_shim_bh_enable(void)
{
	__preempt_count -= SOFTIRQ_DISABLE_OFFSET - 1;
	if (unlikely(READ_ONCE(ub_shim_softirqs)))
		ub_shim_fail("softirqs came up");
	__preempt_count--;
}

unsigned long ub_switch_fpu_return = (unsigned long)ub_load_fpu;

void ub_load_fpu(void)
{
}

unsigned long ub_handler_body(u32 nr)
{
	return (unsigned long)ub_call_body;
}

void ub_detect_before(u64 now)
{
}

void ub_detect_after(struct ub_proc *of, struct pt_regs *regs, u64 ax)
{
}

/* As in backoff.c, without holding any entry back. */
void ub_backoff_run(struct ub_region *in, struct ub_backoff *at, bool dispatched)
{
	u32 runs = READ_ONCE(at->runs);

	if (likely(dispatched)) {
		if (runs) {
			WRITE_ONCE(at->runs, runs - (runs < 2 ? runs : 2));
			WRITE_ONCE(at->good, READ_ONCE(at->good) + 1);
		}
		return;
	}
	WRITE_ONCE(at->runs, runs + 1);
}

/* As in backoff.c; no entry has ever been held back. */
bool ub_backoff_holds(const struct ub_backoff *at)
{
	return READ_ONCE(at->times) && READ_ONCE(at->until);
}

void ub_backoff_park(struct ub_region *in, u32 entry)
{
}

void ub_slice_begin(void)
{
}

void ub_sample_native(struct ub_proc *of, const struct pt_regs *regs)
{
}

void ub_sample_boosted(struct ub_proc *of, u64 ip, u32 nr, u64 cycles)
{
}

void ub_sample_run(struct ub_proc *of, u64 ip, u32 nr, u64 dispatched, u64 overhead)
{
}

struct ub_site *ub_site_of(struct ub_proc *of, u64 ip, u32 nr, bool claim)
{
	return NULL;
}

/* As in site_table.c, in an epoch without end. */
void ub_sites_note_call(struct ub_proc *of, u32 nr)
{
	u32 *made = &of->made[nr & (UB_CALLS - 1)];

	if (READ_ONCE(*made) != 1)
		WRITE_ONCE(*made, 1);
}

bool ub_trace_gap_begin(struct ub_proc *of, struct pt_regs *regs, u32 nr, bool urgent,
			u32 steps)
{
	return false;
}

/* Of misses only the nonpointers of faults are kept. */
bool ub_proc_send_with_stack(struct ub_proc *of, struct ub_event *event)
{
	if (event->nr == UB_EXIT_FAULT)
		exit_nonpointers[event->exit] |= event->target;
	return true;
}

/* The program has neither a seccomp filter nor other work at its calls. */
bool ub_seccomp_known;

void ub_seccomp_rehearse(const struct pt_regs *regs)
{
	ub_shim_fail("a filter is asked");
}

/* Not reached: no thread flag is ever set. */
void ub_task_work_run(void)
{
	ub_shim_fail("there is task work");
}

bool ub_task_work_dispatched(bool vector)
{
	ub_shim_fail("there is task work");
}

/* Not reached: the region is confirmed. */
enum ub_sample ub_trial_begin(struct ub_region *in, u32 entry, bool *running)
{
	ub_shim_fail("the region is on trial");
}

void ub_trial_finish(struct ub_region *in, u64 cycles)
{
}

void ub_region_last(struct ub_region *last)
{
	ub_shim_fail("the region is gone");
}

/* ---- the process and its region ------------------------------------------------ */

static void load_code(void)
{
	const u64 *jumps = JOB_TABLE(u64, jumps);
	const struct dispatchrec *dispatches = JOB_TABLE(struct dispatchrec, dispatches);

	if (job->code_size > CODE_ROOM)
		fail("too much code:", job->code_size);
	if (sys3(10, ub_arena, CODE_ROOM, 7)) /* mprotect */
		fail("no executable memory at", (u64)ub_arena);
	memcpy(ub_arena, (const u8 *)job + job->code, job->code_size);
	for (u64 i = 0; i < job->nr_jumps; i++) {
		s32 distance = (s32)((u64)ub_leave - ((u64)ub_arena + jumps[i] + 4));

		memcpy(ub_arena + jumps[i], &distance, 4);
	}
	for (u64 i = 0; i < job->nr_dispatches; i++) {
		struct ub_dispatch_site site = {
			.image = ub_arena + dispatches[i].at,
			.code = ub_arena + dispatches[i].at,
			.nr = (u32)dispatches[i].nr,
			.pre = ub_arena + dispatches[i].pre,
			.post = ub_arena + dispatches[i].post,
			.vector = job->vector,
		};

		ub_dispatch_emit(&site);
	}
}

static void add_entry(u32 number, u64 ip, u32 nr, u32 offset)
{
	u32 at = ub_entry_place(&entries.table, ip, nr);

	while (entries.table.slot[at & (ENTRIES - 1)].region)
		at++;
	entries.table.slot[at & (ENTRIES - 1)] = (struct ub_entry_slot){
		.user_ip = ip,
		.nr = nr,
		.code = ub_arena + offset,
		.region = &region,
		.backoff = &backoffs[number],
		.entry = number,
		.hits = OLD,
		.rest = 1,
	};
	entry_list[number] = (struct ub_entry){
		.user_ip = ip, .nr = nr, .code_offset = offset,
	};
}

static void set_up_region(void)
{
	const struct exitrec *from = JOB_TABLE(struct exitrec, exits);
	const struct entryrec *list = JOB_TABLE(struct entryrec, entries);

	if (job->nr_exits > UB_MAX_EXITS || job->nr_entries > UB_MAX_ENTRIES)
		fail("too many exits:", job->nr_exits);
	for (u64 i = 0; i < job->nr_exits; i++)
		exits[i] = (struct ub_exit){
			.user_ip = from[i].ip,
			.cx = from[i].cx,
			.reason = (u32)from[i].reason,
			.flags = (u32)from[i].flags,
		};
	region.proc = &proc;
	region.code = ub_arena;
	region.code_length = (u32)job->code_size;
	region.nr_entries = (u32)job->nr_entries;
	region.nr_exits = (u32)job->nr_exits;
	region.entries = entry_list;
	region.exits = exits;
	ub_region_mark_exits(&region);
	region.cpu = &region_cpu;
	region.counts = exit_counts;
	region.followed = exit_followed;
	region.backoff = backoffs;
	region.vector = job->vector;
	region.x87 = job->x87;
	entries.table.mask = ENTRIES - 1;
	for (u64 i = 0; i < job->nr_entries; i++)
		add_entry((u32)i, list[i].ip, (u32)list[i].nr, (u32)list[i].offset);
}

/* Calls at parked sites, counted by the trampoline. */
u64 module_parked(void)
{
	return ub_passed_calls[NUMBER];
}

static bool is_entry(u64 ip, u32 nr)
{
	for (u64 i = 0; i < job->nr_entries; i++)
		if (entry_list[i].user_ip == ip && entry_list[i].nr == nr)
			return true;
	return false;
}

/* Park a site without an entry, as the module does after a while. */
static void park_site(u64 ip, u32 nr)
{
	u64 key = (u64)&mm ^ ip ^ (nr * UB_PARKED_NR);
	u64 *place = &ub_parked[key & (UB_PARKED_SIZE - 1)];

	if (is_entry(ip, nr))
		return;
	if (*place && *place != key)
		place = &ub_parked[(key & (UB_PARKED_SIZE - 1)) ^ 1];
	*place = key;
}

void module_setup(void)
{
	u64 hash = ((u64)&mm >> 6) & (UB_FILTER_SIZE - 1);
	struct hlist_head *head = &ub_procs[hash_64((u64)&mm, UB_PROC_BITS)];

	ub_shim_has[X86_FEATURE_CLEAR_BHB_LOOP] = job->clear_history != 0;
	ub_shim_has[X86_FEATURE_CLEAR_CPU_BUF] = job->clear_buffers != 0;
	task.mm = &mm;
	task.stack = ub_shim_stack;
	task.signal = &signals;
	/* No timer measures user time. */
	signals.posix_cputimers.bases[CPUCLOCK_VIRT].nextevt = U64_MAX;
	task.posix_cputimers.bases[CPUCLOCK_VIRT].nextevt = U64_MAX;
	proc.mm = &mm;
	proc.number = NUMBER;
	proc.cpu = &proc_cpu;
	proc.entries = &entries.table.head;
	entries.table.head.mm = &mm;
	for (u32 number = 0; number < UB_FILTER_NUMBERS; number++)
		ub_entries[number] = &nobody;
	ub_entries[NUMBER] = &entries.table.head;
	proc.first_run_ns = 1;
	head->first = &proc.hash;
	ub_filter[hash] = NUMBER;
	for (u32 nr = 0; nr < UB_CALLS; nr++)
		ub_bodies[nr] = ub_handler_body(nr);
	frame = (u8 *)module_regs() - UB_FRAME_REGS;
	load_code();
	set_up_region();
	for (u64 i = 0; i < job->nr_calls; i++) {
		const struct call *call = &JOB_TABLE(struct call, calls)[i];

		park_site(call->resume, (u32)call->nr);
	}
}
