// SPDX-License-Identifier: GPL-2.0-only
/*
 * capture PID DIRECTORY CALLS SKIP NR LEAST SECONDS MIB: record a chain of system calls
 * of a running thread, so that the chain can be replayed without the program.
 *
 * After SKIP calls, from the return of a call NR (-1: any) with a result of at least
 * LEAST: all readable memory (at most MIB of writable memory), the registers and the
 * vector state; then CALLS gaps or more, up to a call NR, instruction by instruction, and
 * the memory that each call changed. The thread is stopped and single-stepped by ptrace;
 * its state is not changed, and it continues afterwards. Files in DIRECTORY:
 *
 *   memory     contents of the areas in order, zero pages as holes
 *   areas      a line for each: start end permissions offset-in-memory path
 *   registers  struct user_regs_struct
 *   parts      a line for each part of the XSAVE state: number offset size
 *   state      the XSAVE area
 *   ways       as from gaptrace: resume nr instructions next addresses...
 *   calls      call IP NR RESULT KIND; w ADDRESS VALUE for each word that the call
 *              changed; time IP RAX RDI WORD WORD RSI WORD WORD for each answer of
 *              the vDSO in the gap before the call
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define AREAS 4096
#define WAY (1UL << 20) /* most instructions in a gap; a timer of redis takes 1 << 17 */
#define PAGES 1024
#define ROUND 4 /* most calls of a chain, in multiples of CALLS */
#define ENDED 3 /* exit status: the program ended */
#define LATE 4	/* exceeded SECONDS */
#define SIGNALLED 5
#define LARGE 6
#define DENIED 7

struct area {
	uint64_t start, end;
	bool writable;
	uint8_t *before, *after;
};

static pid_t thread;
static const char *directory;
static struct area areas[AREAS];
static int nr_areas, memory;
static uint64_t vdso_start, vdso_end;
static struct user_regs_struct regs;
static uint64_t way[WAY + 1];
static struct timespec deadline;
static bool traced, stopped;
static volatile sig_atomic_t interrupted;

static void leave(int status, const char *why)
{
	fprintf(stderr, "%s\n", why);
	if (traced)
		ptrace(PTRACE_DETACH, thread, 0, 0);
	exit(status);
}

static void die(const char *what)
{
	char text[256];

	if (errno == ESRCH)
		leave(ENDED, "it ended");
	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	leave(errno == EPERM || errno == EACCES ? DENIED : 1, text);
}

static FILE *file(const char *name)
{
	char path[4096];
	FILE *opened;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	opened = fopen(path, "w");
	if (!opened)
		die(path);
	return opened;
}

static void on_alarm(int number)
{
	(void)number;
	interrupted = true;
}

static void in_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (interrupted || now.tv_sec > deadline.tv_sec) {
		/* Only a stopped thread can be detached. */
		int status;

		if (traced && !stopped && !ptrace(PTRACE_INTERRUPT, thread, 0, 0))
			waitpid(thread, &status, __WALL);
		leave(LATE, "too slow");
	}
}

/* Wait for a stop; its signal, or 0 for a group stop or PTRACE_INTERRUPT. */
static int wait_stop(void)
{
	int status;

	stopped = false;
	while (waitpid(thread, &status, __WALL) != thread) {
		if (errno != EINTR)
			die("waitpid");
		in_time();
	}
	stopped = true;
	if (WIFEXITED(status) || WIFSIGNALED(status)) {
		traced = false;
		leave(ENDED, "it ended");
	}
	/* SIGALRM may have arrived outside of waitpid(). */
	if (interrupted)
		in_time();
	if (status >> 16)
		return 0; /* a group stop, or that of PTRACE_INTERRUPT */
	return WSTOPSIG(status);
}

