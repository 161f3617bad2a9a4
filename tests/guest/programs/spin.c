// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop that checks itself, for everything that happens to it from outside:
 * the daemon killed, the module's removal tried, a tracer attached, attached and
 * detached many times.
 *
 *   spin FILE [THREADS]
 *
 * Each thread reads its own part of FILE over and over.  Every pass over the part
 * must give the same sum.
 */
#include "common.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>

#define PART	(64 * 1024)
#define CHUNK	20		/* no divisor of PART: reads come out short */
#define MAX_THREADS 16

static volatile unsigned int *control;
static int fd;
static uint64_t sums[MAX_THREADS];
static uint64_t wrong[MAX_THREADS];
static uint64_t passes[MAX_THREADS];

static uint64_t one_pass(off_t begin, pid_t parent)
{
	unsigned char data[CHUNK];
	uint64_t sum = 0;
	off_t at = begin;

	while (at < begin + PART) {
		size_t want = CHUNK;
		ssize_t got;

		if (at + (off_t)want > begin + PART)
			want = (size_t)(begin + PART - at);
		got = pread(fd, data, want, at);
		if (got <= 0)
			return 0;
		for (ssize_t i = 0; i < got; i++)
			sum = sum * 31 + data[i];
		at += got;
		if (getppid() != parent)
			return 1;
	}
	return sum;
}

static void *worker(void *argument)
{
	size_t me = (size_t)argument;
	pid_t parent = getppid();
	off_t begin = (off_t)me * PART;

	sums[me] = one_pass(begin, parent);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		if (one_pass(begin, parent) != sums[me])
			wrong[me]++;
		passes[me]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	pthread_t ids[MAX_THREADS];
	struct stat st;

	if (argc < 2 || !threads || threads > MAX_THREADS)
		return 2;
	control = control_page();
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(argv[1]);
	if (st.st_size < (off_t)(threads * PART)) {
		puts("FAILED file too short");
		return 1;
	}
	for (size_t i = 1; i < threads; i++)
		if (pthread_create(&ids[i], NULL, worker, (void *)i))
			die("pthread_create");
	worker((void *)0);
	for (size_t i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (size_t i = 0; i < threads; i++) {
		printf("thread %zu sum %016llx wrong %llu\n", i,
		       (unsigned long long)sums[i], (unsigned long long)wrong[i]);
		fprintf(stderr, "passes %llu\n", (unsigned long long)passes[i]);
	}
	return 0;
}
