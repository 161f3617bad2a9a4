// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timers of two kinds interrupt a loop of system calls; their handlers run on a
 * stack of their own, one of them makes calls itself and the other one leaves by a
 * jump.  Ends once each has come so many times.
 *
 *   alarms FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ENOUGH	100
#define PIECE	32

static char stack[64 * 1024];
static volatile sig_atomic_t alarms, ticks, off_stack, lost;
static volatile int tick_value_wrong;
static sigjmp_buf back;
static volatile sig_atomic_t may_jump;
static int fd;

static int on_stack(void)
{
	char here;

	return &here >= stack && &here < stack + sizeof(stack);
}

static void on_alarm(int number)
{
	(void)number;
	alarms++;
	off_stack += !on_stack();
	if (may_jump && alarms % 3 == 0) {
		may_jump = 0;
		siglongjmp(back, 1);
	}
}

static void on_tick(int number, siginfo_t *info, void *context)
{
	char data[8];
	int before = errno;

	(void)number;
	(void)context;
	ticks++;
	off_stack += !on_stack();
	tick_value_wrong += info->si_value.sival_int != 4711;
	if (pread(fd, data, sizeof(data), 0) != sizeof(data))
		lost++;
	errno = before;
}

static void handle(int number, struct sigaction *action)
{
	sigemptyset(&action->sa_mask);
	sigaddset(&action->sa_mask, SIGALRM);
	sigaddset(&action->sa_mask, SIGRTMIN);
	action->sa_flags |= SA_ONSTACK | SA_RESTART;
	if (sigaction(number, action, NULL))
		exit(1);
}

static void start_timers(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN,
		.sigev_value.sival_int = 4711,
	};
	struct itimerspec each = { { 0, 7000000 }, { 0, 7000000 } };
	struct itimerval other = { { 0, 11000 }, { 0, 11000 } };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &each, NULL) ||
	    setitimer(ITIMER_REAL, &other, NULL))
		exit(1);
}

static uint64_t pass(void)
{
	unsigned char data[PIECE];
	uint64_t sum = 0;
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, data, sizeof(data), at)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			sum = sum * 31 + data[i];
		at += got;
	}
	return sum;
}

int main(int argc, char **argv)
{
	stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction alarm = { .sa_handler = on_alarm };
	struct sigaction tick = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO };
	volatile unsigned long wrong = 0;
	uint64_t sum;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || sigaltstack(&own, NULL))
		return 1;
	handle(SIGALRM, &alarm);
	handle(SIGRTMIN, &tick);
	sum = pass();
	start_timers();
	while (alarms < ENOUGH || ticks < ENOUGH) {
		if (sigsetjmp(back, 1) == 0) {
			may_jump = 1;
			wrong += pass() != sum;
			may_jump = 0;
		}
	}
	printf("sum %016llx wrong %lu, off the stack %d, values wrong %d, lost %d\n",
	       (unsigned long long)sum, wrong, (int)off_stack, tick_value_wrong,
	       (int)lost);
	return 0;
}