static void resume(enum __ptrace_request how)
{
	int number, sent = 0;

	for (;;) {
		if (ptrace(how, thread, 0, (void *)(long)sent) < 0)
			die("ptrace");
		number = wait_stop();
		if (number == SIGTRAP || number == (SIGTRAP | 0x80))
			return;
		if (how == PTRACE_SINGLESTEP && number) {
			/* Deliver the signal; a chain interrupted by a handler is unusable. */
			ptrace(PTRACE_DETACH, thread, 0, (void *)(long)number);
			traced = false;
			leave(SIGNALLED, "a signal came");
		}
		sent = number;
	}
}

static void get_registers(void)
{
	if (ptrace(PTRACE_GETREGS, thread, 0, &regs) < 0)
		die("PTRACE_GETREGS");
}

static void read_areas(uint64_t room)
{
	char path[64], line[4096];
	uint64_t writable = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", thread);
	maps = fopen(path, "r");
	if (!maps)
		die(path);
	nr_areas = 0;
	while (fgets(line, sizeof(line), maps)) {
		struct area *area = &areas[nr_areas];
		char permissions[8];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &area->start, &area->end,
			   permissions) != 3)
			continue;
		if (permissions[0] != 'r' || area->start >> 63 || strstr(line, "[vvar"))
			continue;
		if (strstr(line, "[vdso]")) {
			vdso_start = area->start;
			vdso_end = area->end;
		}
		if (nr_areas == AREAS - 1)
			leave(LARGE, "too many areas of memory");
		area->writable = permissions[1] == 'w';
		if (area->writable)
			writable += area->end - area->start;
		nr_areas++;
	}
	fclose(maps);
	if (writable > room)
		leave(LARGE, "too much memory");
}

/* Unreadable pages are read as zero. */
static void read_memory(uint8_t *to, uint64_t from, uint64_t size)
{
	struct iovec here = { to, size }, there = { (void *)from, size };

	if (process_vm_readv(thread, &here, 1, &there, 1, 0) == (ssize_t)size)
		return;
	for (uint64_t at = 0; at < size; at += PAGE)
		if (pread(memory, to + at, PAGE, (off_t)(from + at)) != PAGE)
			memset(to + at, 0, PAGE);
}

static void write_areas(void)
{
	static const uint8_t zero[PAGE];
	static uint8_t page[PAGE];
	char path[64], line[4096];
	FILE *maps, *list = file("areas"), *out = file("memory");
	uint64_t offset = 0;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", thread);
	maps = fopen(path, "r");
	if (!maps)
		die(path);
	while (fgets(line, sizeof(line), maps)) {
		uint64_t start, end;
		char permissions[8], name[4096] = "-";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %4095[^\n]",
			   &start, &end, permissions, name) < 3 ||
		    n == nr_areas || start != areas[n].start)
			continue;
		n++;
		fprintf(list, "%" PRIx64 " %" PRIx64 " %s %" PRIu64 " %s\n", start, end,
			permissions, offset, name);
		for (uint64_t at = start; at < end; at += PAGE, offset += PAGE) {
			if (pread(memory, page, PAGE, (off_t)at) != PAGE)
				continue;
			if (memcmp(page, zero, PAGE) &&
			    pwrite(fileno(out), page, PAGE, (off_t)offset) != PAGE)
				die("memory");
		}
	}
	if (ftruncate(fileno(out), (off_t)offset))
		die("memory");
	fclose(maps);
	fclose(list);
	fclose(out);
}

static void write_state(void)
{
	static uint8_t state[32768];
	struct iovec all = { state, sizeof(state) };
	unsigned int low, high, size, offset, c, d;
	FILE *out = file("registers");

	fwrite(&regs, sizeof(regs), 1, out);
	fclose(out);
	if (ptrace(PTRACE_GETREGSET, thread, NT_X86_XSTATE, &all) < 0)
		die("PTRACE_GETREGSET");
	out = file("state");
	fwrite(state, all.iov_len, 1, out);
	fclose(out);
	out = file("parts");
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	/* x87 with SSE; AVX and the three parts of AVX-512. */
	fprintf(out, "1 0 512\n");
	for (unsigned int part = 2; part < 8; part++) {
		if (!(low & 0xe7 & 1u << part))
			continue;
		__cpuid_count(0xd, part, size, offset, c, d);
		fprintf(out, "%u %u %u\n", part, offset, size);
	}
	fclose(out);
}

