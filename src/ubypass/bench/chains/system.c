// SPDX-License-Identifier: GPL-2.0-only
/* System calls, memory and signals without a C library. */
#include "replay.h"

#define SYS_write 1
#define SYS_mmap 9
#define SYS_rt_sigaction 13
#define SYS_sigaltstack 131
#define SYS_exit_group 231
#define MAP_FLAGS 0x104022 /* private, anonymous, noreserve, fixed_noreplace */
#define CONTEXT_IP 168 /* offset in struct ucontext of rip in its sigcontext */

long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *result = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return result;
}

void *memset(void *to, int value, size_t size)
{
	void *result = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

void program_exit(int status)
{
	sys1(SYS_exit_group, status);
	__builtin_unreachable();
}

/* Print "WHAT NUMBER" to stderr, which replay.py reads, and exit. */
void fail(const char *what, u64 value)
{
	static const char digits[] = "0123456789abcdef";
	char text[128], number[16];
	u32 n = 0, k = 0;

	while (what[n] && n < 100) {
		text[n] = what[n];
		n++;
	}
	text[n++] = ' ';
	text[n++] = '0';
	text[n++] = 'x';
	do {
		number[k++] = digits[value & 15];
		value >>= 4;
	} while (value);
	while (k)
		text[n++] = number[--k];
	text[n++] = '\n';
	sys3(SYS_write, 2, text, n);
	program_exit(1);
}

void ub_shim_fail(const char *why)
{
	fail(why, 0);
}

/* Map zeroed, executable memory at an unused address. */
void *memory_at(u64 at, u64 size)
{
	long got = sys6(SYS_mmap, (long)at, (long)size, 7, MAP_FLAGS, -1, 0);

	if (got != (long)at)
		fail("cannot have memory at", at);
	return (void *)got;
}

struct sigaction_kernel {
	void (*handler)(int number, void *info, void *context);
	u64 flags;
	void (*restorer)(void);
	u64 mask;
};
#define FLAGS (4UL | 0x08000000UL | 0x40000000UL | 0x04000000UL)
void ub_restore_signal(void);

/* A fault in translated code continues at its fixup, as in the module. */
static void on_signal(int number, void *info, void *context)
{
	u64 *ip = (u64 *)((u8 *)context + CONTEXT_IP);
	const struct faultrec *faults = JOB_TABLE(struct faultrec, faults);
	u64 code = (u64)region.code;

	if (*ip >= code && *ip < code + job->code_size)
		for (u64 i = 0; i < job->nr_faults; i++)
			if (faults[i].at == *ip - code) {
				*ip = code + faults[i].fixup;
				return;
			}
	fail(number == 11 ? "the replay faults at" : "a signal stops the replay at", *ip);
}

void signals_setup(void)
{
	static u8 alternate[65536];
	struct {
		void *base;
		int flags;
		size_t size;
	} stack = { alternate, 0, sizeof(alternate) };
	struct sigaction_kernel action = { on_signal, FLAGS, ub_restore_signal, 0 };
	static const int numbers[] = { 4, 5, 7, 8, 11 };

	if (sys2(SYS_sigaltstack, &stack, 0))
		fail("no stack for signals", 0);
	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sys4(SYS_rt_sigaction, numbers[i], &action, 0, 8))
			fail("no handler for signal", (u64)numbers[i]);
}
