// SPDX-License-Identifier: GPL-2.0-only
/*
 * uring: ioloop's reads through io_uring, in batches of a depth.
 *
 * An iteration of the loop fills --depth submissions, enters the kernel once, which
 * returns when all are complete, and takes the completions: the same reads, the same
 * check of each result and the same next offset as ioloop's pread.  Modes:
 *
 *   plain       a file descriptor, buffers of the program
 *   registered  with registered file, buffers and ring
 *   sqpoll      the same, with a kernel thread that polls for submissions and the
 *               program polling for completions: no system call as long as both keep up
 *
 * Every round starts at offset 0.  The warm-up round compares all data with the data
 * that pread reads.  A round is whole batches, so --count is rounded up.  Kernel threads
 * (iou-wrk-PID) do the reads that do not complete at once: their number is part of the
 * result.
 *
 * Status 3: not supported by this kernel, with the reason on stderr.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM		"uring"
#include "rounds.h"

#define MAX_DEPTH	1024UL
#define POLLER_IDLE_MS	1000
#define NOT_HERE	3

enum way { PLAIN, REGISTERED, SQPOLL, NR_WAYS };

static const char *const way_names[NR_WAYS] = { "plain", "registered", "sqpoll" };

struct options {
	enum way way;
	size_t size;
	unsigned int depth;
	unsigned long count;
	unsigned long rounds;
	const char *path;
};

static struct io_uring ring;
static unsigned char *buffers;	/* size bytes for each read of a batch */
static unsigned char *expected;

static void die(const char *what, int error)
{
	fprintf(stderr, "uring: %s: %s\n", what, strerror(error));
	exit(1);
}

static void not_here(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(NOT_HERE);
}

/* Read at offset into the slot's buffer.  Constants at each place of use. */
static inline __attribute__((always_inline)) void
prepare(const struct options *o, int fd, unsigned int slot, off_t offset, enum way way)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	unsigned char *buffer = buffers + slot * o->size;
	unsigned int size = (unsigned int)o->size;

	/* The poller may complete requests before it frees their submission slots. */
	while (way == SQPOLL && !sqe) {
		__builtin_ia32_pause();
		sqe = io_uring_get_sqe(&ring);
	}
	if (way == PLAIN) {
		io_uring_prep_read(sqe, fd, buffer, size, (uint64_t)offset);
	} else {
		io_uring_prep_read_fixed(sqe, 0, buffer, size, (uint64_t)offset,
					 (int)slot);
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	sqe->user_data = slot;
}

__attribute__((noinline, cold)) static void failed(int result)
{
	if (result < 0)
		die("read", -result);
	bad("read", "fewer bytes than asked for");
}

/* Take all completions of a batch; sums up the data as ioloop does. */
static inline __attribute__((always_inline)) uint64_t
reap(const struct options *o, bool poll)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	uint64_t check = 0;

	do {
		unsigned int found = 0;

		io_uring_for_each_cqe(&ring, head, cqe) {
			if (cqe->res != (int)o->size)
				failed(cqe->res);
			check += (uint64_t)cqe->res;
			found++;
		}
		io_uring_cq_advance(&ring, found);
		seen += found;
		if (poll && !found)
			__builtin_ia32_pause();
	} while (seen < o->depth && poll);
	if (seen != o->depth)
		bad("completions", "fewer than waited for");
	return check;
}

static inline __attribute__((always_inline)) uint64_t
loop(const struct options *o, int fd, enum way way)
{
	uint64_t check = 0;
	off_t offset = 0;

	for (unsigned long done = 0; done < o->count; done += o->depth) {
		int sent;

		for (unsigned int slot = 0; slot < o->depth; slot++) {
			prepare(o, fd, slot, offset, way);
			offset += (off_t)o->size;
		}
		sent = way == SQPOLL ? io_uring_submit(&ring)
				     : io_uring_submit_and_wait(&ring, o->depth);
		if (sent < 0)
			die("io_uring_enter", -sent);
		check += reap(o, way == SQPOLL);
	}
	return check;
}

__attribute__((noinline)) static uint64_t round_plain(const struct options *o, int fd)
{
	return loop(o, fd, PLAIN);
}

__attribute__((noinline)) static uint64_t round_registered(const struct options *o,
							   int fd)
{
	return loop(o, fd, REGISTERED);
}

__attribute__((noinline)) static uint64_t round_sqpoll(const struct options *o, int fd)
{
	return loop(o, fd, SQPOLL);
}

static uint64_t run_round(const struct options *o, int fd)
{
	switch (o->way) {
	case PLAIN:
		return round_plain(o, fd);
	case REGISTERED:
		return round_registered(o, fd);
	case SQPOLL:
		return round_sqpoll(o, fd);
	default:
		abort();
	}
}

/* An unmeasured round: compare each batch with the data of pread. */
static void compare(const struct options *o, int fd)
{
	off_t offset = 0;

	for (unsigned long done = 0; done < o->count; done += o->depth) {
		int sent;

		memset(buffers, 0, o->depth * o->size);
		for (unsigned int slot = 0; slot < o->depth; slot++)
			prepare(o, fd, slot, offset + (off_t)(slot * o->size), o->way);
		sent = o->way == SQPOLL ? io_uring_submit(&ring)
					: io_uring_submit_and_wait(&ring, o->depth);
		if (sent < 0)
			die("io_uring_enter", -sent);
		reap(o, o->way == SQPOLL);
		for (unsigned int slot = 0; slot < o->depth; slot++) {
			if (pread(fd, expected, o->size, offset) != (ssize_t)o->size)
				die("pread", errno);
			if (memcmp(expected, buffers + slot * o->size, o->size))
				bad("data", "differs from what pread reads");
			offset += (off_t)o->size;
		}
	}
}

