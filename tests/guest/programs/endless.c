// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gap without end: in stage 1 the boosted code loops without any system call.
 * The machine must go on, and the process must still take signals.
 *
 *   endless          until a signal kills it or the stage changes
 */
#include "common.h"

#include <signal.h>
#include <stdint.h>

static volatile sig_atomic_t asked;

static void handler(int signal)
{
	(void)signal;
	asked++;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct sigaction action = { .sa_handler = handler };
	uint64_t laps = 0, inside = 0;

	if (sigaction(SIGUSR1, &action, NULL) < 0)
		die("sigaction");
	while (control[0] != STAGE_END) {
		getppid();
		if (++laps > 100 && !control[2])
			control[2] = AT_WARM;
		while (control[0] == STAGE_ACT && !asked) {
			inside++;
			control[2] = AT_MIDST;
		}
		if (asked && !control[1]) {
			/* Back in the hot loop, with a signal handled. */
			control[1] = 1;
			printf("handled %d, was inside %d\n", (int)asked,
			       inside > 0);
		}
	}
	printf("ended, hot loop ran %d\n", laps > 100);
	return 0;
}
