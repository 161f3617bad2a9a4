// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay JOB MEMORY: run the chain of the file JOB on the memory in the file MEMORY,
 * natively and translated by turns; the results go to standard output as 64-bit words:
 *
 *   magic; ticks of an interval, and its ns; words of memory that the chain changes, wrong
 *   ones among these, other wrong ones, chains on another path; of one translated chain:
 *   runs, dispatches, calls at parked sites, exits by reason (16) and by number,
 *   nonpointers by exit; for each round, mode and repetition the ticks of each gap and of
 *   the whole chain, natively and then translated; the number of translated chains; over
 *   all chains: runs, dispatches, wrong words, chains on another path.
 *
 * replay sizes: print the size of a dispatch in bytes, without and with vector registers.
 */
#include "replay.h"

#define SYS_read 0
#define SYS_write 1
#define SYS_open 2
#define SYS_fstat 5
#define SYS_mmap 9
#define SYS_munmap 11
#define SYS_pread 17
#define SYS_sched_setaffinity 203
#define SYS_getrusage 98
#define SYS_setpriority 141
#define SYS_clock_gettime 228
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_NS 20000000
#define JOB_AT 0x100000000000UL
#define UNDO_AT 0x100200000000UL
#define UNDO_ROOM (1UL << 30)
#define GAPS_AT 0x100300000000UL
#define NULL_AT 0x100400000000UL
#define OURS_START 0x100000000000UL
#define OURS_END 0x100500000000UL
#define USER_START 0x10000UL
#define NIVCSW 17 /* index of ru_nivcsw in struct rusage, in words */
#define NICE (-10)
#define TRIES 4
#define ROUND 10 /* consecutive repetitions of one mode, as in replay.py */
#define SETTLE 31 /* empty gaps timed before each repetition */
#define GUARDED_END 0x7ffffffff000UL

const struct job *job;

struct undo {
	u64 *at, before, after;
};
static struct undo *undo;
static u64 nr_undo, wrong_words, other_words, translated_chains;
static int memory_file;
extern u8 _end[], __ehdr_start[];
void replay_main(u64 *stack) __attribute__((noreturn));

static void out(const void *what, u64 size)
{
	const u8 *from = what;

	while (size) {
		long done = sys3(SYS_write, 1, from, size);

		if (done <= 0)
			fail("cannot write results:", (u64)-done);
		from += done;
		size -= (u64)done;
	}
}

static void out_word(u64 value)
{
	out(&value, 8);
}

static void print_sizes(void)
{
	char text[] = "000 000\n";
	u32 sizes[2] = { ub_dispatch_size(false), ub_dispatch_size(true) };

	for (u32 i = 0; i < 2; i++) {
		text[4 * i] += (char)(sizes[i] / 100);
		text[4 * i + 1] += (char)(sizes[i] / 10 % 10);
		text[4 * i + 2] += (char)(sizes[i] % 10);
	}
	out(text, sizeof(text) - 1);
	program_exit(0);
}

static void open_job(const char *path)
{
	u64 about[18];
	long file = sys3(SYS_open, path, 0, 0);

	if (file < 0 || sys2(SYS_fstat, file, about))
		fail("cannot open the job:", (u64)-file);
	job = (const struct job *)JOB_AT;
	if (sys6(SYS_mmap, JOB_AT, (long)about[6], 1, 0x100002, file, 0) != (long)JOB_AT ||
	    job->magic != JOB_MAGIC)
		fail("not a job:", 0);
}

/* Unmap everything but this program and its tables. */
static void clear_the_way(void)
{
	u64 start = (u64)__ehdr_start & -4096UL;
	u64 end = ((u64)_end + 4095) & -4096UL;

	sys2(SYS_munmap, USER_START, start - USER_START);
	sys2(SYS_munmap, end, OURS_START - end);
	sys2(SYS_munmap, OURS_END, GUARDED_END - OURS_END);
}

