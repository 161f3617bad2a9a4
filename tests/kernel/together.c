// SPDX-License-Identifier: GPL-2.0-only
/* Calls from eight places by turns, so that all become hot at the same time. */
#include <stdio.h>
#include <stdlib.h>

#define CALL asm volatile("syscall" : "=a"(ax) : "a"(110) : "rcx", "r11", "memory")

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 0, ax = 0;

	getchar();
	while (rounds--) {
		CALL; CALL; CALL; CALL;
		CALL; CALL; CALL; CALL;
	}
	printf("done\n");
	return 0;
}
