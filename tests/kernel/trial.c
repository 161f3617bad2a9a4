// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop of loop.c without an end, in so many threads: prints where its system call
 * resumes, waits for a line, then loops until it is killed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

extern char loop_resume[];

static void *loop(void *unused)
{
	for (;;) {
		unsigned long left = 1UL << 40;

		asm volatile("	call	loop_calls\n"
			     : "+b"(left) :: "rax", "rcx", "r11", "memory", "cc");
	}
	return unused;
}

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

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 1;
	pthread_t thread;

	printf("%p\n", (void *)loop_resume);
	fflush(stdout);
	getchar();
	while (--threads > 0)
		if (pthread_create(&thread, NULL, loop, NULL))
			return 1;
	loop(NULL);
	return 0;
}
