// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop of getppid with a gap that is slower in a translation: each load's address comes
 * from the load before it, so each is clamped.  ROUNDS times COUNT calls in which the gap
 * is short, if the first argument is "later", and then as many in which it is
 * not.  Prints the CPU time of both halves in ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *place = &place;

/* One site for both halves. */
static __attribute__((noinline)) void calls(long count, long heavy)
{
	void **at = &place;

	asm volatile("1:	mov	$110, %%eax\n"
		     "	syscall\n"
		     "	test	%2, %2\n"
		     "	jz	2f\n"
		     "	.rept	200\n"
		     "	mov	(%1), %1\n"
		     "	.endr\n"
		     "2:	dec	%0\n"
		     "	jnz	1b\n"
		     : "+b"(count), "+r"(at)
		     : "r"(heavy) : "rax", "rcx", "r11", "memory", "cc");
}

static long long used(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	long later = argc > 1 && !strcmp(argv[1], "later");
	long rounds = argc > 2 ? atol(argv[2]) : 1, count = argc > 3 ? atol(argv[3]) : 1;
	long long begin, middle, end;
	long i;

	getchar();
	begin = used();
	for (i = 0; i < rounds; i++)
		calls(count, !later);
	middle = used();
	for (i = 0; i < rounds; i++)
		calls(count, 1);
	end = used();
	printf("%lld %lld\n", middle - begin, end - middle);
	return 0;
}
