// SPDX-License-Identifier: GPL-2.0-only
/* Random machine states, reproducible from the seed. */
#include <string.h>

#include "runner.h"

#define FCW 0
#define FSW 2
#define FTW 4
#define FOP 6
#define FIP 8
#define MXCSR 24
#define ST0 32
#define XMM0 160
#define CPUID_OSXSAVE (1u << 27)

static u8 clean[FPU_SIZE] __attribute__((aligned(64)));
static u64 fpu_used;

/* splitmix64 (public domain, Vigna) */
u64 ub_random(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return z ^ (z >> 31);
}

/* Whether the CPU keeps FIP, FDP and FOP of the last x87 instruction in any case. */
u32 ub_x87_pointers;

/*
 * Intel's CPUs do.  AMD's keep them only while an unmasked exception is pending (APM
 * volume 2, FXSAVE and XSAVE; X86_FEATURE_XSAVEERPTR in Linux): they save zeros or,
 * older ones, nothing.  Found by execution of an x87 instruction.
 */
static void find_x87_pointers(void)
{
	static u8 before[FPU_SIZE] __attribute__((aligned(64)));
	static u8 after[FPU_SIZE] __attribute__((aligned(64)));
	u64 ip;

	__asm__ volatile("xsave64 %0\n\t"
			 "fninit\n\t"
			 "fld1\n\t"
			 "xsave64 %1\n\t"
			 "xrstor64 %0"
			 : "+m"(before), "+m"(after)
			 : "a"(1), "d"(0)
			 : "memory");
	ub_copy(&ip, after + FIP, 8);
	ub_x87_pointers = ip != 0;
}

/*
 * Offset of the first 8-byte word of two XSAVE areas that differs, FPU_SIZE if there is
 * none.  Without pointers FOP, FIP and FDP are not compared.  The header (which parts are
 * in their initial state) is not visible to user code.
 */
PUBLIC u64 ub_fpu_differ(const u8 *a, const u8 *b, u32 pointers)
{
	u64 rest = FPU_LEGACY + FPU_HEADER, found;

	if (pointers) {
		found = ub_differ(a, b, FPU_LEGACY);
	} else {
		/* FCW, FSW and FTW; then from MXCSR on. */
		for (u32 i = 0; i < FOP; i++)
			if (a[i] != b[i])
				return 0;
		found = ub_differ(a + MXCSR, b + MXCSR, FPU_LEGACY - MXCSR) + MXCSR;
	}
	if (found != FPU_LEGACY)
		return found;
	return ub_differ(a + rest, b + rest, FPU_SIZE - rest) + rest;
}

/* Find the state components of this CPU that user code changes; -1: no XSAVE. */
int ub_fpu_init(void)
{
	u32 eax, ebx, ecx, edx;

	if (ub_xmask)
		return 0;
	__asm__ volatile("cpuid"
			 : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx)
			 : "a"(1), "c"(0));
	if (!(ecx & CPUID_OSXSAVE))
		return -1;
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	/* x87, SSE, AVX, the three parts of AVX-512. */
	ub_xmask = eax & 0xe7;
	fpu_used = FPU_LEGACY + FPU_HEADER;
	for (u32 part = 2; part < 8; part++) {
		if (!(ub_xmask & 1u << part))
			continue;
		__asm__ volatile("cpuid"
				 : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx)
				 : "a"(0xd), "c"(part));
		if (ebx + eax <= FPU_SIZE && ebx + eax > fpu_used)
			fpu_used = ebx + eax;
	}
	find_x87_pointers();
	__asm__ volatile("xsave64 %0" : "=m"(clean) : "a"(ub_xmask), "d"(0) : "memory");
	return 0;
}

static void put16(u64 at, u64 value)
{
	ub_copy(&ub_fpu[at], &value, 2);
}

static void random_x87(u64 *rng, int plain)
{
	u64 r = ub_random(rng), control = 0x37f, status = 0;

	if (!plain && r % 8 == 0) {
		/* All masked: otherwise the module does not enter x87 code. */
		control = 0x40 | (ub_random(rng) & 0xf3f) | 0x3f;
		status = ub_random(rng) & 0x4700;
	}
	status |= (r >> 16 & 7) << 11;
	put16(FCW, control);
	put16(FSW, status);
	ub_fpu[FTW] = (r & 0x200) ? 0 : (u8)(r >> 24);
	u64 ip = r & 0x7fff00000000UL;

	ub_copy(&ub_fpu[FIP], &ip, 8);
	for (int i = 0; i < 8; i++) {
		u64 kind = ub_random(rng), number = ub_random(rng);
		u64 top = (kind >> 8 & 0x8000) | (0x3fff - 20 + (kind >> 24) % 60);

		if (kind % 8 == 0)
			top = kind >> 16 & 0xffff;
		else
			number |= 1UL << 63;
		if (kind % 8 == 1)
			top = number = 0;
		if (kind % 8 == 2)
			number &= ~0xffffffffffUL;
		ub_copy(&ub_fpu[ST0 + 16 * i], &number, 8);
		ub_copy(&ub_fpu[ST0 + 16 * i + 8], &top, 2);
	}
}

