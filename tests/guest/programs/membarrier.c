// SPDX-License-Identifier: GPL-2.0-only
/*
 * Barriers of each kind, of one thread against another one in a hot loop on another
 * processor.
 *
 *   membarrier
 *
 * In stage 1 all but those for rseq; these once the runner has chosen 1.  The loop has to go
 * on after each.
 */
#include "common.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>

#define TIMES	10
#define TURNS	200	/* of the loop, after each barrier */

static volatile unsigned int *control;
static volatile uint64_t turns;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void issue(const char *name, int command)
{
	long result = 0;

	for (int i = 0; i < TIMES; i++) {
		uint64_t before;

		result |= syscall(SYS_membarrier, command, 0, 0);
		before = turns;
		while (turns < before + TURNS && control[0] != STAGE_END)
			usleep(1000);
	}
	printf("%s %ld\n", name, result);
}

static void prepare(const char *name, int command)
{
	printf("%s %ld\n", name, syscall(SYS_membarrier, command, 0, 0));
}

static void *barriers(void *unused)
{
	(void)unused;
	pin(0);
	while (control[0] == STAGE_WARM)
		usleep(1000);
	issue("global", MEMBARRIER_CMD_GLOBAL);
	issue("global expedited", MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	issue("private, too early", MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	prepare("register global", MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
	issue("global expedited", MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	prepare("register private", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	issue("private", MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	prepare("register core", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
	issue("core", MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
	issue("rseq, too early", MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
	control[1] = 1;
	while (!control[3])
		usleep(1000);
	prepare("register rseq", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
	control[4] = 1;
	issue("rseq", MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
	control[4] = 2;
	return NULL;
}

int main(void)
{
	pthread_t id;

	control = control_page();
	if (pthread_create(&id, NULL, barriers, NULL))
		die("pthread_create");
	pin(1);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		getppid();
		turns++;
	}
	pthread_join(id, NULL);
	return 0;
}