static void map_memory(void)
{
	const struct area *areas = JOB_TABLE(struct area, areas);
	const struct patch *patches = JOB_TABLE(struct patch, patches);
	const u64 *hops = JOB_TABLE(u64, hops);

	for (u64 i = 0; i < job->nr_areas; i++) {
		u64 size = areas[i].end - areas[i].start;

		if (sys6(SYS_mmap, (long)areas[i].start, (long)size, 7, 0x100002,
			 memory_file, (long)areas[i].offset) != (long)areas[i].start)
			fail("the memory of the program cannot be mapped at", areas[i].start);
	}
	for (u64 i = 0; i < job->nr_hops; i++) {
		static const u8 jump[6] = { 0xff, 0x25 };
		u64 to = (u64)ub_native_end;
		u8 *page = memory_at(hops[i], 4096);

		memcpy(page, jump, 6);
		memcpy(page + 6, &to, 8);
	}
	if (job->nr_times)
		memcpy(memory_at(job->times_at, 8 + 24 * job->nr_times + 4096) + 8,
		       (const u8 *)job + job->times, 24 * job->nr_times);
	for (u64 i = 0; i < job->nr_patches; i++)
		memcpy((void *)patches[i].at, patches[i].bytes, patches[i].length);
}

/* Reset the chain's state: memory, and the number of the next vDSO answer. */
static void restore(void)
{
	if (job->nr_times)
		*(u64 *)job->times_at = 0;
	for (u64 i = 0; i < nr_undo; i++)
		*undo[i].at = undo[i].before;
}

/* Find the words that differ from the snapshot: as undo list, or as errors. */
static void scan(bool first)
{
	const struct area *areas = JOB_TABLE(struct area, areas);
	static u64 page[512];

	for (u64 i = 0; i < job->nr_areas; i++) {
		if (!(areas[i].flags & AREA_WRITE))
			continue;
		for (u64 a = areas[i].start; a < areas[i].end; a += 4096) {
			u64 *now = (u64 *)a;
			long got = sys4(SYS_pread, memory_file, page, 4096,
					areas[i].offset + (a - areas[i].start));

			if (got != 4096)
				fail("cannot read the memory of", a);
			for (u32 k = 0; k < 512; k++) {
				if (page[k] == now[k])
					continue;
				if (!first) {
					other_words++;
					continue;
				}
				if ((nr_undo + 1) * sizeof(*undo) > UNDO_ROOM)
					fail("too many words change:", nr_undo);
				undo[nr_undo++] = (struct undo){ now + k, page[k], now[k] };
			}
		}
	}
}

static void compare(void)
{
	for (u64 i = 0; i < nr_undo; i++)
		if (*undo[i].at != undo[i].after)
			wrong_words++;
}

static void verify(void)
{
	checking = 1;
	chain_run(false);
	if (counts.wrong)
		fail("the native chain takes another path", counts.wrong);
	scan(true);
	restore();
	checking = 2;
	/* A second native run: only a chain that repeats itself can be compared. */
	chain_run(false);
	compare();
	if (counts.wrong || wrong_words)
		fail("the chain is not repeatable: words that differ", wrong_words);
	restore();
	chain_run(true);
	translated_chains++;
	compare();
	restore();
	scan(false);
	checking = 0;
}

static void sort(u64 *values, u32 n)
{
	for (u32 i = 1; i < n; i++)
		for (u32 k = i; k && values[k] < values[k - 1]; k--) {
			u64 value = values[k];

			values[k] = values[k - 1];
			values[k - 1] = value;
		}
}

/* The ticks of an empty gap: registers loaded and stored, two time stamps. */
static void calibrate(void)
{
	static u64 native[SETTLE], dispatched[SETTLE];
	static const u8 jump[6] = { 0xff, 0x25 };
	u64 to = (u64)ub_native_end;
	static u8 *code;

	if (!code)
		code = memory_at(NULL_AT, 4096);
	memcpy(code, jump, 6);
	memcpy(code + 6, &to, 8);
	ub_user_ip = (u64)code;
	ub_user[4] = NULL_AT + 4096;
	ub_user_flags = 0x202;
	ub_pay = 0;
	for (u32 i = 0; i < SETTLE; i++) {
		ub_native();
		ub_user_flags = 0x202;
		native[i] = ub_ended - ub_began;
		dispatched[i] = ub_stamp_cost();
	}
	sort(native, SETTLE);
	sort(dispatched, SETTLE);
	null_native = native[SETTLE / 2];
	null_dispatch = dispatched[SETTLE / 2];
}

