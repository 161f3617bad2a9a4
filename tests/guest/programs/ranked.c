// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops with gaps of different lengths, for a ranking of programs by what boosting
 * them brings.  Counts its rounds in the first eight bytes of COUNTER.
 *
 *   ranked MODE FILE COUNTER
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile uint64_t *counter;
static volatile uint64_t result;
static char data[4096];

/* About so many instructions, that depend on one another. */
static void work(unsigned int instructions)
{
	uint64_t value = result;

	for (unsigned int i = 0; i < instructions / 4; i++)
		value = value * 31 + i;
	result = value;
}

static void take(ssize_t got)
{
	uint64_t sum = 0;

	if (got < 0)
		exit(3);
	for (ssize_t i = 0; i < got; i++)
		sum = sum * 31 + (unsigned char)data[i];
	result += sum;
}

int main(int argc, char **argv)
{
	const char *mode = argc == 4 ? argv[1] : "";
	int fd, null, page, pair[2];

	if (argc != 4)
		return 2;
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	page = open(argv[3], O_RDWR | O_CLOEXEC);
	if (fd < 0 || null < 0 || page < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 3;
	counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
	if (counter == MAP_FAILED)
		return 3;
#define MODE(name, ...) \
	if (!strcmp(mode, name)) \
		for (;; (*counter)++) { \
			__VA_ARGS__; \
		}
	MODE("getppid", result += (uint64_t)getppid())
	MODE("read", take(pread(fd, data, 64, 0)))
	MODE("read-1000", take(pread(fd, data, 64, 0)); work(1000))
	MODE("read-20000", take(pread(fd, data, 64, 0)); work(20000))
	MODE("read-4096", take(pread(fd, data, 4096, 0)))
	MODE("write", take(write(null, data, (size_t)snprintf(data, sizeof(data),
		"%llu\n", (unsigned long long)*counter))))
	MODE("pair", take(write(pair[0], data, 64)); take(read(pair[1], data, 64)))
	MODE("wait", usleep(500))
	MODE("compute", work(100000))
	return 2;
}