/*
 * The number of threads of this process whose name begins with .name; .cpu_ns is the
 * CPU time of the last one, from the scheduler, in ns.
 */
static unsigned long threads(const char *name, uint64_t *cpu_ns)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned long found = 0;
	struct dirent *entry;

	if (!tasks)
		die("/proc/self/task", errno);
	while ((entry = readdir(tasks))) {
		char path[300], comm[32] = "";
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = '\0';
		fclose(file);
		if (strncmp(comm, name, strlen(name)))
			continue;
		found++;
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (cpu_ns && fscanf(file, "%" SCNu64, cpu_ns) != 1)
			*cpu_ns = 0;
		fclose(file);
	}
	closedir(tasks);
	return found;
}

static void set_up(const struct options *o, int fd)
{
	struct io_uring_params params = { 0 };
	struct iovec *vectors = calloc(o->depth, sizeof(*vectors));
	int error;

	buffers = aligned_alloc(4096, (o->depth * o->size + 4095) & ~4095UL);
	expected = malloc(o->size);
	if (!vectors || !buffers || !expected)
		die("memory", ENOMEM);
	/*
	 * SINGLE_ISSUER with COOP_TASKRUN or DEFER_TASKRUN gains nothing for reads that
	 * complete at once (6.1: the same count, and 24 instructions more at depth 1).
	 */
	if (o->way == SQPOLL) {
		params.flags = IORING_SETUP_SQPOLL;
		params.sq_thread_idle = POLLER_IDLE_MS;
	}
	error = io_uring_queue_init_params(o->depth, &ring, &params);
	if (error)
		not_here("io_uring_setup", -error);
	for (unsigned int slot = 0; slot < o->depth; slot++)
		vectors[slot] = (struct iovec){ buffers + slot * o->size, o->size };
	if (o->way != PLAIN) {
		error = io_uring_register_buffers(&ring, vectors, o->depth);
		if (error)
			not_here("registering buffers", -error);
		error = io_uring_register_files(&ring, &fd, 1);
		if (error)
			not_here("registering a file", -error);
		/* Since 5.18; without it, each entry looks up the ring's descriptor. */
		io_uring_register_ring_fd(&ring);
	}
	free(vectors);
}

static void usage(FILE *out)
{
	fputs("usage: uring --file PATH [--way plain|registered|sqpoll] [--size BYTES]\n"
	      "             [--depth N] [--count READS] [--rounds N]\n"
	      "Reads a file through io_uring, prints nanoseconds per read as JSON.\n",
	      out);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "way", required_argument, NULL, 'w' },
		{ "size", required_argument, NULL, 's' },
		{ "depth", required_argument, NULL, 'd' },
		{ "file", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = {
		.way = PLAIN, .size = 64, .depth = 1, .count = 100000, .rounds = 5,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'w':
			for (o.way = 0; o.way < NR_WAYS; o.way++)
				if (!strcmp(optarg, way_names[o.way]))
					break;
			if (o.way == NR_WAYS)
				bad(optarg, "no such way");
			break;
		case 's':
			o.size = number("--size", optarg, 1, MAX_SIZE);
			break;
		case 'd':
			o.depth = (unsigned int)number("--depth", optarg, 1, MAX_DEPTH);
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
	if (!o.path)
		bad("--file", "needed");
	o.count = (o.count + o.depth - 1) / o.depth * o.depth;
	return o;
}

static int open_file(const struct options *o)
{
	int fd = open(o->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(o->path, errno);
	if ((uint64_t)st.st_size < o->count * o->size)
		bad(o->path, "file shorter than a round");
	return fd;
}

/* cpu: CPU time of all threads, those of the kernel included, ns per read. */
static void report(const struct options *o, const double *ns, const double *cpu,
		   uint64_t check, unsigned long workers, double poller)
{
	printf("{\"way\": \"%s\", \"size\": %zu, \"depth\": %u, \"count\": %lu, "
	       "\"checksum\": \"%016" PRIx64 "\", \"workers\": %lu, "
	       "\"poller\": %.4f, \"cpu\": %.4f, ",
	       way_names[o->way], o->size, o->depth, o->count, check, workers, poller,
	       median(cpu, o->rounds));
	print_rounds(ns, o->rounds);
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	int fd = open_file(&o);
	static double ns[MAX_ROUNDS], cpu[MAX_ROUNDS];
	uint64_t polled = 0, polled_after = 0, check = 0;
	unsigned long workers;

	set_up(&o, fd);
	compare(&o, fd);
	workers = threads("iou-wrk-", NULL);
	threads("iou-sqp-", &polled);
	for (unsigned long i = 0; i < o.rounds; i++) {
		uint64_t spent = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		uint64_t begin = now_ns(CLOCK_MONOTONIC), sum = run_round(&o, fd);
		unsigned long now;

		ns[i] = (double)(now_ns(CLOCK_MONOTONIC) - begin) / (double)o.count;
		spent = now_ns(CLOCK_PROCESS_CPUTIME_ID) - spent;
		cpu[i] = (double)spent / (double)o.count;
		if (i && sum != check)
			bad("checksum", "differs between rounds");
		check = sum;
		now = threads("iou-wrk-", NULL);
		workers = now > workers ? now : workers;
	}
	threads("iou-sqp-", &polled_after);
	report(&o, ns, cpu, check, workers,
	       (double)(polled_after - polled) / (double)(o.count * o.rounds));
	io_uring_queue_exit(&ring);
	return 0;
}
