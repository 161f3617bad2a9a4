// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault in a gap: the handler must see the address and every register as if
 * the loop had never left user mode, and the loop must go on when the handler has
 * put things right.
 *
 *   fault read|write|kernel|noncanonical|null|divide
 *
 * The loop is assembly, so that every register has a known value at the fault.
 */
#include "common.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define FLAGS_LIVE 0x8c5	/* CF PF ZF SF OF */

/* Labels in the assembly below. */
extern char fault_read[], fault_write[], fault_divide[], after_syscall[];

static volatile unsigned int *control;
static unsigned int handled;

/*
 * Values that the loop keeps in registers; r12: what to read, r13: what to write,
 * r14: divisor.  rax, rcx, rdx, r11 change in the loop.
 */
struct values {
	uint64_t read_from, write_to, divisor;
};
static volatile struct values good, bad;

/* Result in *stack_at_loop: the rsp that the loop runs with. */
uint64_t hot_loop(volatile unsigned int *stage, volatile struct values *good,
		  volatile struct values *bad, uint64_t *stack_at_loop);

__asm__(
	".text\n"
	".globl hot_loop, fault_read, fault_write, fault_divide, after_syscall\n"
	".type hot_loop, @function\n"
	"hot_loop:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	push %rdi\n	push %rsi\n	push %rdx\n"
	"	mov %rsp, (%rcx)\n"
	"	movabs $0x1111111111111111, %rbx\n"
	"	movabs $0x2222222222222222, %rbp\n"
	"	movabs $0x3333333333333333, %r8\n"
	"	movabs $0x4444444444444444, %r9\n"
	"	movabs $0x5555555555555555, %r10\n"
	"	movabs $0x6666666666666666, %rdi\n"
	"	movabs $0x7777777777777777, %rsi\n"
	"	xor %r15d, %r15d\n"
	"1:	mov 8(%rsp), %rdx\n"		/* good values ... */
	"	mov 16(%rsp), %rcx\n"
	"	mov (%rcx), %eax\n"
	"	cmp $1, %eax\n"			/* ... bad ones in stage 1 */
	"	cmove 0(%rsp), %rdx\n"
	"	mov 0(%rdx), %r12\n"
	"	mov 8(%rdx), %r13\n"
	"	mov 16(%rdx), %r14\n"
	"	mov $110, %eax\n"		/* getppid */
	"	syscall\n"
	"after_syscall:\n"
	"	movabs $0x123456789abcdef, %rdx\n"
	"	mov $0x5a5a5a5a, %eax\n"
	"	cmp $0x5a5a5a5b, %eax\n"	/* known flags: CF, SF, PF */
	"fault_read:\n"
	"	mov 16(%r12), %rax\n"
	"fault_write:\n"
	"	mov %rax, 8(%r13)\n"
	"	setc %al\n	seto %dl\n	setz %al\n"	/* all of them are live */
	"	sets %dl\n	setp %al\n"	/* up to here, but for AF */
	"	mov $7777, %eax\n"
	"	xor %edx, %edx\n"
	"fault_divide:\n"
	"	div %r14\n"
	"	add %rax, %r15\n"
	"	mov 16(%rsp), %rcx\n"
	"	cmpl $2, (%rcx)\n"
	"	jne 1b\n"
	"	pop %rdx\n	pop %rsi\n	pop %rdi\n"
	"	mov %r15, %rax\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".size hot_loop, . - hot_loop\n");

static uint64_t stack_at_loop;

static const char *where(uint64_t ip)
{
	if (ip == (uint64_t)fault_read)
		return "fault_read";
	if (ip == (uint64_t)fault_write)
		return "fault_write";
	if (ip == (uint64_t)fault_divide)
		return "fault_divide";
	return "somewhere else";
}

static void handler(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool divide = signal == SIGFPE;

	/* The general registers one by one: that is the test. */
	printf("signal %d code %d at %s\n", signal, info->si_code,
	       where((uint64_t)r[REG_RIP]));
	if (divide)
		printf("address is the instruction's %d\n",
		       info->si_addr == (void *)fault_divide);
	else
		printf("address %#lx error %#llx trap %lld\n",
		       (unsigned long)info->si_addr, r[REG_ERR], r[REG_TRAPNO]);
	printf("rax %#llx rbx %#llx rdx %#llx rsi %#llx rdi %#llx rbp %#llx\n",
	       r[REG_RAX], r[REG_RBX], r[REG_RDX], r[REG_RSI], r[REG_RDI],
	       r[REG_RBP]);
	printf("r8 %#llx r9 %#llx r10 %#llx\n", r[REG_R8], r[REG_R9], r[REG_R10]);
	printf("r12 ok %d r13 ok %d r14 ok %d\n",
	       (uint64_t)r[REG_R12] == bad.read_from,
	       (uint64_t)r[REG_R13] == bad.write_to,
	       (uint64_t)r[REG_R14] == bad.divisor);
	printf("rcx is resume address %d, r11 has flags %d, rsp ok %d\n",
	       (uint64_t)r[REG_RCX] == (uint64_t)after_syscall,
	       (r[REG_R11] & 0x202) == 0x202,
	       (uint64_t)r[REG_RSP] == stack_at_loop);
	/* At the division they are dead, so nobody promises anything. */
	if (!divide)
		printf("flags %#llx\n", r[REG_EFL] & FLAGS_LIVE);
	if (handled++ == 2) {
		control[1] = 1;
		/* Bad values again would come in the next round of the loop. */
		bad = good;
	}
	r[REG_R12] = (greg_t)good.read_from;
	r[REG_R13] = (greg_t)good.write_to;
	r[REG_R14] = (greg_t)good.divisor;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	static uint64_t words[8];
	const char *kind;
	char *hole;

	if (argc != 2)
		return 2;
	kind = argv[1];
	control = control_page();
	hole = mmap((void *)0x10000000000, 4096, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (hole == MAP_FAILED)
		die("mmap");
	words[2] = 0x9999;
	good.read_from = (uint64_t)words;
	good.write_to = (uint64_t)&words[4];
	good.divisor = 7;
	bad = good;
	if (!strcmp(kind, "read"))
		bad.read_from = (uint64_t)hole + 0x120;
	else if (!strcmp(kind, "write"))
		bad.write_to = (uint64_t)hole + 0x230;
	else if (!strcmp(kind, "kernel"))
		bad.read_from = 0xffffffff81000000;
	else if (!strcmp(kind, "noncanonical"))
		bad.write_to = 0x8000123400000000;
	else if (!strcmp(kind, "null"))
		bad.read_from = 0;
	else if (!strcmp(kind, "divide"))
		bad.divisor = 0;
	else
		return 2;
	if (sigaction(bad.divisor ? SIGSEGV : SIGFPE, &action, NULL) < 0)
		die("sigaction");
	control[2] = AT_WARM;
	hot_loop(control, &good, &bad, &stack_at_loop);
	printf("faults %u, loop ended, last word %#lx\n", handled,
	       (unsigned long)words[5]);
	return 0;
}
