// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls with x87 arithmetic in between, after which the program looks where the
 * FPU says that the last x87 instruction stands.  Prints where its system call resumes,
 * waits for a line, then loops; reports how often the address was another one, and the
 * sum.
 */
#include <stdio.h>
#include <stdlib.h>

extern char x87_resume[], x87_last[];

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;
	unsigned long wrong = 0;
	unsigned int env[7];
	double sum = 0, one = 1;

	printf("%p\n", (void *)x87_resume);
	fflush(stdout);
	getchar();
	for (unsigned long i = 0; i < n; i++) {
		asm volatile("	mov	$110, %%eax\n"
			     "	syscall\n"
			     "	.globl	x87_resume\n"
			     "x87_resume:\n"
			     "	fldl	%1\n"
			     "	faddl	%2\n"
			     "	.globl	x87_last\n"
			     "x87_last:\n"
			     "	fstpl	%1\n"
			     "	fnstenv	%0\n"
			     "	fldenv	%0\n"
			     : "=m"(env), "+m"(sum)
			     : "m"(one)
			     : "rax", "rcx", "r11", "memory", "cc");
		wrong += env[3] != (unsigned int)(unsigned long)x87_last;
	}
	printf("wrong %lu sum %.0f\n", wrong, sum);
	return 0;
}