static bool at_syscall(uint64_t ip)
{
	static struct page {
		uint64_t start;
		uint8_t bytes[PAGE];
	} cache[PAGES];
	struct page *page = &cache[ip / PAGE % PAGES];

	if (page->start != ip / PAGE * PAGE) {
		if (pread(memory, page->bytes, PAGE, (off_t)(ip / PAGE * PAGE)) != PAGE)
			return false;
		page->start = ip / PAGE * PAGE;
	}
	return ip % PAGE < PAGE - 1 && page->bytes[ip % PAGE] == 0x0f &&
	       page->bytes[ip % PAGE + 1] == 0x05;
}

static bool in_vdso(uint64_t ip)
{
	return ip >= vdso_start && ip < vdso_end;
}

/* Step through a function of the vDSO to its return, and record its answer. */
static void answer(FILE *calls)
{
	uint64_t entry = regs.rip, words[4] = { 0 };
	uint64_t pointers[2] = { regs.rdi, regs.rsi };

	while (in_vdso(regs.rip)) {
		if (at_syscall(regs.rip))
			leave(1, "this machine's clock is read by system calls");
		resume(PTRACE_SINGLESTEP);
		get_registers();
	}
	for (int i = 0; i < 2; i++)
		if (pread(memory, &words[2 * i], 16, (off_t)pointers[i]) != 16)
			words[2 * i] = words[2 * i + 1] = 0;
	fprintf(calls, "time %" PRIx64 " %llx %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64
		" %" PRIx64 " %" PRIx64 "\n", entry, regs.rax, pointers[0], words[0],
		words[1], pointers[1], words[2], words[3]);
}

static void keep_memory(bool after)
{
	for (int i = 0; i < nr_areas; i++) {
		struct area *area = &areas[i];
		uint64_t size = area->end - area->start;

		if (!area->writable)
			continue;
		if (!area->before) {
			area->before = malloc(size);
			area->after = malloc(size);
			if (!area->before || !area->after)
				leave(LARGE, "too much memory");
		}
		read_memory(after ? area->after : area->before, area->start, size);
	}
}

static void write_changes(FILE *calls)
{
	for (int i = 0; i < nr_areas; i++) {
		const uint64_t *a = (void *)areas[i].before, *b = (void *)areas[i].after;
		uint64_t size = areas[i].end - areas[i].start;

		if (!areas[i].writable || !memcmp(a, b, size))
			continue;
		for (uint64_t k = 0; k < size / 8; k++)
			if (a[k] != b[k])
				fprintf(calls, "w %" PRIx64 " %" PRIx64 "\n",
					areas[i].start + 8 * k, b[k]);
	}
}

/* The type of a socket, from a duplicate of its descriptor. */
static char socket_kind(int fd)
{
	int process = (int)syscall(SYS_pidfd_open, thread, 0), type = SOCK_STREAM;
	int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	socklen_t length = sizeof(type);

	if (copy >= 0) {
		getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &length);
		close(copy);
	}
	if (process >= 0)
		close(process);
	return type == SOCK_STREAM ? 's' : 'd';
}

/* The kind of a descriptor: s(tream) and d(atagram) sockets, f(ile), o(ther), - none. */
static char kind_of(uint64_t fd)
{
	char path[64], text[256];
	struct stat about;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%" PRIu64, thread, fd);
	length = readlink(path, text, sizeof(text) - 1);
	if (length < 0)
		return '-';
	text[length] = 0;
	if (!strncmp(text, "socket:", 7))
		return socket_kind((int)fd);
	return !stat(path, &about) && S_ISREG(about.st_mode) ? 'f' : 'o';
}

