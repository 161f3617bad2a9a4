// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs instructions one at a time, each from the same state, to find whether the
 * processor has them and whether they change the vector state. All registers, rsp and
 * fs point into two pages with unmapped memory around them.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "runner.h"

#define LONGEST 15
/*
 * Far from all other mappings: no displacement or index leads to one of them.
 */
#define MEMORY ((void *)0x1a2b3c4d0000UL)
/* FOP, FIP and FDP, which some processors keep only while an exception is pending. */
#define POINTERS 6
#define POINTERS_END 24

struct ub_single {
	u8 code[16];
	u32 length;
	u32 signal; /* out: the signal that the instruction raises; 0: none */
	u32 vector; /* out: first changed byte of the XSAVE area, or the area's size */
	u32 reserved;
};

static u8 template[FPU_SIZE] __attribute__((aligned(64)));
static u8 untouched[FPU_SIZE] __attribute__((aligned(64)));
static u8 host_fpu[FPU_SIZE] __attribute__((aligned(64)));
static u8 *memory;
static u64 host_fs;

/* Neither as a double nor as two floats an integer. */
static const u64 pattern = 0x3ff8000000000001UL;

static void fill(void *to, u64 size)
{
	u64 *word = to;

	for (u64 i = 0; i < size / 8; i++)
		word[i] = pattern;
}

static int set_up(void)
{
	u32 control = 0x1f80;
	u16 x87 = 0x37f;

	if (!memory) {
		void *at = mmap(MEMORY, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (at != MEMORY)
			return -1;
		memory = at;
	}
	ub_fpu_init();
	if (ub_arena_init())
		return -1;
	fill(template, FPU_SIZE);
	memset(template, 0, 32);
	ub_copy(template, &x87, 2);
	ub_copy(template + 24, &control, 4);
	memset(template + FPU_LEGACY, 0, FPU_HEADER);
	ub_copy(template + FPU_LEGACY, &(u64){ ub_xmask }, 8);
	return 0;
}

/* Stores the state afterwards in ub_fpu, the kind of the stop in ub_kind. */
static void execute(const u8 *code, u32 length)
{
	u8 *text = ub_arena + ARENA_CODE + PAGE;
	u64 base = (u64)memory + PAGE;

	memset(text, 0xcc, 4 * LONGEST);
	ub_copy(text, code, length);
	fill(memory, 2 * PAGE);
	for (u32 i = 0; i < 16; i++)
		ub_cpu.gpr[i] = base;
	ub_cpu.rip = (u64)text;
	ub_cpu.flags = FLAGS_USER;
	ub_copy(ub_fpu, template, FPU_SIZE);
	ub_signal = ub_late = 0;
	ub_fs_base(1, &base);
	ub_phase = PHASE_NATIVE;
	ub_enter();
	ub_phase = PHASE_NONE;
	ub_fs_base(1, &host_fs);
}

static u32 changed(void)
{
	for (u32 i = 0; i < FPU_SIZE; i++)
		if ((i < POINTERS || i >= POINTERS_END) && ub_fpu[i] != untouched[i])
			return i;
	return FPU_SIZE;
}

/* Sets the "out" fields. Returns 0, or: no memory (-1), bad length (-2), no signals (-3). */
PUBLIC int ub_singles(struct ub_single *list, u32 count);
PUBLIC int ub_singles(struct ub_single *list, u32 count)
{
	static const struct ub_job none;
	int result = 0;

	if (set_up())
		return -1;
	ub_job = &none;
	ub_fs_base(0, &host_fs);
	if (ub_signals_on())
		return -3;
	__asm__ volatile("xsave64 %0"
			 : "=m"(host_fpu)
			 : "a"(ub_xmask), "d"(0)
			 : "memory");
	do
		execute(NULL, 0);
	while (ub_kind == KIND_TIMEOUT);
	ub_copy(untouched, ub_fpu, FPU_SIZE);
	for (u32 i = 0; i < count && !result; i++) {
		struct ub_single *one = &list[i];

		if (!one->length || one->length > LONGEST) {
			result = -2;
			break;
		}
		do
			execute(one->code, one->length);
		while (ub_kind == KIND_TIMEOUT);
		one->signal = ub_kind == KIND_BREAK ? 0 : ub_signal;
		one->vector = changed();
	}
	__asm__ volatile("xrstor64 %0" : : "m"(host_fpu), "a"(ub_xmask), "d"(0) : "memory");
	ub_signals_off();
	return result;
}