static void random_fpu(const struct ub_job *job, u64 *rng)
{
	u64 r = ub_random(rng);
	u32 control = 0x1f80;

	ub_copy(ub_fpu, clean, FPU_LEGACY);
	memset(ub_fpu + FPU_LEGACY, 0, FPU_HEADER);
	ub_copy(ub_fpu + FPU_LEGACY, &(u64){ ub_xmask }, 8);
	if (!job->vectors_plain && r % 4 == 0) {
		/* rounding, flush to zero, denormals are zero, sticky flags */
		control ^= (u32)(r >> 8) & 0xe07f;
		if (r % 64 == 0)
			control &= ~((u32)(r >> 24) & 0x1f80);
	}
	ub_copy(ub_fpu + MXCSR, &control, 4);
	random_x87(rng, (int)job->vectors_plain);
	ub_copy(ub_fpu + XMM0, ub_pool(ub_random(rng)), 256);
	if (fpu_used > FPU_LEGACY + FPU_HEADER)
		ub_copy(ub_fpu + FPU_LEGACY + FPU_HEADER, ub_pool(ub_random(rng)),
			fpu_used - FPU_LEGACY - FPU_HEADER);
}

/* Boundary values: zero, all ones, sign bits, limits of the operand sizes. */
static const u64 corners[] = {
	0, 0, 0, 1, ~0UL, ~1UL, 0x7f, 0x80, 0x7fff, 0x8000, 0xffff,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~0x7fffffffUL,
	0x7fffffffffffffff, 1UL << 63,
};

static u64 any_value(u64 *rng)
{
	u64 r = ub_random(rng), s = ub_random(rng);

	switch (r % 8) {
	case 0:
		return s % 70;
	case 1:
		return s & 0xffffffff;
	case 2:
		return (u64)(int)(s & 0xffffffff) >> (s >> 60);
	case 3:
		return ub_pool_word(s);
	case 4:
		return 1UL << (s & 63) | (s >> 62);
	case 5:
		return (s & 0xff) * 0x0101010101010101UL;
	case 6:
		return corners[s % (sizeof(corners) / sizeof(corners[0]))];
	default:
		return s;
	}
}

static u64 pointer(const struct ub_job *job, u64 *rng)
{
	u64 r = ub_random(rng), s = ub_random(rng);
	u64 address = job->data + s % job->data_size;

	switch (r % 64) {
	case 0: /* not canonical */
		return address | 1UL << 62;
	case 1:
		return address | 1UL << 47;
	case 2: /* the kernel's */
		return address | 0xffff800000000000UL;
	case 3: /* around the end of user space */
		return LIMIT - 40 + s % 80;
	case 4: /* around zero */
		return s % 80 - 40;
	case 5: /* nothing there */
		return s & 0x7fffffffffffUL;
	case 6: /* across an edge */
	case 7:
		return job->data + job->data_size - 72 + s % 80;
	case 8:
		return job->data - 40 + s % 80;
	case 9:
		return ~0UL - s % 80;
	}
	if (r & 0xff00000)
		address &= ~7UL;
	/* Vector instructions may need an alignment. */
	if (r & 0x300000000)
		address &= ~63UL;
	return address;
}

static u64 value_for(const struct ub_job *job, const struct ub_register_kind *kind,
		     u64 *rng)
{
	u64 r = ub_random(rng);

	switch (kind->kind) {
	case REG_POINTER:
		return pointer(job, rng) - kind->bias;
	case REG_INDEX:
		return r % 16 == 0 ? any_value(rng) : (r >> 8) % 128 - 64;
	case REG_SMALL:
		return (r >> 8) % 48;
	case REG_NATURAL:
		return r % 4 ? pointer(job, rng) : any_value(rng);
	case REG_STACK:
		return job->stack + (r >> 8) % 16 * 8 - (r % 32 == 0 ? r >> 4 & 7 : 0);
	default:
		return any_value(rng);
	}
}

void ub_random_state(const struct ub_job *job, u64 *rng)
{
	for (int i = 0; i < 16; i++)
		ub_cpu.gpr[i] = value_for(job, &job->registers[i], rng);
	ub_cpu.flags = (ub_random(rng) & ARITHMETIC) | FLAGS_USER;
	random_fpu(job, rng);
}
