// SPDX-License-Identifier: GPL-2.0-only
/*
 * endless SECONDS: getppid in a loop that nothing leaves before an alarm.  Reports how many
 * calls returned something else than the first.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void on_alarm(int number)
{
	over = 1;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();
	long calls = 0, wrong = 0;

	if (argc != 2)
		return 2;
	signal(SIGALRM, on_alarm);
	alarm(atoi(argv[1]));
	for (; !over; calls++)
		wrong += getppid() != parent;
	printf("calls %ld wrong %ld\n", calls, wrong);
	return wrong != 0;
}
