// SPDX-License-Identifier: GPL-2.0-only
/*
 * A master that does nothing and workers that are hot, as servers have them.
 *
 *   family FILE [worker N]
 *
 * One worker is a plain fork, one executes this program anew; in stage 1 comes a third
 * one, forked.  Each reads FILE over and over: every pass must give the same sum.
 */
#include "common.h"

#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#define CHUNK	24
#define SIZE	(32 * 1024)

static int work(const char *path, volatile unsigned int *control)
{
	uint64_t first = 0, passes = 0, wrong = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	while (control[0] != STAGE_END || !passes) {
		uint64_t sum = 0;

		for (off_t at = 0; at < SIZE; at += CHUNK) {
			unsigned char data[CHUNK] = { 0 };

			if (pread(fd, data, sizeof(data), at) <= 0)
				wrong++;
			for (size_t i = 0; i < sizeof(data); i++)
				sum = sum * 31 + data[i];
		}
		if (!passes++)
			first = sum;
		wrong += sum != first;
	}
	return wrong ? 3 : (int)(first & 0x3f) + 4;
}

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	pid_t workers[3];
	int n = 0;

	if (argc == 3)
		return work(argv[1], control);
	if (argc != 2)
		return 2;
	for (; n < 3; n++) {
		char *again[] = { argv[0], argv[1], "worker", NULL };
		struct timespec nap = { 0, 5000000 };

		while (n == 2 && control[0] == STAGE_WARM)
			nanosleep(&nap, NULL);
		workers[n] = fork();
		if (workers[n] < 0)
			die("fork");
		if (workers[n])
			continue;
		if (n != 1)
			_exit(work(argv[1], control));
		execv("/proc/self/exe", again);
		die("exec");
	}
	control[1] = 1;
	control[2] = AT_WARM;
	for (n = 0; n < 3; n++) {
		int status;

		if (waitpid(workers[n], &status, 0) != workers[n])
			die("waitpid");
		printf("worker %d status %x\n", n, (unsigned int)status);
	}
	return 0;
}
