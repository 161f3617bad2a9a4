// SPDX-License-Identifier: GPL-2.0-only
/* One run of the chain, natively or with the module's code in place of the kernel. */
#include "replay.h"

struct counts counts;
u64 *gap_ticks, chain_ticks, null_native, null_dispatch;
int checking;
u64 mode;

/* The index in struct pt_regs of each register, in hardware order. */
#define WORD(member) (offsetof(struct pt_regs, member) / 8)
static const u8 slots[16] = {
	WORD(ax), WORD(cx), WORD(dx), WORD(bx), WORD(sp), WORD(bp), WORD(si), WORD(di),
	WORD(r8), WORD(r9), WORD(r10), WORD(r11), WORD(r12), WORD(r13), WORD(r14), WORD(r15),
};
#define ARITHMETIC 0x8d5UL
#define FLAGS_USER 0x202UL

static u64 at;		/* number of the next call */
static u64 spent;	/* ticks of this gap before it continued natively */
static bool starting, natively, with_module;
static u64 seen_args[6 * 4096];
static u8 state[16384] __attribute__((aligned(64)));
static u32 state_mask;

static u64 stamp(void)
{
	u32 low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static void wrong(void)
{
	counts.wrong++;
	ub_finish();
}

/* The arguments of a call must be the same in each run. */
static void check_args(const struct pt_regs *regs, const struct call *call)
{
	const unsigned long args[6] = { regs->di, regs->si, regs->dx,
					regs->r10, regs->r8, regs->r9 };

	for (u64 i = 0; i < call->args; i++) {
		u64 *seen = &seen_args[6 * at + i];

		if (checking == 1)
			*seen = args[i];
		else if (*seen != args[i])
			wrong();
	}
}

/* The body of every system call's handler, dispatched or not. */
long chain_work(struct pt_regs *regs)
{
	const struct call *call = JOB_TABLE(struct call, calls) + at;
	const struct word *words = JOB_TABLE(struct word, words) + call->words;
	bool was_native;

	if (starting) {
		starting = false;
		return (long)regs->ax;
	}
	if (natively)
		spent += ub_ended - ub_began - null_native;
	else
		spent += ub_came - ub_began - null_dispatch;
	was_native = natively;
	natively = false;
	gap_ticks[at] = spent;
	spent = 0;
	if (regs->orig_ax != call->nr)
		wrong();
	if (checking)
		check_args(regs, call);
	for (u64 i = 0; i < call->nr_words; i++)
		*(u64 *)words[i].at = words[i].value;
	if (mode & MODE_WORK)
		work_do(call->work, call->nr, call->size);
	if (mode & MODE_THRASH)
		work_thrash();
	if (++at == job->nr_calls) {
		/* The module does not count the last run and its last dispatch. */
		counts.runs += with_module && !was_native;
		ub_finish();
	}
	return (long)call->result;
}

static void to_user(const struct pt_regs *regs)
{
	for (u32 i = 0; i < 16; i++)
		ub_user[i] = ((const unsigned long *)regs)[slots[i]];
	ub_user_ip = regs->ip;
	ub_user_flags = (regs->flags & ARITHMETIC) | FLAGS_USER;
}

/* The registers as after the kernel's entry code. */
static void from_user(struct pt_regs *regs)
{
	for (u32 i = 0; i < 16; i++)
		((unsigned long *)regs)[slots[i]] = ub_user[i];
	regs->orig_ax = regs->ax;
	regs->ax = (unsigned long)-38;
	regs->ip = regs->cx = JOB_TABLE(struct call, calls)[at].resume;
	regs->flags = regs->r11 = (ub_user_flags & ARITHMETIC) | FLAGS_USER;
}

void chain_loop(void);
void chain_loop(void)
{
	struct pt_regs *regs = module_regs();

	for (;;) {
		long result = with_module ? ub_call(regs) : ub_call_body(regs);

		if (with_module)
			spent += stamp() - ub_began - null_dispatch;
		regs->ax = (unsigned long)result;
		to_user(regs);
		natively = true;
		ub_pay = (mode & MODE_TRANSITION) != 0;
		ub_native();
		from_user(regs);
	}
}

/* Run from the snapshot's registers to the end of the chain. */
void chain_run(bool translated)
{
	struct pt_regs *regs = module_regs();
	u64 began;

	for (u32 i = 0; i < 16; i++)
		((unsigned long *)regs)[slots[i]] = job->regs[i];
	regs->ip = regs->cx = job->rip;
	regs->flags = regs->r11 = (job->flags & ARITHMETIC) | FLAGS_USER;
	regs->cs = __USER_CS;
	at = spent = 0;
	starting = true;
	natively = false;
	/* The previous chain ended inside the module's code. */
	__preempt_count = 0;
	ub_inside = 0;
	with_module = translated;
	__asm__ volatile("xrstor64 %0" : : "m"(state), "a"(state_mask), "d"(0) : "memory");
	began = stamp();
	ub_start_chain();
	chain_ticks = stamp() - began;
}

static void cpuid(u32 leaf, u32 sub, u32 *out)
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}

/* Prepare the vector state, with the offsets of this processor. */
void chain_setup(void)
{
	const struct part *parts = JOB_TABLE(struct part, parts);
	u64 base = job->fsbase;

	memset(state, 0, sizeof(state));
	for (u64 i = 0; i < job->nr_parts; i++) {
		u64 where = 0, size = 512;
		u32 out[4];

		if (parts[i].number > 1) {
			cpuid(0xd, (u32)parts[i].number, out);
			size = out[0];
			where = out[1];
		}
		if (size != parts[i].size || where + size > sizeof(state))
			fail("this processor has no such vector state:", parts[i].number);
		memcpy(state + where, (const u8 *)job + parts[i].offset, size);
		state_mask |= 1U << parts[i].number;
	}
	state_mask |= 3;
	memcpy(state + 512, &(u64){ state_mask }, 8);
	if (sys2(158, 0x1002, base)) /* ARCH_SET_FS */
		fail("no fs base", base);
	if (job->nr_calls > ARRAY_SIZE(seen_args) / 6)
		fail("too many calls:", job->nr_calls);
}
