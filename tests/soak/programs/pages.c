// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads and processes that each call gettid in a loop in a page of their own, check what
 * it returns, and change the page and its surroundings all the while:
 *
 *   pages THREADS PROCESSES ROUNDS
 *
 * A thread or process ends after so many rounds, and another one comes in its place.  The
 * loop of thread n is at PAGES + n * PAGE, that of every process at PAGES + THREADS * PAGE
 * (tests/soak/regions.py knows its code).  Each turn adds the number of the thread, a word
 * of memory that is sometimes not there, and a constant that is part of the code: a sum
 * that is wrong says that a call returned something else, or that old code ran.
 */
#include "../../guest/programs/common.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define PAGE		4096UL
#define PAGES		0x10000000UL
#define WORDS		0x20000000UL
#define MOST		1024
#define STACK		(64 * 1024)
#define WORD		0x777
#define ENOUGH		20	/* threads and processes that have come and gone */

/*
 * f(rdi turns, rsi word): push rbp; push rbx; push r12; mov rbx, rdi; mov r12, rsi;
 * xor ebp, ebp
 * loop: mov eax, 186; syscall; add rbp, rax; add rbp, [r12]; add rbp, CONSTANT; dec rbx;
 * jnz loop
 * mov rax, rbp; pop r12; pop rbx; pop rbp; ret
 */
static const unsigned char code[] = {
	0x55, 0x53, 0x41, 0x54, 0x48, 0x89, 0xfb, 0x49, 0x89, 0xf4, 0x31, 0xed,
	0xb8, 186, 0, 0, 0, 0x0f, 0x05, 0x48, 0x01, 0xc5, 0x49, 0x03, 0x2c, 0x24,
	0x48, 0x81, 0xc5, 0, 0, 0, 0, 0x48, 0xff, 0xcb, 0x75, 0xe6,
	0x48, 0x89, 0xe8, 0x41, 0x5c, 0x5b, 0x5d, 0xc3,
};
#define CONSTANT_AT	29

typedef uint64_t (*function)(uint64_t turns, const volatile uint64_t *word);

static volatile unsigned int *control;
static unsigned long threads, processes, rounds;
static int words = -1;
static unsigned long wrong, signals, traps, ended;
static bool done[MOST];

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void count(unsigned long *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static void on_signal(int signal)
{
	(void)signal;
	count(&signals);
}

/* A breakpoint that somebody has planted: again, until it is gone. */
static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signal;
	if (info->si_code != SI_KERNEL)
		return;
	u->uc_mcontext.gregs[REG_RIP]--;
	count(&traps);
	sched_yield();
}

/* The more there are, the longer each rests: all together they are to leave time. */
static void rest(uint32_t chance)
{
	uint64_t ns = (threads + processes) * (chance % 1024) * 8192;
	struct timespec nap = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	nanosleep(&nap, NULL);
}

/* The last call failed: whether to try again, while the OOM killer ends us or another one. */
static bool lacks_memory(void)
{
	struct timespec nap = { 0, 1000000 };

	if (errno != ENOMEM)
		return false;
	nanosleep(&nap, NULL);
	return true;
}

static void *map(unsigned long at, int fd)
{
	int how = MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *page;

	do {
		page = mmap((void *)at, PAGE, PROT_READ | PROT_WRITE, how, fd, 0);
		if (page != MAP_FAILED)
			return page;
	} while (lacks_memory());
	die("mmap");
}

static void protect(void *page, int how)
{
	while (mprotect(page, PAGE, how) < 0)
		if (!lacks_memory())
			die("mprotect");
}

static void write_code(unsigned char *page, uint32_t constant)
{
	memcpy(page, code, sizeof(code));
	memcpy(page + CONSTANT_AT, &constant, sizeof(constant));
	protect(page, PROT_READ | PROT_EXEC);
}

/* What happens to a thread's own pages between two rounds. */
static void change(unsigned char **page, uint32_t *constant, void *word, uint32_t chance)
{
	switch (chance % 32) {
	case 0:
	case 1:
	case 2:
		*constant = chance >> 8;
		protect(*page, PROT_READ | PROT_WRITE);
		write_code(*page, *constant);
		break;
	case 3:
		munmap(*page, PAGE);
		*page = map((unsigned long)*page, -1);
		*constant = chance >> 8;
		write_code(*page, *constant);
		break;
	case 4:
		protect(*page, PROT_NONE);
		protect(*page, PROT_READ | PROT_EXEC);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		madvise(word, PAGE, MADV_DONTNEED);
		break;
	}
}

