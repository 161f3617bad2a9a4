// SPDX-License-Identifier: GPL-2.0-only
/*
 * The running code changes under its boosted translation.
 *
 *   remap rewrite    mprotect, new bytes, mprotect: the new code must run at once
 *   remap forbid     another thread takes the right to execute away
 *   remap unmap      another thread unmaps the page
 *   remap replace    another thread maps other code over it
 *
 * The code is a function in a page of its own that calls getppid in a loop and
 * returns a constant that is part of its bytes.
 */
#include "common.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdbool.h>

#define PAGE 4096
#define ROUNDS 64	/* system calls in one call of the function */

typedef uint64_t (*function)(uint64_t rounds, volatile unsigned int *stop);

/*
 * f(rdi rounds, rsi stop): push rbx; mov rbx, rdi
 * loop: mov eax, 110; syscall; cmp dword [rsi], 0; jne end; dec rbx; jne loop
 * end: mov eax, CONSTANT; pop rbx; ret
 */
static const unsigned char code[] = {
	0x53, 0x48, 0x89, 0xfb,
	0xb8, 110, 0, 0, 0, 0x0f, 0x05,
	0x83, 0x3e, 0x00, 0x75, 0x05,
	0x48, 0xff, 0xcb, 0x75, 0xef,
	0xb8, 0, 0, 0, 0, 0x5b, 0xc3,
};
#define CONSTANT_AT 22

static unsigned char *page;
static volatile unsigned int never;
static volatile bool done;
static volatile unsigned int *control;
static sigjmp_buf back;
static const char *kind;

static void write_code(unsigned char *where, uint32_t constant)
{
	memcpy(where, code, sizeof(code));
	memcpy(where + CONSTANT_AT, &constant, sizeof(constant));
}

static void handler(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)page;

	(void)context;
	/* Which of its instructions is next is a matter of time. */
	printf("signal %d code %d in the page %d\n", signal, info->si_code,
	       at < sizeof(code));
	siglongjmp(back, 1);
}

static void *meddle(void *unused)
{
	void *other;

	(void)unused;
	while (control[0] == STAGE_WARM)
		usleep(1000);
	if (!strcmp(kind, "forbid")) {
		if (mprotect(page, PAGE, PROT_READ) < 0)
			die("mprotect");
	} else if (!strcmp(kind, "unmap")) {
		if (munmap(page, PAGE) < 0)
			die("munmap");
	} else {
		other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (other == MAP_FAILED)
			die("mmap");
		write_code(other, 3333);
		if (mprotect(other, PAGE, PROT_READ | PROT_EXEC) < 0 ||
		    mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   page) == MAP_FAILED)
			die("mremap");
	}
	/* From here on nobody may run the old code: one more round at most. */
	done = true;
	return NULL;
}

static void rewrite(function f)
{
	uint64_t got = 0, old = 1000;
	unsigned int changes = 0, wrong = 0;

	while (control[0] != STAGE_END) {
		for (int i = 0; i < 50; i++) {
			got = f(ROUNDS, &never);
			if (got != old)
				wrong++;
		}
		if (control[0] != STAGE_ACT || changes >= 20)
			continue;
		changes++;
		old++;
		if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) < 0)
			die("mprotect");
		write_code(page, (uint32_t)old);
		if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) < 0)
			die("mprotect");
		control[1] = changes == 20;
		/* Time to become hot and boosted again. */
		for (int i = 0; i < 200; i++) {
			got = f(ROUNDS, &never);
			if (got != old)
				wrong++;
		}
	}
	printf("changes %u wrong %u last %llu\n", changes, wrong,
	       (unsigned long long)got);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };
	volatile unsigned int late = 0;
	pthread_t thread;
	function f;

	if (argc != 2)
		return 2;
	kind = argv[1];
	control = control_page();
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		die("mmap");
	write_code(page, 1000);
	if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) < 0 ||
	    sigaction(SIGSEGV, &action, NULL) < 0)
		die("setup");
	memcpy(&f, &page, sizeof(f));
	control[2] = AT_WARM;
	if (!strcmp(kind, "rewrite")) {
		rewrite(f);
		return 0;
	}
	if (pthread_create(&thread, NULL, meddle, NULL))
		die("pthread_create");
	if (!sigsetjmp(back, 1)) {
		for (;;) {
			bool was_done = done;
			uint64_t got = f(ROUNDS, &never);

			if (got == 3333)
				break;
			if (got != 1000)
				printf("wrong constant %llu\n",
				       (unsigned long long)got);
			/* Entered after the change, and the old code still ran. */
			if (was_done)
				late++;
			if (late > 10)
				break;
		}
	}
	control[1] = 1;
	pthread_join(thread, NULL);
	printf("%s: old code ran after the change %u times\n", kind, late);
	while (control[0] != STAGE_END)
		usleep(1000);
	return 0;
}
