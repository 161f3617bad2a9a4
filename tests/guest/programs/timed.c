// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program with a timer that measures its user time, which is declined for as long as
 * the timer is armed:
 *
 *   timed PROGRAM [ARGUMENT]...
 */
#include "common.h"

#include <sys/time.h>

int main(int argc, char **argv)
{
	struct itimerval never = { .it_value = { .tv_sec = 1000000 } };

	if (argc < 2)
		return 2;
	if (setitimer(ITIMER_VIRTUAL, &never, NULL) < 0)
		die("setitimer");
	execv(argv[1], argv + 1);
	die(argv[1]);
}
