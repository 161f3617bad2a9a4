// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records the paths of a program and its descendants between two system calls, by single
 * steps: steps FILE STEPS SECONDS PROGRAM [ARGUMENT]...
 *
 * A program is stepped from the breakpoint of gate.c on.  It is ended after so many steps
 * or seconds, or if it goes on for long on paths that are known: what was recorded until
 * then is of use.  A program that is itself about ptrace or single steps behaves
 * differently meanwhile.
 *
 * FILE consists of records, in the byte order of the machine:
 *	u32 kind, u32 nr, u32 program, u32 count; then
 *	kind 0: .count bytes, the path of a program, whose number is that of such records
 *	        before it;
 *	kind 1: .count u64, the addresses of the instructions of a path in order.  It begins
 *	        behind system call .nr and ends with the next "syscall" instruction.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS		512
#define PATH		2048	/* instructions */
#define VARIANTS	128	/* paths that begin at the same address */
#define CODES		(1 << 18)
#define SEEN		(1 << 16)
#define PROGRAMS	64
#define KNOWN		6	/* skips are at most 2^this */
#define IDLE		6	/* seconds with known paths and no new one */

enum kind { UNKNOWN, OTHER, SYSCALL, BREAKPOINT };

struct thread {
	pid_t tid;
	int program;		/* -1: not known */
	int stepping, recording, fresh, skipping;
	uint64_t after;		/* address behind the system call just made, or 0 */
	uint64_t last;
	uint32_t nr, count;
	uint64_t ips[PATH];
};

static struct thread threads[THREADS];
static struct { uint64_t ip; enum kind kind; } codes[CODES];
static struct { uint64_t hash; } seen[SEEN];
/* Paths by their first address.  What begins there leads along known paths again and again:
 * .skip times from now on it is not stepped, but runs to its next system call. */
static struct start {
	uint64_t start;
	int paths, known, skip;
} starts[SEEN];
static char programs[PROGRAMS][4096];
static int nr_programs;
static int any_stepping;
static FILE *file;
/* All that is written, until the end: a write may be cut short by the alarm. */
static char buffer[1 << 25];
static volatile sig_atomic_t seconds_left, seconds_idle, knew_path;

static void on_alarm(int signal)
{
	seconds_left--;
	seconds_idle += knew_path;
	knew_path = 0;
}

static struct thread *thread_of(pid_t tid)
{
	struct thread *free = NULL;

	for (struct thread *t = threads; t < threads + THREADS; t++) {
		if (t->tid == tid)
			return t;
		if (!t->tid && !free)
			free = t;
	}
	if (!free) {
		fprintf(stderr, "steps: too many threads\n");
		exit(125);
	}
	memset(free, 0, offsetof(struct thread, ips));
	free->tid = tid;
	free->program = -1;
	free->fresh = free->stepping = any_stepping;
	return free;
}

static void put(uint32_t kind, uint32_t nr, uint32_t program, uint32_t count,
		const void *data, size_t size)
{
	uint32_t head[4] = { kind, nr, program, count };

	fwrite(head, sizeof(head), 1, file);
	fwrite(data, size, 1, file);
}

static int program_of(pid_t tid)
{
	char link[64], path[4096];
	ssize_t length;
	int n;

	snprintf(link, sizeof(link), "/proc/%d/exe", tid);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -1;
	path[length] = 0;
	for (n = 0; n < nr_programs; n++)
		if (!strcmp(programs[n], path))
			return n;
	if (nr_programs == PROGRAMS)
		return -1;
	strcpy(programs[nr_programs], path);
	put(0, 0, 0, length, path, length);
	return nr_programs++;
}

static enum kind kind_at(pid_t tid, uint64_t ip)
{
	uint64_t slot = (ip * 0x9e3779b97f4a7c15u) >> 46;
	long word;

	while (codes[slot].ip && codes[slot].ip != ip)
		slot = (slot + 1) % CODES;
	if (codes[slot].ip == ip)
		return codes[slot].kind;
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, tid, ip, 0);
	if (errno)
		return UNKNOWN;
	codes[slot].ip = ip;
	codes[slot].kind = (word & 0xffff) == 0x050f ? SYSCALL :
			   (word & 0xff) == 0xcc || (word & 0xffff) == 0x03cd ?
			   BREAKPOINT : OTHER;
	return codes[slot].kind;
}

static struct start *start_of(uint64_t ip)
{
	uint64_t slot = (ip * 0x9e3779b97f4a7c15u) >> 48;

	while (starts[slot].start && starts[slot].start != ip)
		slot = (slot + 1) % SEEN;
	starts[slot].start = ip;
	return &starts[slot];
}