/* The number of involuntary context switches so far. */
static u64 interruptions(void)
{
	u64 usage[18];

	sys2(SYS_getrusage, 0, usage);
	return usage[NIVCSW];
}

/* Run one chain, again if another program ran meanwhile and changed the caches. */
static void one(bool translated)
{
	u64 before;

	for (u32 tries = 0; tries < TRIES; tries++) {
		restore();
		/* Each time, since the processor changes its frequency. */
		calibrate();
		before = interruptions();
		chain_run(translated);
		translated_chains += translated;
		compare();
		if (interruptions() == before)
			return;
	}
}

static void out_ticks(void)
{
	out(gap_ticks, 8 * job->nr_calls);
	out_word(chain_ticks);
}

/* Modes are interleaved, too, so that all see the same state of the machine. */
static void timed(void)
{
	for (u64 r = 0; r < job->repetitions; r += ROUND)
		for (u64 m = 0; m < job->nr_modes; m++) {
			mode = job->modes[m];
			/* Not recorded: the caches are those of another mode. */
			one(false);
			one(true);
			for (u64 k = r; k < r + ROUND && k < job->repetitions; k++) {
				one(false);
				out_ticks();
				one(true);
				out_ticks();
			}
		}
}

/* Report the ticks of the time stamp counter in an interval, and its ns. */
static void report_clock(void)
{
	s64 from[2], to[2], ns;
	u64 start = rdtsc(), ticks;

	sys2(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, from);
	do {
		sys2(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, to);
		ticks = rdtsc() - start;
		ns = (to[0] - from[0]) * 1000000000 + to[1] - from[1];
	} while (ns < CLOCK_NS);
	out_word(ticks);
	out_word((u64)ns);
}

/* Those that were cut off by the end of a chain included. */
static u64 runs(void)
{
	u64 sum = counts.runs;

	for (u32 i = 0; i < UB_EXIT_REASONS; i++)
		sum += region.cpu->exits[i];
	return sum;
}

static void report_checks(void)
{
	out_word(OUT_MAGIC);
	report_clock();
	out_word(nr_undo);
	out_word(wrong_words);
	out_word(other_words);
	out_word(counts.wrong);
	out_word(runs());
	out_word(ub_dispatched[0] + counts.runs);
	out_word(module_parked());
	for (u32 i = 0; i < 16; i++)
		out_word(i < UB_EXIT_REASONS ? region.cpu->exits[i] : 0);
	out(region.counts, 8 * job->nr_exits);
	out(exit_nonpointers, 8 * job->nr_exits);
}

static void chains(void)
{
	u64 wrong_before;

	verify();
	report_checks();
	wrong_before = wrong_words + counts.wrong;
	if (!wrong_before)
		timed();
	/* Over all chains. */
	out_word(translated_chains);
	out_word(runs());
	out_word(ub_dispatched[0] + counts.runs);
	out_word(wrong_words);
	out_word(counts.wrong);
}

void replay_main(u64 *stack)
{
	u64 count = stack[0], set;
	char **words = (char **)(stack + 1);

	if (count == 2)
		print_sizes();
	if (count != 3)
		fail("usage: replay JOB MEMORY", 0);
	memory_file = (int)sys3(SYS_open, words[2], 0, 0);
	if (memory_file < 0)
		fail("cannot open the memory:", (u64)-memory_file);
	open_job(words[1]);
	set = 1UL << job->processor;
	sys3(SYS_sched_setaffinity, 0, 8, &set);
	/* May fail without privilege; then there are more context switches. */
	sys3(SYS_setpriority, 0, 0, NICE);
	clear_the_way();
	undo = memory_at(UNDO_AT, UNDO_ROOM);
	gap_ticks = memory_at(GAPS_AT, (8 * job->nr_calls + 4095) & -4096UL);
	map_memory();
	signals_setup();
	work_setup();
	module_setup();
	chain_setup();
	chains();
	program_exit(0);
}
