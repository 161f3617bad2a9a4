// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program under a seccomp filter that allows everything:
 *
 *   filter --all|--look PROGRAM [ARGUMENT]...
 *
 * --look: it does not do so blindly, but by the first argument of each call, so that it
 * has to be run each time.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	struct sock_filter all[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter look[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12345678, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 1, .filter = all };

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "--look")) {
		program.len = sizeof(look) / sizeof(look[0]);
		program.filter = look;
	} else if (strcmp(argv[1], "--all")) {
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		die("seccomp");
	execv(argv[2], argv + 2);
	die(argv[2]);
}
