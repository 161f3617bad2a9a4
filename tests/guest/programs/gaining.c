// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop of getppid.  Until SIGUSR1 comes its gap is slower in a translation: each load's
 * address comes from the load before it, so each is clamped.  Then it is short, at the
 * same site.
 */
#include <signal.h>

#define AT_ONCE	1000

static void *place = &place;
static volatile sig_atomic_t gains;

static void gain(int number)
{
	(void)number;
	gains = 1;
}

/* One site for both. */
static __attribute__((noinline)) void calls(long count, long turns)
{
	void **at = &place;

	asm volatile("1:	mov	$110, %%eax\n"
		     "	syscall\n"
		     "	mov	%2, %%rcx\n"
		     "	test	%%rcx, %%rcx\n"
		     "	jz	2f\n"
		     "3:	.rept	200\n"
		     "	mov	(%1), %1\n"
		     "	.endr\n"
		     "	dec	%%rcx\n"
		     "	jnz	3b\n"
		     "2:	dec	%0\n"
		     "	jnz	1b\n"
		     : "+b"(count), "+r"(at)
		     : "r"(turns) : "rax", "rcx", "r11", "memory", "cc");
}

int main(void)
{
	signal(SIGUSR1, gain);
	for (;;)
		calls(AT_ONCE, gains ? 0 : 5);
}