static void flush(struct thread *t)
{
	struct start *start = start_of(t->ips[0]);
	uint64_t hash = t->program + 1, slot;

	for (uint32_t n = 0; n < t->count; n++)
		hash = (hash ^ t->ips[n]) * 0x100000001b3u + n;
	for (slot = hash % SEEN; seen[slot].hash; slot = (slot + 1) % SEEN)
		if (seen[slot].hash == hash) {
			if (start->known < KNOWN)
				start->known++;
			start->skip = (1 << start->known) - 1;
			knew_path = 1;
			return;
		}
	seen[slot].hash = hash;
	start->known = start->skip = 0;
	if (start->paths++ >= VARIANTS)
		return;
	seconds_idle = 0;
	put(1, t->nr, t->program, t->count, t->ips, t->count * 8);
}

/* One instruction was executed, or a signal handler is about to begin. */
static void step(struct thread *t)
{
	uint64_t ip = ptrace(PTRACE_PEEKUSER, t->tid,
			     offsetof(struct user_regs_struct, rip), 0);
	enum kind kind = kind_at(t->tid, ip);

	if (t->after) {
		struct start *start = start_of(ip);

		t->recording = ip == t->after && t->program >= 0;
		t->count = 0;
		t->after = 0;
		if (t->recording && start->skip) {
			start->skip--;
			t->recording = 0;
			t->skipping = 1;
			return;
		}
	}
	if (t->recording && t->count == PATH)
		t->recording = 0;
	if (t->recording)
		t->ips[t->count++] = ip;
	t->last = ip;
	if (kind == SYSCALL) {
		if (t->recording)
			flush(t);
		t->recording = 0;
		t->nr = ptrace(PTRACE_PEEKUSER, t->tid,
			       offsetof(struct user_regs_struct, rax), 0);
		t->after = ip + 2;
	}
}

/* Let go on with .signal, or none. */
static void go(struct thread *t, int signal)
{
	ptrace(!t->stepping ? PTRACE_CONT : t->skipping ? PTRACE_SYSCALL :
	       PTRACE_SINGLESTEP, t->tid, 0, signal);
}

static void on_event(struct thread *t, int event)
{
	unsigned long child = 0;

	if (event == PTRACE_EVENT_EXEC) {
		memset(codes, 0, sizeof(codes));
		t->stepping = t->recording = t->fresh = t->skipping = 0;
		t->after = 0;
	} else if (event != PTRACE_EVENT_STOP &&
		   !ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &child) && child) {
		struct thread *new = thread_of(child);

		new->program = t->program;
		new->stepping = t->stepping;
	}
	go(t, 0);
}

/* What was skipped ends at the entry of a system call. */
static void on_call(struct thread *t)
{
	if (t->skipping) {
		t->nr = ptrace(PTRACE_PEEKUSER, t->tid,
			       offsetof(struct user_regs_struct, orig_rax), 0);
		t->after = ptrace(PTRACE_PEEKUSER, t->tid,
				  offsetof(struct user_regs_struct, rip), 0);
		t->last = t->after - 2;
	}
	t->skipping = 0;
	go(t, 0);
}

static void on_stop(struct thread *t, int status)
{
	int signal = WSTOPSIG(status);

	if (status >> 16) {
		on_event(t, status >> 16);
		return;
	}
	if (signal == (SIGTRAP | 0x80)) {
		on_call(t);
		return;
	}
	if (t->fresh && signal == SIGSTOP) {
		t->fresh = 0;
		if (t->program < 0)
			t->program = program_of(t->tid);
		go(t, 0);
		return;
	}
	if (signal != SIGTRAP) {
		t->recording = t->skipping = 0;
		go(t, signal);
		return;
	}
	if (!t->stepping) {
		t->stepping = any_stepping = 1;
		t->program = program_of(t->tid);
		go(t, 0);
		return;
	}
	if (kind_at(t->tid, t->last) == BREAKPOINT) {
		t->recording = 0;
		t->last = 0;
		go(t, SIGTRAP);
		return;
	}
	step(t);
	go(t, 0);
}

int main(int argc, char **argv)
{
	struct sigaction on = { .sa_handler = on_alarm };
	struct itimerval limit = { 0 };
	long left;
	pid_t child, tid;
	int status;

	if (argc < 5) {
		fprintf(stderr, "steps FILE STEPS SECONDS PROGRAM [ARGUMENT]...\n");
		return 125;
	}
	file = fopen(argv[1], "w");
	if (file)
		setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	left = atol(argv[2]);
	seconds_left = atol(argv[3]);
	limit.it_value.tv_sec = limit.it_interval.tv_sec = 1;
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[4], argv + 4);
		_exit(126);
	}
	if (!file || child < 0 || waitpid(child, &status, 0) != child)
		return 125;
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
	       PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD |
	       PTRACE_O_EXITKILL);
	thread_of(child);
	ptrace(PTRACE_CONT, child, 0, 0);
	sigaction(SIGALRM, &on, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	while (seconds_left > 0 && seconds_idle < IDLE && left-- > 0) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == ECHILD)
			break;
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status))
			on_stop(thread_of(tid), status);
		else
			thread_of(tid)->tid = 0;
	}
	limit.it_value.tv_sec = 0;
	setitimer(ITIMER_REAL, &limit, NULL);
	fclose(file);
	/* PTRACE_O_EXITKILL ends those that are left. */
	return 0;
}
