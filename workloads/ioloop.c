// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioloop: one system call in a tight loop, the workload of the UB paper.
 *
 * The loop is that of an ordinary program: a libc call, a check of its result, an
 * optional sum over the buffer, the next offset.  The clock is read only at the
 * ends of a round.  Every round starts at offset 0, so all rounds of all runs with
 * the same arguments must give the same checksum.
 *
 * With --sync the warm-up lasts until a line arrives on stdin; then "ready" is
 * printed, a second line starts the measured rounds, and after the result a
 * third line (or end of file) lets the program end.  So a measuring program can
 * read counters exactly around the rounds.
 *
 * With --cold the file is dropped from the page cache before each round.  While it
 * is read again the machine may be idle, so the clock then measures the thread's own
 * CPU time.  --cpu measures that in any case.
 *
 * With --dry an empty function replaces the system call: the rest is the time of the
 * loop itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM		"ioloop"
#include "rounds.h"


enum call { GETPPID, PREAD, READ, PWRITE, WRITE, NR_CALLS };

static const char *const call_names[NR_CALLS] = {
	"getppid", "pread", "read", "pwrite", "write",
};

struct options {
	enum call call;
	size_t size;
	unsigned long count;
	unsigned long rounds;
	double warmup;
	const char *path;
	bool sum;
	bool dry;
	bool cold;
	bool cpu;
	bool json;
	bool sync;
};

/* Words, so that the sum may read words. */
static uint64_t buffer[MAX_SIZE / sizeof(uint64_t)];
static off_t file_end;		/* size of the file, at which writes wrap */
static uint64_t failed_errno;

