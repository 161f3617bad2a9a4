// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for data and takes it, as servers do: a few epoll_wait() with long gaps, then reads
 * and writes with short ones.  With the libc of Debian 13 all of these calls return from the
 * kernel at one address.  Most gaps of that address are too long.
 *
 *   turns
 */
#include "common.h"

#include <stdint.h>
#include <sys/epoll.h>

#define WAITS	6
#define PAIRS	2
#define LONG	150000		/* instructions, twice */

static uint64_t wrong;

static void compute(void)
{
	for (unsigned long left = LONG; left; left--)
		asm volatile("" : "+r"(left));
}

static uint64_t one_turn(int epoll, const int *ends, uint64_t sum)
{
	struct epoll_event event;

	for (int i = 0; i < WAITS; i++) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			wrong++;
		compute();
	}
	for (int i = 0; i < PAIRS; i++) {
		unsigned char data[8];

		if (read(ends[0], data, sizeof(data)) != sizeof(data))
			wrong++;
		for (unsigned int j = 0; j < sizeof(data); j++)
			sum = sum * 31 + data[j];
		if (write(ends[1], data, sizeof(data)) != sizeof(data))
			wrong++;
	}
	return sum;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct epoll_event event = { .events = EPOLLIN };
	uint64_t sum, turns = 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC), ends[2];

	if (epoll < 0 || pipe(ends) || write(ends[1], "abcdefgh", 8) != 8 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event))
		die("pipe");
	sum = one_turn(epoll, ends, 1);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		if (one_turn(epoll, ends, 1) != sum)
			wrong++;
		turns++;
	}
	printf("sum %016llx wrong %llu\n", (unsigned long long)sum,
	       (unsigned long long)wrong);
	fprintf(stderr, "turns %llu\n", (unsigned long long)turns);
	return 0;
}
