// SPDX-License-Identifier: GPL-2.0-only
/*
 * A filter that comes later is obeyed: by the next call of the thread that
 * installed it, and by a boosted loop when another thread installs it for all.
 *
 *   seccomp own|other
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ENOUGH 100

static volatile unsigned int *control;
static volatile bool installed;

static void install(void)
{
	/* getppid gives EPERM from now on. */
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]), .filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_TSYNC, &program))
		die("seccomp");
}

static void *other(void *unused)
{
	(void)unused;
	while (control[0] == STAGE_WARM)
		usleep(1000);
	install();
	installed = true;
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long allowed = 0, refused = 0, escaped = 0, odd = 0;
	pid_t parent = getppid();
	pthread_t thread;
	bool own;

	if (argc != 2)
		return 2;
	own = !strcmp(argv[1], "own");
	control = control_page();
	if (!own && pthread_create(&thread, NULL, other, NULL))
		die("pthread_create");
	while (control[0] != STAGE_END) {
		bool filtered = installed;
		pid_t got = getppid();

		if (got == -1)
			refused++;
		else if (got != parent)
			odd++;
		else if (filtered)
			escaped++;
		else
			allowed++;
		if (own && !installed && control[0] == STAGE_ACT) {
			install();
			installed = true;
		}
		if (refused > ENOUGH)
			control[1] = 1;
		if (allowed > ENOUGH)
			control[2] = AT_WARM;
	}
	printf("allowed before %d, refused after %d, escaped %lu, odd %lu\n",
	       allowed > ENOUGH, refused > ENOUGH, escaped, odd);
	return 0;
}
