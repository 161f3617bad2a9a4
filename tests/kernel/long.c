// SPDX-License-Identifier: GPL-2.0-only
/*
 * A getppid loop with a long gap that the translation of long.py knows: prints where its
 * system call resumes, waits for a line, then loops.  Reports the number of calls left and
 * the registers after the loop.
 */
#include <stdio.h>
#include <stdlib.h>

extern char long_resume[];

int main(int argc, char **argv)
{
	unsigned long left = argc > 1 ? strtoul(argv[1], NULL, 0) : 100, turns;

	printf("%p\n", (void *)long_resume);
	fflush(stdout);
	getchar();
	asm volatile("1:	mov	$110, %%eax\n"
		     "	syscall\n"
		     "	.globl	long_resume\n"
		     "long_resume:\n"
		     "	mov	$400000, %%ecx\n"
		     "2:	inc	%%rdx\n"
		     "	dec	%%ecx\n"
		     "	jnz	2b\n"
		     "	dec	%%rbx\n"
		     "	jnz	1b\n"
		     : "+b"(left), "=d"(turns) : "1"(0UL)
		     : "rax", "rcx", "r11", "memory", "cc");
	printf("left %lu turns %lu\n", left, turns);
	return 0;
}
