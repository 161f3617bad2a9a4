// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop of calls, over and over: prints the address at which its call resumes and that of the
 * number of turns, then waits for a line.  After the last turn another path leads to the next
 * call.  Between two loops there is time to fetch what was traced.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop_calls.h"

static volatile unsigned long turns;

int main(int argc, char **argv)
{
	turns = argc > 1 ? strtoul(argv[1], NULL, 0) : 50;
	printf("%p\n%p\n", (void *)loop_resume, (void *)&turns);
	fflush(stdout);
	getchar();
	for (;;) {
		loop_calls(turns);
		usleep(500);
	}
}
