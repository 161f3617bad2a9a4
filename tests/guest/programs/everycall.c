// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every system call of the module's list, with good arguments and with each kind of bad
 * ones, from one loop in which each call has an instruction of its own.
 *
 *   everycall
 *
 * Word 3 of the control page chooses a row of everycall.h, counted from 1; 0: all by turns.
 * Word 4 says which one the loop makes, and word 5 how often it has since it was chosen.
 * Every turn of a row must give what its first turn gave, which is printed.
 */
#include "common.h"

#include <stdint.h>

#include "everycall.h"

#define ROWS	256
#define PATTERN	0xa5a5a5a5a5a5a5a5UL
#define WORDS	4	/* of out that are compared */

struct row {
	const char *name, *kind;
	unsigned int nr, how;
	unsigned long first, turns, odd;
	long arguments[6];
	long result;
	unsigned long data;
};

static struct row rows[ROWS];
static unsigned int count;
static uint64_t wrong;

static void add(int nr, const char *name, const char *kind, int how, unsigned long first,
		const long arguments[6])
{
	struct row *row = &rows[count++];

	if (count >= ROWS)
		die("too many rows");
	*row = (struct row){
		.name = name, .kind = kind, .first = first,
		.nr = (unsigned int)nr, .how = (unsigned int)how,
	};
	memcpy(row->arguments, arguments, sizeof(row->arguments));
}

#define CALL(number, result, a)							\
	do {									\
		register long r10 __asm__("r10") = (a)[3];			\
		register long r8 __asm__("r8") = (a)[4];			\
		register long r9 __asm__("r9") = (a)[5];			\
										\
		__asm__ volatile("mov %[nr], %%eax\n\tsyscall"			\
				 : "=a"(result)					\
				 : [nr] "i"(number), "D"((a)[0]), "S"((a)[1]),	\
				   "d"((a)[2]), "r"(r10), "r"(r8), "r"(r9)	\
				 : "rcx", "r11", "memory");			\
	} while (0)

/* One instruction for each call, and no table of jumps to them. */
static __attribute__((noinline)) long make(unsigned int nr, const long *arguments)
{
	long result = 0;

#define UB_SYSCALL(number, name, args)				\
	__asm__ volatile("" : "+r"(nr));			\
	if (nr == (number)) {					\
		CALL(number, result, arguments);		\
		return result;					\
	}
#include "../../../kernel/include/uapi/ub_syscalls.h"
#undef UB_SYSCALL
	return result;
}

static __attribute__((noinline)) void turn(struct row *row, long parent)
{
	static const long none[6];
	long arguments[6], result, got;
	unsigned long data = 0;

	for (unsigned int i = 1; i < WORDS; i++)
		out[i] = PATTERN;
	out[0] = row->first;
	for (unsigned int i = 0; i < 6; i++)
		arguments[i] = row->arguments[i];
	CALL(NR_getppid, got, none);
	if (got != parent)
		wrong++;
	if (row->how & OPENS) {
		const long what[6] = { mem };

		CALL(NR_dup, arguments[0], what);
	}
	result = make(row->nr, arguments);
	if (row->how & CLOSES && result >= 0) {
		const long what[6] = { result };

		CALL(NR_close, got, what);
		if (got)
			wrong++;
	}
	if (row->how & SIGN && result > 0)
		result = 1;
	if (row->how & DATA)
		for (unsigned int i = 0; i < WORDS; i++)
			data = data * 31 + out[i];
	if (!row->turns) {
		row->result = result;
		row->data = data;
	} else if (result != row->result || data != row->data) {
		row->odd++;
	}
	row->turns++;
}

int main(void)
{
	volatile unsigned int *control = control_page();
	long parent = getppid();
	unsigned int seen = 0, next = 0, done = 0;
	void *bad;

	bad = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bad == MAP_FAILED)
		die("mmap");
	prepare();
	add_files((long)bad);
	add_waits((long)bad);
	add_sockets((long)bad);
	add_others((long)bad);
	if (munmap(bad, 4096))
		die("munmap");
	control[6] = count;
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		unsigned int chosen = control[3];

		if (chosen != seen) {
			seen = chosen;
			done = 0;
		}
		if (++next >= count)
			next = 0;
		turn(&rows[chosen ? chosen - 1 : next], parent);
		control[5] = ++done;
		control[4] = seen;
	}
	for (unsigned int i = 0; i < count; i++) {
		const struct row *row = &rows[i];

		printf("%s %s %ld %016lx odd %lu\n", row->name, row->kind, row->result,
		       row->data, row->odd);
	}
	printf("wrong %llu\n", (unsigned long long)wrong);
	return 0;
}
