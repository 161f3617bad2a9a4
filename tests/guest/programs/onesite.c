// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop with three calls in turn, all of which one instruction makes: that of the
 * library's syscall().  Statically linked against musl, the same goes for most of a
 * program's calls.
 *
 *   onesite FILE
 *
 * Every pass over FILE must give the same sum.
 */
#include "common.h"

#include <stdint.h>
#include <sys/syscall.h>

#define PART	(64 * 1024)
#define CHUNK	20		/* no divisor of PART: reads come out short */

static uint64_t wrong;

static uint64_t one_pass(int fd, long parent)
{
	unsigned char data[CHUNK];
	uint64_t sum = 0;
	long at = 0;

	while (at < PART) {
		long want = PART - at < CHUNK ? PART - at : CHUNK;
		long got;

		if (syscall(SYS_lseek, fd, at, SEEK_SET) != at)
			wrong++;
		got = syscall(SYS_read, fd, data, want);
		if (got <= 0)
			return 0;
		for (long i = 0; i < got; i++)
			sum = sum * 31 + data[i];
		at += got;
		if (syscall(SYS_getppid) != parent)
			wrong++;
	}
	return sum;
}

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	uint64_t sum, passes = 0;
	long parent = getppid();
	int fd;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	sum = one_pass(fd, parent);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		if (one_pass(fd, parent) != sum)
			wrong++;
		passes++;
	}
	printf("sum %016llx wrong %llu\n", (unsigned long long)sum,
	       (unsigned long long)wrong);
	fprintf(stderr, "passes %llu\n", (unsigned long long)passes);
	return 0;
}
