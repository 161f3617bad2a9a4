// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop of reads from a pipe that runs dry in stage 1: its thread then sleeps in a
 * read, for a boosted one in a dispatched read.  In stage 2 there is more, and its end.
 * Every byte is compared.
 *
 * The pipe is never full.  Each read of a full one wakes its writer, which Linux 6.12 lets run
 * at once: on a single processor no read would return without work for the kernel.
 */
#include "common.h"

#include <sys/ioctl.h>
#include <time.h>

#define LAST	100000		/* bytes in stage 2 */
#define AHEAD	16384		/* bytes in the pipe, of 65536 */
#define STEP	7		/* from each byte to the next */

static volatile unsigned int *control;

static unsigned char put(int fd, unsigned char next, size_t bytes)
{
	unsigned char data[1024];

	while (bytes) {
		size_t n = bytes < sizeof(data) ? bytes : sizeof(data);
		ssize_t put;

		for (size_t i = 0; i < n; i++)
			data[i] = (unsigned char)(next + STEP * i);
		put = write(fd, data, n);
		if (put <= 0)
			_exit(1);
		next = (unsigned char)(next + STEP * put);
		bytes -= (size_t)put;
	}
	return next;
}

static void feed(int fd)
{
	struct timespec nap = { 0, 5000000 };
	unsigned char next = 0;
	int ahead;

	while (control[0] == STAGE_WARM) {
		if (ioctl(fd, FIONREAD, &ahead) || ahead > AHEAD)
			nanosleep(&nap, NULL);
		else
			next = put(fd, next, 1024);
	}
	control[1] = 1;
	while (control[0] != STAGE_END)
		nanosleep(&nap, NULL);
	put(fd, next, LAST);
	_exit(0);
}

int main(void)
{
	unsigned char next = 0, byte;
	size_t wrong = 0;
	ssize_t got;
	int ends[2];

	control = control_page();
	if (pipe(ends))
		die("pipe");
	switch (fork()) {
	case -1:
		die("fork");
	case 0:
		close(ends[0]);
		feed(ends[1]);
	}
	close(ends[1]);
	control[2] = AT_WARM;
	while ((got = read(ends[0], &byte, 1)) == 1) {
		wrong += byte != next;
		next = (unsigned char)(next + STEP);
	}
	printf("end %zd wrong %zu\n", got, wrong);
	return wrong != 0;
}
