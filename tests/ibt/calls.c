// SPDX-License-Identifier: GPL-2.0-only
/*
 * calls getppid|filtered|pread|close N: N turns of a loop around system calls, all
 * results checked.  Prints where its calls resume, waits for a line, and prints the
 * number of wrong results.  filtered: getppid under a seccomp filter that has to run;
 * close: of a file opened before, whose end is task work.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK	64
#define CHUNKS	32

#define CALL(label, number, a, b, c, d) ({				\
	register long r10 asm("r10") = (long)(d);			\
	long result = (number);						\
	asm volatile("syscall\n\t"					\
		     ".globl " label "\n"				\
		     label ":"						\
		     : "+a"(result)					\
		     : "D"(a), "S"(b), "d"(c), "r"(r10)			\
		     : "rcx", "r11", "memory");				\
	result;								\
})

extern char getppid_resume[], pread_resume[], open_resume[], close_resume[];

static unsigned char image[CHUNK * CHUNKS];

static __attribute__((noinline, noclone)) long getppids(long turns, long parent)
{
	long wrong = 0;

	while (turns--)
		wrong += CALL("getppid_resume", SYS_getppid, 0, 0, 0, 0) != parent;
	return wrong;
}

static __attribute__((noinline, noclone)) long preads(long turns, int file)
{
	unsigned char bytes[CHUNK];
	long wrong = 0;

	while (turns--) {
		long at = turns % CHUNKS * CHUNK, sum = 0;

		wrong += CALL("pread_resume", SYS_pread64, file, bytes, CHUNK, at) != CHUNK;
		for (int i = 0; i < CHUNK; i++)
			sum += bytes[i] - image[at + i];
		wrong += sum != 0;
	}
	return wrong;
}

static __attribute__((noinline, noclone)) long closes(long turns, const char *name)
{
	long wrong = 0;

	while (turns--) {
		long file = CALL("open_resume", SYS_openat, AT_FDCWD, name, O_RDONLY, 0);

		wrong += file < 0;
		wrong += CALL("close_resume", SYS_close, file, 0, 0, 0) != 0;
	}
	return wrong;
}

/* One that looks at an argument: not for the kernel's bitmap of allowed calls. */
static int filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12345, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	char name[] = "/tmp/calls-XXXXXX";
	long turns, wrong, parent = getppid();
	int file = mkstemp(name);

	if (argc != 3 || file < 0)
		return 2;
	turns = atol(argv[2]);
	for (int i = 0; i < CHUNK * CHUNKS; i++)
		image[i] = i * 7 + i / 256;
	if (write(file, image, sizeof(image)) != sizeof(image))
		return 2;
	if (*argv[1] == 'f' && filter())
		return 2;
	if (*argv[1] == 'p')
		printf("%p\n", pread_resume);
	else if (*argv[1] == 'c')
		printf("%p %p\n", open_resume, close_resume);
	else
		printf("%p\n", getppid_resume);
	fflush(stdout);
	getchar();
	if (*argv[1] == 'p')
		wrong = preads(turns, file);
	else if (*argv[1] == 'c')
		wrong = closes(turns, name);
	else
		wrong = getppids(turns, parent);
	printf("wrong %ld\n", wrong);
	unlink(name);
	return wrong != 0;
}
