// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop of loop.c without an end, in so many threads: prints where its system call
 * resumes, waits for a line, then loops until it is killed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop_calls.h"

static void *loop(void *unused)
{
	for (;;)
		loop_calls(1UL << 40);
	return unused;
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 1;
	pthread_t thread;

	printf("%p\n", (void *)loop_resume);
	fflush(stdout);
	getchar();
	while (--threads > 0)
		if (pthread_create(&thread, NULL, loop, NULL))
			return 1;
	loop(NULL);
	return 0;
}
