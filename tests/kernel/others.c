// SPDX-License-Identifier: GPL-2.0-only
/*
 * others: what a program sees of two system calls, one of which others use as well.
 *
 * For each line "getppid COUNT" or "getpid COUNT" on its standard input makes so many
 * calls, and prints how many of them returned what they should, -EPERM, 4711, and
 * anything else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned long right, ended, patched, strange;

static void count(long result, long expected)
{
	/* First what it may have been when the program began. */
	if (result == -EPERM)
		ended++;
	else if (result == 4711)
		patched++;
	else if (result == expected)
		right++;
	else
		strange++;
}

/* The number must be a constant: a region has to know what it calls. */
#define CALLS(name, nr)								\
static __attribute__((noinline)) void name##_calls(long n, long expected)	\
{										\
	for (; n > 0; n--) {							\
		long result;							\
										\
		asm volatile("mov $" #nr ", %%eax\n\tsyscall"			\
			     : "=a"(result) : : "rcx", "r11", "memory");	\
		count(result, expected);					\
	}									\
}
CALLS(getppid, 110)
CALLS(getpid, 39)

int main(void)
{
	long parent = getppid(), self = getpid(), n;
	char name[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%15s %ld", name, &n) == 2) {
		right = ended = patched = strange = 0;
		if (!strcmp(name, "getppid"))
			getppid_calls(n, parent);
		else
			getpid_calls(n, self);
		printf("%lu %lu %lu %lu\n", right, ended, patched, strange);
	}
	return 0;
}
