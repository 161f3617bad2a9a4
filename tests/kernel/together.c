// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls from eight places by turns, so that all become hot at the same time: seldom at
 * first, for a while, and then ROUNDS times without a pause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALL asm volatile("syscall" : "=a"(ax) : "a"(110) : "rcx", "r11", "memory")

static void round_trip(void)
{
	long ax;

	CALL; CALL; CALL; CALL;
	CALL; CALL; CALL; CALL;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 0;
	int i;

	getchar();
	for (i = 0; i < 15; i++) {
		round_trip();
		usleep(100000);
	}
	while (rounds--)
		round_trip();
	printf("done\n");
	return 0;
}