static void die(const char *what)
{
	fprintf(stderr, "ioloop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t sum_buffer(const uint64_t *words, size_t bytes)
{
	const unsigned char *tail = (const unsigned char *)words;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < bytes / sizeof(*words); i++)
		sum += words[i];
	for (i *= sizeof(*words); i < bytes; i++)
		sum += tail[i];
	return sum;
}

/* Not inlined and not known to be pure, like a libc call in the loop. */
__attribute__((noinline)) static ssize_t dry_call(int fd, void *data, size_t size,
						  off_t offset)
{
	__asm__ volatile("" : : "r"(fd), "r"(data), "r"(offset) : "memory");
	return (ssize_t)size;
}

/* A call failed: save errno, end the round.  Off the hot path. */
__attribute__((noinline, cold)) static void failed(void)
{
	failed_errno = (uint64_t)errno;
}

__attribute__((noinline)) static uint64_t round_getppid(unsigned long count)
{
	uint64_t check = 0;

	for (unsigned long i = 0; i < count; i++)
		check += (uint64_t)getppid();
	return check;
}

__attribute__((noinline)) static uint64_t round_dry(unsigned long count)
{
	uint64_t check = 0;

	for (unsigned long i = 0; i < count; i++)
		check += (uint64_t)dry_call(0, buffer, 1, 0);
	return check;
}

/*
 * Reads: a short or empty read means end of file, and the next one starts over.
 * "dry" and "sum" are constants at each place of use.
 */
static inline __attribute__((always_inline)) uint64_t
loop_pread(int fd, size_t size, unsigned long count, bool sum, bool dry)
{
	uint64_t check = 0;
	off_t offset = 0;

	for (unsigned long i = 0; i < count; i++) {
		ssize_t got = dry ? dry_call(fd, buffer, size, offset)
				  : pread(fd, buffer, size, offset);

		if (got < 0) {
			failed();
			break;
		}
		offset = (size_t)got == size ? offset + got : 0;
		check += sum ? sum_buffer(buffer, (size_t)got) : (uint64_t)got;
	}
	return check;
}

static inline __attribute__((always_inline)) uint64_t
loop_read(int fd, size_t size, unsigned long count, bool sum)
{
	uint64_t check = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		die("lseek");
	for (unsigned long i = 0; i < count; i++) {
		ssize_t got = read(fd, buffer, size);

		if (got < 0 || (got == 0 && lseek(fd, 0, SEEK_SET) < 0)) {
			failed();
			break;
		}
		check += sum ? sum_buffer(buffer, (size_t)got) : (uint64_t)got;
	}
	return check;
}

__attribute__((noinline)) static uint64_t
round_pread(int fd, size_t size, unsigned long count)
{
	return loop_pread(fd, size, count, false, false);
}

__attribute__((noinline)) static uint64_t
round_pread_sum(int fd, size_t size, unsigned long count)
{
	return loop_pread(fd, size, count, true, false);
}

__attribute__((noinline)) static uint64_t
round_pread_dry(int fd, size_t size, unsigned long count)
{
	return loop_pread(fd, size, count, false, true);
}

__attribute__((noinline)) static uint64_t
round_pread_sum_dry(int fd, size_t size, unsigned long count)
{
	return loop_pread(fd, size, count, true, true);
}

__attribute__((noinline)) static uint64_t
round_read(int fd, size_t size, unsigned long count)
{
	return loop_read(fd, size, count, false);
}

__attribute__((noinline)) static uint64_t
round_read_sum(int fd, size_t size, unsigned long count)
{
	return loop_read(fd, size, count, true);
}

/* Writes never extend the file. */
__attribute__((noinline)) static uint64_t
round_pwrite(int fd, size_t size, unsigned long count)
{
	uint64_t check = 0;
	off_t offset = 0;

	for (unsigned long i = 0; i < count; i++) {
		ssize_t put = pwrite(fd, buffer, size, offset);

		if (put < 0) {
			failed();
			break;
		}
		offset += put;
		if (offset + (off_t)size > file_end)
			offset = 0;
		check += (uint64_t)put;
	}
	return check;
}

__attribute__((noinline)) static uint64_t
round_write(int fd, size_t size, unsigned long count)
{
	uint64_t check = 0;
	off_t offset = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		die("lseek");
	for (unsigned long i = 0; i < count; i++) {
		ssize_t put = write(fd, buffer, size);

		if (put < 0) {
			failed();
			break;
		}
		offset += put;
		if (offset + (off_t)size > file_end) {
			offset = 0;
			if (lseek(fd, 0, SEEK_SET) < 0) {
				failed();
				break;
			}
		}
		check += (uint64_t)put;
	}
	return check;
}

/* Nothing was written, so all pages can be dropped. */
static void make_cold(int fd)
{
	int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	if (error) {
		errno = error;
		die("posix_fadvise");
	}
}

static uint64_t run_round(const struct options *o, int fd)
{
	uint64_t check = 0;

	switch (o->call) {
	case GETPPID:
		check = o->dry ? round_dry(o->count) : round_getppid(o->count);
		break;
	case PREAD:
		if (o->dry)
			check = (o->sum ? round_pread_sum_dry : round_pread_dry)(
				fd, o->size, o->count);
		else
			check = (o->sum ? round_pread_sum : round_pread)(
				fd, o->size, o->count);
		break;
	case READ:
		check = (o->sum ? round_read_sum : round_read)(fd, o->size,
							       o->count);
		break;
	case PWRITE:
		check = round_pwrite(fd, o->size, o->count);
		break;
	case WRITE:
		check = round_write(fd, o->size, o->count);
		break;
	default:
		abort();
	}
	if (failed_errno) {
		errno = (int)failed_errno;
		die(call_names[o->call]);
	}
	return check;
}

static void usage(FILE *out)
{
	fputs("usage: ioloop [--call getppid|pread|read|pwrite|write] [--size BYTES]\n"
	      "              [--file PATH] [--count CALLS] [--rounds N] [--sum]\n"
	      "              [--warmup-seconds S] [--sync] [--dry] [--cold] [--cpu]\n"
	      "              [--json]\n"
	      "Runs one system call in a loop, prints nanoseconds per call.\n",
	      out);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "call", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "warmup-seconds", required_argument, NULL, 'w' },
		{ "sum", no_argument, NULL, 'u' },
		{ "dry", no_argument, NULL, 'd' },
		{ "cold", no_argument, NULL, 'o' },
		{ "cpu", no_argument, NULL, 'p' },
		{ "sync", no_argument, NULL, 'y' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = {
		.call = GETPPID, .size = 64, .count = 100000, .rounds = 5,
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'c':
			for (o.call = 0; o.call < NR_CALLS; o.call++)
				if (!strcmp(optarg, call_names[o.call]))
					break;
			if (o.call == NR_CALLS)
				bad(optarg, "no such call");
			break;
		case 's':
			o.size = number("--size", optarg, 1, MAX_SIZE);
			break;
		case 'f':
			o.path = optarg;
			break;
		case 'n':
			o.count = number("--count", optarg, 1, 1000000000UL);
			break;
		case 'r':
			o.rounds = number("--rounds", optarg, 1, MAX_ROUNDS);
			break;
		case 'w':
			o.warmup = strtod(optarg, &end);
			if (end == optarg || *end || !(o.warmup >= 0))
				bad("--warmup-seconds", "want a number >= 0");
			break;
		case 'u':
			o.sum = true;
			break;
		case 'd':
			o.dry = true;
			break;
		case 'p':
			o.cpu = true;
			break;
		case 'o':
			o.cold = true;
			break;
		case 'y':
			o.sync = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc)
		bad(argv[optind], "unexpected argument");
	if (o.call != GETPPID && !o.path)
		bad("--file", "needed for this call");
	if (o.dry && o.call != GETPPID && o.call != PREAD)
		bad("--dry", "only with getppid and pread");
	if (o.cold && o.call != PREAD && o.call != READ)
		bad("--cold", "only with pread and read");
	if (o.sum && o.call != PREAD && o.call != READ)
		bad("--sum", "only with pread and read");
	return o;
}

static int open_file(const struct options *o)
{
	bool writes = o->call == PWRITE || o->call == WRITE;
	struct stat st;
	int fd;

	if (o->call == GETPPID)
		return -1;
	fd = open(o->path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(o->path);
	file_end = st.st_size;
	if (file_end < (off_t)o->size)
		bad(o->path, "file shorter than one call's size");
	if (writes && pread(fd, buffer, o->size, 0) != (ssize_t)o->size)
		die(o->path);	/* write back the file's own contents */
	return fd;
}

/* Wait for a line (or the end) on stdin. */
static void wait_line(void)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

static bool line_waits(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void report(const struct options *o, const double *ns, uint64_t check,
		   unsigned long warm_rounds)
{
	if (!o->json) {
		printf("%s size %zu%s: %.2f ns per call, checksum %016" PRIx64 "\n",
		       call_names[o->call], o->size, o->sum ? " with sum" : "",
		       median(ns, o->rounds), check);
		return;
	}
	printf("{\"call\": \"%s\", \"size\": %zu, \"sum\": %s, \"count\": %lu, "
	       "\"warmup_rounds\": %lu, \"checksum\": \"%016" PRIx64 "\", ",
	       call_names[o->call], o->size, o->sum ? "true" : "false", o->count,
	       warm_rounds, check);
	print_rounds(ns, o->rounds);
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	int fd = open_file(&o);
	static double ns[MAX_ROUNDS];
	unsigned long warm_rounds = 0;
	uint64_t start = now_ns(CLOCK_MONOTONIC);
	clockid_t which = o.cold || o.cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
	uint64_t check = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* At least one round, to exclude page faults and lazy binding. */
	do {
		uint64_t warm;

		if (o.cold)
			make_cold(fd);
		warm = run_round(&o, fd);

		if (warm_rounds++ && warm != check)
			bad("checksum", "differs between warm-up rounds");
		check = warm;
	} while ((double)(now_ns(CLOCK_MONOTONIC) - start) < o.warmup * 1e9 ||
		 (o.sync && !line_waits()));
	if (o.sync) {
		wait_line();
		puts("ready");
		wait_line();
	}
	for (unsigned long i = 0; i < o.rounds; i++) {
		uint64_t begin, sum;

		if (o.cold)
			make_cold(fd);
		begin = now_ns(which);
		sum = run_round(&o, fd);
		ns[i] = (double)(now_ns(which) - begin) / (double)o.count;
		if (sum != check)
			bad("checksum", "differs between rounds");
	}
	report(&o, ns, check, warm_rounds);
	if (o.sync)
		wait_line();
	return 0;
}
