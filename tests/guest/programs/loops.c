// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three hot loops in one process, none of which leads to another: each is a thread's own,
 * with a call of its own.  So each needs a region of its own.
 *
 *   loops FILE
 */
#include "common.h"

#include <pthread.h>
#include <stdint.h>

#define LOOPS	3
#define PART	4096

static volatile unsigned int *control;
static int fd;
static uint64_t wrong[LOOPS];
static uint64_t turns[LOOPS];

static void *reads(void *unused)
{
	unsigned char first, data;

	if (pread(fd, &first, 1, 0) != 1)
		die("pread");
	while (control[0] != STAGE_END) {
		if (pread(fd, &data, 1, 0) != 1 || data != first)
			wrong[0]++;
		turns[0]++;
	}
	return unused;
}

static void *seeks(void *unused)
{
	while (control[0] != STAGE_END) {
		off_t to = (off_t)(turns[1] % PART);

		if (lseek(fd, to, SEEK_SET) != to)
			wrong[1]++;
		turns[1]++;
	}
	return unused;
}

static void *writes(void *unused)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0)
		die("/dev/null");
	while (control[0] != STAGE_END) {
		if (write(null, "x", 1) != 1)
			wrong[2]++;
		turns[2]++;
	}
	close(null);
	return unused;
}

int main(int argc, char **argv)
{
	void *(*const loops[LOOPS])(void *) = { reads, seeks, writes };
	pthread_t ids[LOOPS];

	if (argc != 2)
		return 2;
	control = control_page();
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	for (int i = 0; i < LOOPS; i++)
		if (pthread_create(&ids[i], NULL, loops[i], NULL))
			die("pthread_create");
	control[2] = AT_WARM;
	for (int i = 0; i < LOOPS; i++) {
		pthread_join(ids[i], NULL);
		printf("loop %d wrong %llu %s\n", i, (unsigned long long)wrong[i],
		       turns[i] ? "turned" : "never turned");
	}
	return 0;
}
