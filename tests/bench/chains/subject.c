// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program to capture: a call, some work on memory, another call, without end. What else
 * it does is chosen by its argument: "plain": nothing; "time": it reads the clock;
 * "leave": it runs an instruction that is not translated; "twice": as much work after
 * one more call; "end": it ends after some calls; "signal": it sends itself signals;
 * "biased": it reads memory through a register that holds no address.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MARK 0x12345679u
#define LOW 0x20000000 /* within reach of a displacement */

static uint64_t table[256];
static volatile long away = -8;

static void on_signal(int number)
{
	(void)number;
}

__attribute__((noinline)) static uint64_t turn(uint64_t n, uint64_t got)
{
	for (unsigned int i = 0; i < 16; i++)
		table[(n + i) % 256] = table[(n + 7 * i) % 256] * MARK + got + i;
	return table[n % 256];
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "plain";
	bool clock = !strcmp(what, "time"), leave = !strcmp(what, "leave");
	bool twice = !strcmp(what, "twice"), end = !strcmp(what, "end");
	bool signals = !strcmp(what, "signal"), biased = !strcmp(what, "biased");
	uint64_t n = 0, sum = 0;

	signal(SIGUSR1, on_signal);
	if (biased && mmap((void *)LOW, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("ready");
	for (;; n++) {
		sum += turn(n, (uint64_t)getppid());
		if (clock) {
			struct timespec now;

			clock_gettime(CLOCK_MONOTONIC, &now);
			table[n % 256] += (uint64_t)now.tv_nsec + (uint64_t)time(NULL);
		}
		if (leave) {
			unsigned int a, b, c, d;

			__cpuid(0, a, b, c, d);
			table[n % 256] += a + b + c + d;
		}
		if (biased) {
			uint64_t read;

			__asm__ volatile("add %2, %c1(%3)\n"
					 "mov %c1(%3), %0"
					 : "=&r"(read)
					 : "i"(LOW + 64), "r"(n), "r"(away)
					 : "memory");
			sum += read;
		}
		if (end && n > 2000000)
			exit(0);
		if (signals && n % 8 == 0)
			raise(SIGUSR1);
		if (twice)
			sum += turn(n, (uint64_t)getgid());
		sum += (uint64_t)getuid();
	}
}
