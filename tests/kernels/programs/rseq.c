// SPDX-License-Identifier: GPL-2.0-only
/*
 * rseq SECONDS: are critical sections restarted when their thread is moved?
 *
 * A section notes its CPU, works, executes an instruction that is not translated
 * (cpuid), works, and asks for its CPU again, while another thread moves this one from
 * CPU to CPU.  One that ends on another CPU than it began on was not restarted.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int stop;
static pid_t mover_of;

static void *move(void *unused)
{
	for (unsigned int i = 0; !stop; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i & 1, &set);
		sched_setaffinity(mover_of, sizeof(set), &set);
		usleep(300);
	}
	return unused;
}

/* Returns whether it was restarted (then it did nothing). */
static int section(struct rseq *area, uint32_t *first, uint32_t *last)
{
	int restarted = 0;
	uint32_t cpu0 = 0, cpu1 = 0;

	asm volatile(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "9:	.long 0, 0\n"
		     "	.quad 1f, 2f - 1f, 4f\n"
		     ".popsection\n"
		     "	lea 9b(%%rip), %%rax\n"
		     "	mov %%rax, 8(%[area])\n"	/* rseq_cs */
		     "1:	mov 4(%[area]), %k[cpu0]\n"	/* cpu_id */
		     "	mov $60, %%esi\n"
		     "7:	dec %%esi\n"
		     "	jnz 7b\n"
		     "	xor %%eax, %%eax\n"
		     "	xor %%ecx, %%ecx\n"
		     "	cpuid\n"
		     "	mov $60, %%esi\n"
		     "8:	dec %%esi\n"
		     "	jnz 8b\n"
		     "	rdtscp\n"
		     "	and $0xfff, %%ecx\n"		/* Linux: the CPU */
		     "	mov %%ecx, %k[cpu1]\n"
		     "2:\n"
		     ".pushsection .text.abort, \"ax\"\n"
		     "	.byte 0x0f, 0xb9, 0x3d\n"	/* RSEQ_SIG, as glibc has it */
		     "	.long 0x53053053\n"
		     "4:	movl $1, %k[restarted]\n"
		     "	jmp 3f\n"
		     ".popsection\n"
		     "3:\n"
		     : [cpu0] "=&r"(cpu0), [cpu1] "=&r"(cpu1), [restarted] "+r"(restarted)
		     : [area] "r"(area)
		     : "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc");
	*first = cpu0;
	*last = cpu1;
	return restarted;
}

int main(int argc, char **argv)
{
	char *base = __builtin_thread_pointer();
	struct rseq *area = (struct rseq *)(base + __rseq_offset);
	long sections = 0, restarts = 0, moves = 0, wrong = 0;
	uint32_t at = -1;
	pthread_t mover;
	time_t end;

	if (argc != 2 || !__rseq_size)
		return 2;
	mover_of = gettid();
	end = time(NULL) + atoi(argv[1]);
	if (pthread_create(&mover, NULL, move, NULL))
		return 2;
	while (sections & 255 || time(NULL) < end) {
		uint32_t first, last;

		for (int i = 0; i < 8; i++)
			syscall(SYS_getppid);
		sections++;
		if (section(area, &first, &last)) {
			restarts++;
			continue;
		}
		wrong += first != last;
		moves += first != at;
		at = first;
	}
	stop = 1;
	pthread_join(mover, NULL);
	printf("turns %ld restarts %ld moves %ld wrong %ld\n", sections, restarts, moves,
	       wrong);
	return wrong != 0;
}
