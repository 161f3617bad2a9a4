// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into a test: holds it before main() and after each fork(), until what runs the
 * test has attached it.
 *
 * UB_GATE is the path of a socket: the program goes on when its peer closes the connection
 * (or there is no peer).  UB_GATE=step: a breakpoint for steps.c instead, before main();
 * UB_GATE=none: neither.  In any case lines of output are written one by one: into a file
 * all would be one call at the end, and once more from each child that has not flushed it.
 * Nothing is left behind: no open file, no changed errno.  A child that has a seccomp
 * filter is not held, since the filter may forbid it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un place = { .sun_family = AF_UNIX };

static void hold(void)
{
	int saved = errno;
	int gate;
	char byte;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0))
		goto out;
	gate = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (gate < 0)
		goto out;
	if (!connect(gate, (struct sockaddr *)&place, sizeof(place)))
		while (read(gate, &byte, 1) < 0 && errno == EINTR)
			;
	close(gate);
out:
	errno = saved;
}

__attribute__((constructor)) static void begin(void)
{
	const char *gate = getenv("UB_GATE");

	if (!gate)
		return;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(gate, "step")) {
		__asm__ volatile("int3");
		return;
	}
	if (!strcmp(gate, "none"))
		return;
	strncpy(place.sun_path, gate, sizeof(place.sun_path) - 1);
	hold();
	pthread_atfork(NULL, NULL, hold);
}