static void play(unsigned long n, uint32_t seed)
{
	uint64_t tid = (uint64_t)syscall(SYS_gettid);
	unsigned char *page = map(PAGES + n * PAGE, -1);
	const volatile uint64_t *word = map(WORDS + n * PAGE, words);
	uint32_t constant = seed >> 8, chance = seed | 1;

	write_code(page, constant);
	for (unsigned long i = 0; i < rounds && control[0] != STAGE_END; i++) {
		uint64_t turns = 100 + next(&chance) % 2000, sum;
		function f;

		memcpy(&f, &page, sizeof(f));
		sum = f(turns, word);
		if (sum != turns * (tid + WORD + constant)) {
			count(&wrong);
			fprintf(stderr, "page %lu: %lu turns of %u, %u: %lx\n", n,
				(unsigned long)turns, (unsigned int)tid, constant,
				(unsigned long)sum);
		}
		change(&page, &constant, (void *)word, next(&chance));
		rest(next(&chance));
	}
}

static void *thread(void *number)
{
	unsigned long n = (unsigned long)number;

	play(n, (uint32_t)(n * 2654435761u) ^ (uint32_t)time(NULL));
	__atomic_store_n(&done[n], true, __ATOMIC_RELEASE);
	return NULL;
}

/* Takes the lock of the address space, over and over. */
static void *meddle(void *unused)
{
	uint32_t chance = 4711;

	while (control[0] != STAGE_END) {
		size_t size = (1 + next(&chance) % 64) * PAGE;
		char *some = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct timespec nap = { 0, next(&chance) % 3000000 };

		if (some != MAP_FAILED) {
			memset(some, 1, size);
			mprotect(some, size / 2, PROT_READ);
			munmap(some, size);
		}
		nanosleep(&nap, NULL);
	}
	return unused;
}

static pid_t start_process(unsigned long seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	wrong = 0;
	play(threads, (uint32_t)(seed * 2654435761u));
	_exit(wrong != 0);
}

static bool has_ended(pid_t child, int how)
{
	int status;

	if (waitpid(child, &status, how) != child)
		return false;
	/* Killed by somebody is no fault of ours. */
	if (WIFEXITED(status) && WEXITSTATUS(status))
		count(&wrong);
	count(&ended);
	return true;
}

static void renew(pid_t *children)
{
	for (unsigned long i = 0; i < processes; i++) {
		if (children[i] > 0 && !has_ended(children[i], WNOHANG))
			continue;
		children[i] = control[0] == STAGE_END ? 0 : start_process(ended + i + 1);
	}
}

static void start_thread(pthread_t *id, unsigned long n)
{
	pthread_attr_t small;

	done[n] = false;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	if (pthread_create(id, &small, thread, (void *)n))
		die("pthread_create");
	pthread_attr_destroy(&small);
}

int main(int argc, char **argv)
{
	struct sigaction on_usr1 = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction on_int3 = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	const uint64_t word[PAGE / 8] = { WORD };
	struct timespec nap = { 0, 5000000 };
	static pthread_t ids[MOST];
	static pid_t children[MOST];
	pthread_t meddler;

	if (argc != 4)
		return 2;
	threads = strtoul(argv[1], NULL, 10);
	processes = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	if (threads >= MOST || processes >= MOST)
		return 2;
	control = control_page();
	words = memfd_create("words", MFD_CLOEXEC);
	if (words < 0 || write(words, word, sizeof(word)) != sizeof(word))
		die("memfd");
	if (sigaction(SIGUSR1, &on_usr1, NULL) < 0 || sigaction(SIGTRAP, &on_int3, NULL) < 0)
		die("sigaction");
	if (pthread_create(&meddler, NULL, meddle, NULL))
		die("pthread_create");
	for (unsigned long n = 0; n < threads; n++)
		start_thread(&ids[n], n);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		renew(children);
		for (unsigned long n = 0; n < threads; n++) {
			if (!__atomic_load_n(&done[n], __ATOMIC_ACQUIRE))
				continue;
			pthread_join(ids[n], NULL);
			count(&ended);
			start_thread(&ids[n], n);
		}
		if (ended >= ENOUGH)
			control[1] = 1;
		nanosleep(&nap, NULL);
	}
	for (unsigned long n = 0; n < threads; n++)
		pthread_join(ids[n], NULL);
	pthread_join(meddler, NULL);
	for (unsigned long i = 0; i < processes; i++)
		if (children[i] > 0)
			has_ended(children[i], 0);
	printf("wrong %lu\n", wrong);
	fprintf(stderr, "ended %lu signals %lu traps %lu\n", ended, signals, traps);
	return wrong != 0;
}