static void write_way(FILE *ways, uint64_t from, uint64_t nr, uint64_t gap)
{
	fprintf(ways, "%" PRIx64 " %" PRIu64 " %" PRIu64 " %llu", from, nr, gap, regs.rax);
	for (uint64_t i = 0; i <= gap; i++)
		fprintf(ways, " %" PRIx64, way[i]);
	fputc('\n', ways);
}

/*
 * At least CALLS gaps; if the chain began behind a call LAST, up to such a call where one
 * comes soon. As many requests are answered then as are read.
 */
static void record(uint64_t calls, uint64_t nr, long last)
{
	FILE *ways = file("ways"), *list = file("calls");
	uint64_t from = regs.rip, gap = 0, seen = 0;

	while (seen < calls || (last >= 0 && nr != (uint64_t)last && seen < ROUND * calls)) {
		uint64_t site = regs.rip, made;
		char kind;

		in_time();
		if (gap == WAY)
			leave(LATE, "too many instructions between two calls");
		way[gap] = site;
		if (in_vdso(site)) {
			answer(list);
			gap++;
			continue;
		}
		if (!at_syscall(site)) {
			gap++;
			resume(PTRACE_SINGLESTEP);
			get_registers();
			continue;
		}
		write_way(ways, from, nr, gap);
		made = regs.rax;
		kind = kind_of(regs.rdi);
		keep_memory(false);
		resume(PTRACE_SINGLESTEP);
		get_registers();
		keep_memory(true);
		fprintf(list, "call %" PRIx64 " %" PRIu64 " %llx %c\n", site, made,
			regs.rax, kind);
		write_changes(list);
		seen++;
		from = site + 2;
		nr = made;
		gap = 0;
		if (regs.rip != from)
			leave(1, "a call did not return where it was made");
	}
	fclose(ways);
	fclose(list);
}

/* Run to the return of the call after which the chain begins. */
static void find_start(uint64_t skip, long wanted, long least)
{
	bool inside = false;

	for (uint64_t seen = 0;;) {
		resume(PTRACE_SYSCALL);
		in_time();
		inside = !inside;
		if (inside)
			continue;
		get_registers();
		seen++;
		if (seen > skip && (wanted < 0 || (long)regs.orig_rax == wanted) &&
		    (long)regs.rax >= least)
			return;
	}
}

int main(int count, char **words)
{
	struct sigaction alarmed = { .sa_handler = on_alarm };
	uint64_t calls, skip, room;
	struct stat about;
	char path[64];

	if (count != 9) {
		fputs("usage: capture PID DIRECTORY CALLS SKIP NR LEAST SECONDS MIB\n",
		      stderr);
		return 2;
	}
	thread = atoi(words[1]);
	directory = words[2];
	calls = strtoul(words[3], NULL, 10);
	skip = strtoul(words[4], NULL, 10);
	room = strtoul(words[8], NULL, 10) << 20;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += atol(words[7]);
	sigaction(SIGALRM, &alarmed, NULL);
	alarm((unsigned int)atol(words[7]) + 1);
	snprintf(path, sizeof(path), "/proc/%d", thread);
	if (stat(path, &about))
		leave(ENDED, "it ended");
	if (ptrace(PTRACE_SEIZE, thread, 0, (void *)PTRACE_O_TRACESYSGOOD) < 0)
		die("PTRACE_SEIZE");
	traced = true;
	if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0)
		die("PTRACE_INTERRUPT");
	wait_stop();
	snprintf(path, sizeof(path), "/proc/%d/mem", thread);
	memory = open(path, O_RDONLY);
	if (memory < 0)
		die(path);
	find_start(skip, atol(words[5]), atol(words[6]));
	read_areas(room);
	write_areas();
	write_state();
	record(calls, regs.orig_rax, atol(words[5]));
	if (ptrace(PTRACE_DETACH, thread, 0, 0) < 0)
		die("PTRACE_DETACH");
	return 0;
}
