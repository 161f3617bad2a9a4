// SPDX-License-Identifier: GPL-2.0-only
/*
 * pairs COUNT: makes getppid and getpid in turn, COUNT calls, with one instruction, as libc
 * does since glibc 2.41.  Prints where it resumes, waits for a line, then loops.  Prints r14
 * and r15, which only a translation changes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

extern char pairs_resume[];

int main(int argc, char **argv)
{
	unsigned long left = argc > 1 ? strtoul(argv[1], NULL, 0) : 60;
	unsigned long nr = SYS_getppid;
	register unsigned long r14 asm("r14") = 0;
	register unsigned long r15 asm("r15") = 0;

	printf("%p\n", (void *)pairs_resume);
	fflush(stdout);
	getchar();
	asm volatile("1:	mov	%[nr], %%rax\n"
		     "	syscall\n"
		     "	.globl	pairs_resume\n"
		     "pairs_resume:\n"
		     "	xor	%[both], %[nr]\n"
		     "	dec	%[left]\n"
		     "	jnz	1b\n"
		     : [left] "+b"(left), [nr] "+d"(nr), "+r"(r14), "+r"(r15)
		     : [both] "i"(SYS_getppid ^ SYS_getpid)
		     : "rax", "rcx", "r11", "memory", "cc");
	printf("%lu %lu\n", r14, r15);
	return 0;
}
