// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork, vfork and exec out of a boosted loop, from the loop itself.
 *
 *   forkexec [again N]
 *
 * The loop sums up bytes that it reads from a pipe-like pair it feeds itself.  At
 * each stage change it forks; the child goes on with the loop for a while in its
 * copy of the memory, parent and child must both be right.  Last, the process
 * replaces itself and does it all again.
 */
#include "common.h"

#include <stdint.h>
#include <sys/wait.h>

static int fds[2];

static uint64_t laps(uint64_t count, volatile unsigned int *control,
		     unsigned int until)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; control ? control[0] < until : i < count; i++) {
		unsigned char out[16], in[16];

		memset(out, (int)(i & 0xff), sizeof(out));
		if (write(fds[1], out, sizeof(out)) != sizeof(out) ||
		    read(fds[0], in, sizeof(in)) != sizeof(in) ||
		    memcmp(in, out, sizeof(in)))
			wrong++;
	}
	return wrong;
}

static void child_loop(uint64_t mark)
{
	pid_t parent = getppid();
	uint64_t wrong;

	/* A pipe of its own: the parent goes on with the old one. */
	close(fds[0]);
	close(fds[1]);
	if (pipe(fds) < 0)
		_exit(50);
	wrong = laps(20000, NULL, 0);
	for (int i = 0; i < 20000; i++)
		if (getppid() != parent)
			wrong++;
	_exit(wrong ? 51 : (int)mark);
}

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	char *again[] = { argv[0], "again", NULL };
	uint64_t wrong;
	pid_t pid;
	int status;

	if (pipe(fds) < 0)
		die("pipe");
	control[2] = AT_WARM;
	wrong = laps(0, control, argc > 1 ? STAGE_END : STAGE_ACT);
	printf("%s: before, wrong %llu\n", argc > 1 ? "again" : "first",
	       (unsigned long long)wrong);
	for (uint64_t i = 1; i <= 3; i++) {
		fflush(stdout);
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid)
			child_loop(i);
		wrong = laps(20000, NULL, 0);
		if (waitpid(pid, &status, 0) != pid)
			die("waitpid");
		printf("child %llu: status %#x, parent wrong %llu\n",
		       (unsigned long long)i, (unsigned int)status,
		       (unsigned long long)wrong);
	}
	pid = vfork();
	if (pid < 0)
		die("vfork");
	if (!pid) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(60);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	printf("vfork: status %#x\n", (unsigned int)status);
	if (argc > 1)
		return 0;
	control[1] = 1;
	execv("/proc/self/exe", again);
	die("execv");
}
