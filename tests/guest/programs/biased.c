// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hot loop that reads memory through registers which hold no address: a negative
 * offset from a constant one, and a negative one that a large index makes up for.  In
 * the end the memory goes away once, and a handler brings it back.
 *
 *   biased
 *
 * Every pass must give the same sum.
 */
#include "common.h"

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define START	0x20000000UL	/* within reach of a displacement */
#define SIZE	4096UL
#define BIAS	0x1000L
#define WORDS	24

/* In memory, so that nobody knows that these are small. */
static volatile long first = -8 * WORDS, bias = -BIAS;
static volatile sig_atomic_t faults, wrong_faults;
extern const char first_read[], second_read[];

static void map_memory(void)
{
	uint64_t *words = mmap((void *)START, SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (words == MAP_FAILED)
		die("mmap");
	for (unsigned long i = 0; i < SIZE / 8; i++)
		words[i] = i * 0x9e3779b97f4a7c15UL;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const char *ip = (const char *)regs[REG_RIP];
	unsigned long at = (unsigned long)info->si_addr;

	(void)number;
	faults++;
	/* Of these two instructions only, and they say for what. */
	if (ip == first_read)
		wrong_faults += at != START + SIZE + regs[REG_RDX];
	else
		wrong_faults += ip != second_read ||
				at != (unsigned long)(regs[REG_RBX] + regs[REG_R8]);
	map_memory();
}

__attribute__((noinline)) static uint64_t one_pass(void)
{
	uint64_t sum = 0, value;
	long base = bias;

	for (long i = first; i; i += 8) {
		unsigned long index = START + BIAS + (unsigned long)i + SIZE;

		__asm__ volatile(".globl first_read\n"
				 "first_read: mov %c2(%%rdx), %0"
				 : "=r"(value) : "d"(i), "i"(START + SIZE) : "memory");
		sum = sum * 31 + value;
		__asm__ volatile("mov %k2, %%r8d\n"
				 ".globl second_read\n"
				 "second_read: mov (%%rbx,%%r8), %0"
				 : "=r"(value) : "b"(base), "r"(index)
				 : "r8", "memory");
		sum = sum * 31 + value;
	}
	return sum;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	long parent = getppid();
	uint64_t sum, passes = 0, wrong = 0;

	sigaction(SIGSEGV, &action, NULL);
	map_memory();
	sum = one_pass();
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		if (getppid() != parent)
			wrong++;
		if (one_pass() != sum)
			wrong++;
		passes++;
	}
	for (int i = 0; i < 2; i++) {
		if (munmap((void *)START, SIZE))
			die("munmap");
		if (getppid() != parent || one_pass() != sum)
			wrong++;
	}
	printf("sum %016llx wrong %llu faults %d wrong %d\n", (unsigned long long)sum,
	       (unsigned long long)wrong, (int)faults, (int)wrong_faults);
	fprintf(stderr, "passes %llu\n", (unsigned long long)passes);
	return 0;
}
