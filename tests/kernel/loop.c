// SPDX-License-Identifier: GPL-2.0-only
/*
 * A getppid loop with a gap that the handmade translation knows: prints where
 * its system call resumes, waits for a line, then loops.  Reports the number of calls
 * whose result was right and the registers after the loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char loop_resume[];

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000;
	unsigned long sum = 0, r8 = 0x1111, r12 = 0x2222, rcx, r11, left = n;

	printf("%p\n", (void *)loop_resume);
	fflush(stdout);
	getchar();
	register unsigned long r8_ asm("r8") = r8;
	register unsigned long r12_ asm("r12") = r12;
	asm volatile("1:	mov	$110, %%eax\n"
		     "	syscall\n"
		     "	.globl	loop_resume\n"
		     "loop_resume:\n"
		     "	add	%%rax, %%rbp\n"
		     "	dec	%%rbx\n"
		     "	jnz	1b\n"
		     : "+b"(left), "+r"(r8_), "+r"(r12_), "=c"(rcx)
		     :: "rax", "r11", "memory", "cc", "rbp");
	asm volatile("mov %%r11, %0" : "=r"(r11));
	(void)sum;
	printf("left %lu r8 %lx r12 %lx rcx %s\n", left, r8_, r12_,
	       rcx == (unsigned long)loop_resume ? "resume" : "wrong");
	return 0;
}
