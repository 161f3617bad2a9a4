// SPDX-License-Identifier: GPL-2.0-only
/*
 * subject WHAT: a program to look at, which notices if it is disturbed. It prints "ready",
 * and at SIGTERM, or its own end, "errors N" and what it has done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS 40
#define BYTES 64
#define TRAP_FLAG 0x100

static volatile sig_atomic_t ended;
static volatile long ticks, traps;
static long errors, turns;
static int file;
static uint8_t expected[BYTES];

static void on_end(int number)
{
	(void)number;
	ended = 1;
}

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

static void on_trap(int number)
{
	(void)number;
	traps++;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(number, &action, NULL);
}

static void read_once(long *wrong)
{
	uint8_t found[BYTES];

	if (pread(file, found, BYTES, 0) != BYTES || memcmp(found, expected, BYTES))
		(*wrong)++;
}

/* A program that is told to end before its first turn does this turn still. */
static int goes_on(long done)
{
	return !ended || !done;
}

static void *reader(void *unused)
{
	long wrong = 0, made = 0;

	(void)unused;
	for (; goes_on(made); made++)
		read_once(&wrong);
	__atomic_fetch_add(&errors, wrong, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&turns, made, __ATOMIC_SEQ_CST);
	return NULL;
}

static uint64_t flags(void)
{
	uint64_t found;

	__asm__ volatile("pushfq; popq %0" : "=r"(found));
	return found;
}

static void with_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, reader, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Signals of a timer, and traps of its own, which a tracer must not take for its. */
static void with_signals(void)
{
	struct itimerval each = { { 0, 2000 }, { 0, 2000 } };
	long raised = 0;

	handle(SIGALRM, on_tick);
	handle(SIGTRAP, on_trap);
	setitimer(ITIMER_REAL, &each, NULL);
	for (; goes_on(ticks); turns++) {
		read_once(&errors);
		if (turns % 64 == 0) {
			raised++;
			kill(getpid(), SIGTRAP);
		}
	}
	if (traps != raised || !ticks)
		errors++;
}

/* Waits in a call that a stop ends with EINTR if nobody sees to that. */
static void waiting(void)
{
	struct epoll_event event;
	int set = epoll_create1(0);

	for (; goes_on(turns); turns++) {
		for (int i = 0; i < 300; i++)
			read_once(&errors);
		if (epoll_wait(set, &event, 1, 3) < 0 && !ended)
			errors++;
	}
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	struct timespec start, now;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	handle(SIGTERM, on_end);
	file = open("/proc/self/exe", O_RDONLY);
	if (file < 0 || pread(file, expected, BYTES, 0) != BYTES)
		return 2;
	puts("ready");
	fflush(stdout);
	if (!strcmp(what, "pread")) {
		reader(NULL);
	} else if (!strcmp(what, "getppid")) {
		for (; goes_on(turns); turns++)
			errors += syscall(SYS_getppid) < 0;
	} else if (!strcmp(what, "flags")) {
		for (; goes_on(turns); turns++) {
			errors += !!(flags() & TRAP_FLAG);
			read_once(&errors);
		}
	} else if (!strcmp(what, "idle")) {
		for (; goes_on(turns); turns++)
			errors += usleep(20000) != 0 && !ended;
	} else if (!strcmp(what, "computes")) {
		for (; goes_on(turns); turns++)
			for (volatile int i = 0; i < 1000000; i++)
				;
	} else if (!strcmp(what, "threads")) {
		with_threads();
	} else if (!strcmp(what, "signals")) {
		with_signals();
	} else if (!strcmp(what, "waiting")) {
		waiting();
	} else if (!strcmp(what, "ends")) {
		clock_gettime(CLOCK_MONOTONIC, &start);
		do {
			read_once(&errors);
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while ((now.tv_sec - start.tv_sec) * 1000 +
			 (now.tv_nsec - start.tv_nsec) / 1000000 < 600);
	} else {
		return 2;
	}
	printf("errors %ld turns %s\n", errors, turns ? "some" : "none");
	return 0;
}
