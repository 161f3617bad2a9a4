// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop of calls, over and over: prints where its call resumes and the address of the number
 * of turns, then waits for a line.  Behind the last turn the way to the next call is another
 * one.  Between two loops there is time to fetch what was traced.
 */
#include <stdio.h>
#include <unistd.h>

extern char loop_resume[];

static volatile unsigned long turns = 50;

asm(".text\n"
    "loop_calls:\n"
    "	push	%rbp\n"
    "1:	mov	$110, %eax\n"
    "	syscall\n"
    "	.globl	loop_resume\n"
    "loop_resume:\n"
    "	add	%rax, %rbp\n"
    "	dec	%rbx\n"
    "	jnz	1b\n"
    "	pop	%rbp\n"
    "	ret\n");

int main(void)
{
	printf("%p %p\n", (void *)loop_resume, (void *)&turns);
	fflush(stdout);
	getchar();
	for (;;) {
		unsigned long left = turns;

		asm volatile("	call	loop_calls\n"
			     : "+b"(left) :: "rax", "rcx", "r11", "memory", "cc");
		usleep(500);
	}
}
