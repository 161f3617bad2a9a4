// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop with known values in its registers that dies in the turn numbered TURNS of
 * stage 1: its core must be the same whoever executed that turn.
 *
 *   core fault	by a read of an address at which nothing is mapped
 *   core abort	by a signal that it sends itself, in place of its usual call
 *
 * The loop is assembly; without layout randomization, every register is known.
 */
#include "common.h"

#include <stdint.h>
#include <sys/syscall.h>

#define TURNS	3000
#define STRING(x) #x
#define VALUE(x) STRING(x)

/* What a core is compared by, besides registers. */
static struct {
	uint64_t turns;
	uint64_t rest[511];
} __attribute__((aligned(4096))) page;

struct last {
	const void *read_from;
	uint64_t number;
};

void hot_loop(volatile unsigned int *stage, void *page, const void *good,
	      const struct last *last);

__asm__(
	".text\n"
	".type hot_loop, @function\n"
	"hot_loop:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rdi, %r12\n"
	"	mov %rsi, %r13\n"
	"	mov %rdx, %r14\n"
	"	mov 0(%rcx), %rbx\n"
	"	mov 8(%rcx), %rbp\n"
	"	mov $110, %r8d\n"			/* getppid */
	"	movabs $0x9999999999999999, %r9\n"
	"	movabs $0xaaaaaaaaaaaaaaaa, %r10\n"
	"	movabs $0x1515151515151515, %r15\n"
	"	movq %r15, %xmm1\n"
	"1:	mov %r8d, %eax\n"
	"	xor %edi, %edi\n"
	"	mov $6, %esi\n"				/* SIGABRT to its group */
	"	syscall\n"
	"	xor %edx, %edx\n"
	"	mov (%r12), %eax\n"
	"	cmp $1, %eax\n"
	"	sete %dl\n"				/* no branch: the same code */
	"	add %rdx, (%r13)\n"			/* in all turns */
	"	cmpq $" VALUE(TURNS) ", (%r13)\n"
	"	cmove %rbx, %r14\n"
	"	cmove %rbp, %r8\n"
	"	movq (%r13), %xmm0\n"
	"	paddq %xmm1, %xmm0\n"
	"	mov $0x5a5a5a5a, %eax\n"
	"	cmp $0x5a5a5a5b, %eax\n"
	"	mov (%r14), %rdx\n"
	"	setc %dl\n"
	"	cmpl $2, (%r12)\n"
	"	jne 1b\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".size hot_loop, . - hot_loop\n");

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	static const uint64_t word = 0x1234567887654321;
	struct last last = { &word, SYS_getppid };

	if (argc != 2)
		return 2;
	for (size_t i = 0; i < 511; i++)
		page.rest[i] = i * 0x9e3779b97f4a7c15UL;
	if (!strcmp(argv[1], "fault"))
		last.read_from = (void *)0x10000000120;
	else
		last.number = SYS_kill;
	/* The signal is not for those who have started it. */
	if (setpgid(0, 0))
		die("setpgid");
	printf("page %#lx\n", (unsigned long)&page);
	control[2] = AT_WARM;
	hot_loop(control, &page, &word, &last);
	puts("FAILED still alive");
	return 0;
}
