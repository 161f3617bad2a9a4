// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps through a hooked call with the module's own code: run_user WHICH.
 * WHICH: 0, an entry whose run leaves at once; 1, one that dispatches a call first; 2, no
 * entry: a parked site; 3, the entry of 1 after another call than its own.
 * Prints the address of each instruction from the handler's first one to its caller.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "replay.h"

#define RESUME		0x400000UL	/* user addresses, which nothing accesses */
#define LEFT		0x410000UL
#define FLAGS		0x246
#define NR		39
#define OTHER_NR	110
#define STEPS		4096

const struct job *job;
int checking;

static u64 steps[STEPS];
static u32 nr_steps;

long ub_step(struct pt_regs *regs);

/* As the first five bytes of a handler that ftrace patches, and a handler. */
__asm__(
	".text\n"
	"ub_call:\n"
	".byte 0xe8\n"
	".long ub_trampoline - ub_call_body\n"
	".globl ub_call_body\n"
	"ub_call_body:\n"
	"mov $1234, %eax\n"
	"ret\n"
	/* Call it with TF set, on the stack below the registers. */
	".globl ub_step\n"
	"ub_step:\n"
	"push %rbp\n"
	"mov %rsp, %rbp\n"
	"mov $ub_shim_stack + 16384 - 168, %rsp\n"
	"pushf\n"
	"orl $0x100, (%rsp)\n"
	"popf\n"
	"call ub_call\n"
	".globl ub_step_end\n"
	"ub_step_end:\n"
	"pushf\n"
	"andl $~0x100, (%rsp)\n"
	"popf\n"
	"mov %rbp, %rsp\n"
	"pop %rbp\n"
	"ret\n"
	".bss\n"
	".balign 16384\n"
	".globl ub_shim_stack\n"
	"ub_shim_stack:\n"
	".skip 16384\n"
	".text\n");
extern u8 ub_step_end[];

static void on_trap(int number, siginfo_t *info, void *context)
{
	u64 ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if (nr_steps < STEPS)
		steps[nr_steps++] = ip;
}

void ub_shim_fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	_exit(1);
}

void fail(const char *what, u64 value)
{
	fprintf(stderr, "%s %llu\n", what, value);
	_exit(1);
}

long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	return mprotect((void *)a, b, (int)c);
}

/* Two entries; the dispatch of the second is at its beginning. */
static struct {
	struct job job;
	struct call call;
	struct entryrec entries[2];
	struct exitrec exits[3];
	struct dispatchrec dispatch;
	u64 jumps[3];
	u8 code[1024];
} made;

#define AT(member)	((u64)offsetof(__typeof__(made), member))

static u32 add_exit(u32 at, u32 number, u64 *jump)
{
	static const u8 store[] = { 0xc7, 0x04, 0x24 };	/* mov dword [rsp], number */

	memcpy(made.code + at, store, 3);
	memcpy(made.code + at + 3, &number, 4);
	made.code[at + 7] = 0xe9;			/* jmp ub_leave */
	*jump = at + 8;
	return at + 12;
}

static void make(void)
{
	u32 flags = UB_EXITF_SLOT_SYSFLAGS | UB_EXITF_CX_SYS | UB_EXITF_R11_SYS;
	u32 at = add_exit(0, 0, &made.jumps[0]);
	u32 size = ub_dispatch_size(false);

	made.entries[0] = (struct entryrec){ RESUME, 0, NR };
	made.entries[1] = (struct entryrec){ RESUME + 64, at, NR };
	made.dispatch = (struct dispatchrec){ at, NR, at + size + 12, at + size };
	at = add_exit(at + size, 1, &made.jumps[1]);
	at = add_exit(at, 2, &made.jumps[2]);
	for (u32 i = 0; i < 3; i++)
		made.exits[i] = (struct exitrec){
			LEFT, RESUME, UB_EXIT_UNSUPPORTED, flags,
		};
	made.call = (struct call){ .nr = NR, .resume = RESUME + 128 };
	made.job = (struct job){
		.nr_calls = 1, .calls = AT(call),
		.code = AT(code), .code_size = at,
		.nr_entries = 2, .entries = AT(entries),
		.nr_exits = 3, .exits = AT(exits),
		.nr_dispatches = 1, .dispatches = AT(dispatch),
		.nr_jumps = 3, .jumps = AT(jumps),
	};
	job = &made.job;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static u8 stack[65536];
	stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct pt_regs *regs;
	bool other;
	u64 ip;

	if (argc != 2)
		return 2;
	/* Resume addresses of the two entries, and of the site without one. */
	other = argv[1][0] == '3';
	ip = RESUME + 64 * (other ? 1 : argv[1][0] - '0');
	sigaltstack(&own, NULL);
	sigaction(SIGTRAP, &action, NULL);
	make();
	module_setup();
	regs = module_regs();
	*regs = (struct pt_regs){
		.ip = ip, .cx = ip, .flags = FLAGS, .r11 = FLAGS,
		.sp = 0x7ffe00000000, .cs = __USER_CS, .orig_ax = other ? OTHER_NR : NR,
	};
	ub_step(regs);
	if (regs->ip != (other || ip == RESUME + 128 ? ip : LEFT))
		fail("not where the run leaves:", regs->ip);
	for (u32 i = 0; i < nr_steps; i++)
		printf("%llx\n", steps[i]);
	return 0;
}
