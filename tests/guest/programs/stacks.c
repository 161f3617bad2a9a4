// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop whose functions do not return to where they were called.
 *
 *   stacks FILE switch	two coroutines that switch to each other's stack
 *   stacks FILE pushed	a ret to an address that was pushed
 *   stacks FILE getpc	a call that only pushes its address
 *
 * FILE is not used. The calls are counted in each place; all must have been made.
 */
#include "common.h"

#include <stdint.h>
#include <sys/syscall.h>

static volatile unsigned int *control;
static uint64_t first, second, wrong;
static long parent;

static _Alignas(16) char stacks[2][65536];
static void *saved[3];

/* The callee-saved registers go to one stack and come from the other. */
void change_stack(void **from, void *to);
asm(".globl change_stack\n"
    "change_stack:\n"
    "	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, (%rdi)\n"
    "	mov %rsi, %rsp\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
    "	ret\n");

/* x + 1: the body is reached by a ret. */
uint64_t by_pushed(uint64_t x);
asm(".globl by_pushed\n"
    "by_pushed:\n"
    "	lea 1f(%rip), %rax\n"
    "	push %rax\n"
    "	ret\n"
    "	ud2\n"
    "1:	lea 1(%rdi), %rax\n"
    "	ret\n");

/* x + 1, by way of the address of its own code. */
uint64_t by_address(uint64_t x);
asm(".globl by_address\n"
    "by_address:\n"
    "	call 1f\n"
    "1:	pop %rdx\n"
    "	lea 1(%rdi,%rdx), %rax\n"
    "	sub %rdx, %rax\n"
    "	ret\n");

static void call_once(uint64_t *count)
{
	if (syscall(SYS_getppid) != parent)
		wrong++;
	(*count)++;
}

static void even(void)
{
	for (;;) {
		call_once(&first);
		if (control[0] == STAGE_END)
			change_stack(&saved[0], saved[2]);
		change_stack(&saved[0], saved[1]);
	}
}

static void odd(void)
{
	for (;;) {
		call_once(&second);
		change_stack(&saved[1], saved[0]);
	}
}

/* A stack from which change_stack() goes to f. */
static void *prepare(int number, void (*f)(void))
{
	void **top = (void **)(stacks[number] + sizeof(stacks[number]));

	*--top = NULL;
	*--top = f;
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	return top;
}

static void loop(uint64_t (*next)(uint64_t))
{
	while (control[0] != STAGE_END) {
		uint64_t before = first;

		call_once(&first);
		if (next(before) != first)
			wrong++;
		second++;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	control = control_page();
	parent = getppid();
	control[2] = AT_WARM;
	if (!strcmp(argv[2], "switch")) {
		saved[0] = prepare(0, even);
		saved[1] = prepare(1, odd);
		change_stack(&saved[2], saved[0]);
		second++;	/* the last turn of the other one */
	} else {
		loop(!strcmp(argv[2], "pushed") ? by_pushed : by_address);
	}
	printf("both %d wrong %llu\n", first == second, (unsigned long long)wrong);
	fprintf(stderr, "calls %llu\n", (unsigned long long)(first + second));
	return 0;
}
