/* SPDX-License-Identifier: GPL-2.0-only */
/* The loop of loop.c, which the handmade translation knows, as a function. */
#ifndef UB_TEST_LOOP_CALLS_H
#define UB_TEST_LOOP_CALLS_H

extern char loop_resume[];

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

/* So many calls, each of which resumes at loop_resume. */
static inline void loop_calls(unsigned long left)
{
	asm volatile("	call	loop_calls\n"
		     : "+b"(left) :: "rax", "rcx", "r11", "memory", "cc");
}

#endif
