/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every system call of the module's list with arguments of several kinds:
 *
 *   ROW(name, kind, how, first, arguments...)
 *
 * name: of the call in ub_syscalls.h.  kind: "good", or the name of the error in lower
 * case.  how: what is compared, and what is done around the call.  first: what out[0]
 * holds before the call; out[1] and those behind it hold a pattern.
 */
#ifndef UB_TEST_EVERYCALL_H
#define UB_TEST_EVERYCALL_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#define RESULT	0	/* the result is compared */
#define DATA	1	/* and the first words of out */
#define SIGN	2	/* of the result, the sign only */
#define CLOSES	4	/* the result, a descriptor, is closed */
#define OPENS	8	/* a duplicate is made, which is the first argument */

#define ROW(name, kind, how, first, ...) \
	add(NR_##name, #name, #kind, how, first, (long[6]){ __VA_ARGS__ })

#define BEYOND	40	/* no descriptor has this number */
#define LETTER	'x'

#define UB_SYSCALL(nr, name, args) NR_##name = nr,
enum {
#include "../../../kernel/include/uapi/ub_syscalls.h"
};
#undef UB_SYSCALL

static unsigned long out[32];

static void add(int nr, const char *name, const char *kind, int how, unsigned long first,
		const long arguments[6]);

/* What the calls are about. */
static int zero, null, mem, event, ready, epoll, sink, source, shut, listener, client;
static struct epoll_event interest = { .events = EPOLLIN, .data.u64 = 7 };
static struct sockaddr_un server;
static socklen_t server_length = sizeof(server);
static const struct timespec at_once, tiny = { 0, 1000 }, negative = { 0, -1 };
static struct timespec spec;
static struct timeval val;
static const unsigned long nothing, all_ones = -1UL;
static unsigned int word;
static const int one = 1;
static struct iovec in = { &out[1], 16 }, from = { (void *)&nothing, 8 };
/* As much as all others take from the source: more could come out short. */
static struct iovec few = { &out[1], 8 };
static struct msghdr take = { .msg_iov = &few, .msg_iovlen = 1 };
static struct msghdr give = { .msg_iov = &from, .msg_iovlen = 1 };
static struct mmsghdr takes = { .msg_hdr = { .msg_iov = &few, .msg_iovlen = 1 } };
static struct mmsghdr gives = { .msg_hdr = { .msg_iov = &from, .msg_iovlen = 1 } };
static char address[128];

/* A child that does one thing for ever. */
static void forever(void (*act)(int fd), int fd)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		act(fd);
}

static void drain(int fd)
{
	char data[4096];

	if (read(fd, data, sizeof(data)) <= 0)
		_exit(0);
}

static void pour(int fd)
{
	char data[4096];

	memset(data, LETTER, sizeof(data));
	if (write(fd, data, sizeof(data)) <= 0)
		_exit(0);
}

static void visit(int fd)
{
	struct sockaddr_un name;
	socklen_t length = sizeof(name);
	int visitor = socket(AF_UNIX, SOCK_STREAM, 0);

	if (getsockname(fd, (void *)&name, &length) ||
	    connect(visitor, (void *)&name, length))
		_exit(0);
	close(visitor);
}

static int pair(int type, void (*act)(int fd))
{
	int ends[2];

	if (socketpair(AF_UNIX, type, 0, ends))
		die("socketpair");
	if (act)
		forever(act, ends[1]);
	return ends[0];
}

static int bound(int type)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind(fd, (void *)&any, sizeof(any.sun_family)))
		die("bind");
	return fd;
}

static void prepare(void)
{
	char data[4096];
	int ends[2], other;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7);
	zero = open("/dev/zero", O_RDONLY);
	null = open("/dev/null", O_RDWR);
	mem = memfd_create("everycall", 0);
	event = eventfd(0, EFD_NONBLOCK);
	epoll = epoll_create1(0);
	if (zero < 0 || null < 0 || mem < 0 || event < 0 || epoll < 0 || pipe(ends) ||
	    write(mem, data, sizeof(data)) != sizeof(data) ||
	    write(ends[1], data, 16) != 16)
		die("files");
	ready = ends[0];
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &interest))
		die("epoll_ctl");
	shut = pair(SOCK_DGRAM, NULL);
	client = socket(AF_UNIX, SOCK_DGRAM, 0);
	other = bound(SOCK_DGRAM);
	if (client < 0 || getsockname(other, (void *)&server, &server_length))
		die("sockets");
	listener = bound(SOCK_STREAM);
	if (listen(listener, 8))
		die("listen");
	sink = pair(SOCK_STREAM, drain);
	source = pair(SOCK_STREAM, pour);
	forever(visit, listener);
}

#define P(what) ((long)(what))
#define CWD	P(AT_FDCWD)
#define NAME	P("/dev/null")
#define NONE	P("/dev/none")
#define MANY	0x7fffffffL
#define POLLED	((unsigned long)ready | (unsigned long)POLLIN << 32)
#define CLOSED	(1UL << BEYOND)

/* .bad: an address at which nothing is mapped. */
static void add_files(long bad)
{
	ROW(read, good, DATA, 0, zero, P(&out[1]), 16);
	ROW(read, ebadf, DATA, 0, -1, P(&out[1]), 16);
	ROW(read, einval, DATA, 0, event, P(&out[1]), 4);
	ROW(read, eagain, DATA, 0, event, P(&out[1]), 8);
	ROW(read, efault, RESULT, 0, zero, bad, 16);
	ROW(write, good, RESULT, 0, event, P(&nothing), 8);
	ROW(write, ebadf, RESULT, 0, -1, P(&nothing), 8);
	ROW(write, einval, RESULT, 0, event, P(&all_ones), 8);
	ROW(write, efault, RESULT, 0, event, bad, 8);
	ROW(close, good, OPENS, 0, -1);
	ROW(close, ebadf, RESULT, 0, -1);
	ROW(newstat, good, DATA, 0, NAME, P(out));
	ROW(newstat, enoent, DATA, 0, NONE, P(out));
	ROW(newstat, efault, DATA, 0, bad, P(out));
	ROW(newstat, efault, RESULT, 0, NAME, bad);
	ROW(newfstat, good, DATA, 0, null, P(out));
	ROW(newfstat, ebadf, DATA, 0, -1, P(out));
	ROW(newfstat, efault, RESULT, 0, null, bad);
	ROW(newlstat, good, DATA, 0, NAME, P(out));
	ROW(newlstat, enoent, DATA, 0, NONE, P(out));
	ROW(newlstat, efault, DATA, 0, bad, P(out));
	ROW(newlstat, efault, RESULT, 0, NAME, bad);
	ROW(lseek, good, RESULT, 0, mem, 5, SEEK_SET);
	ROW(lseek, ebadf, RESULT, 0, -1, 5, SEEK_SET);
	ROW(lseek, einval, RESULT, 0, mem, 5, 77);
	ROW(lseek, espipe, RESULT, 0, ready, 5, SEEK_SET);
	ROW(ioctl, good, DATA, 0, ready, FIONREAD, P(&out[1]));
	ROW(ioctl, ebadf, DATA, 0, -1, FIONREAD, P(&out[1]));
	ROW(ioctl, enotty, DATA, 0, zero, 0x1234, P(&out[1]));
	ROW(ioctl, efault, RESULT, 0, ready, FIONREAD, bad);
	ROW(pread64, good, DATA, 0, mem, P(&out[1]), 16, 11);
	ROW(pread64, ebadf, DATA, 0, -1, P(&out[1]), 16, 11);
	ROW(pread64, einval, DATA, 0, mem, P(&out[1]), 16, -1);
	ROW(pread64, efault, RESULT, 0, mem, bad, 16, 11);
	ROW(pwrite64, good, RESULT, 0, mem, P(&nothing), 8, 2048);
	ROW(pwrite64, ebadf, RESULT, 0, -1, P(&nothing), 8, 2048);
	ROW(pwrite64, einval, RESULT, 0, mem, P(&nothing), 8, -1);
	ROW(pwrite64, efault, RESULT, 0, mem, bad, 8, 2048);
	ROW(readv, good, DATA, 0, zero, P(&in), 1);
	ROW(readv, ebadf, DATA, 0, -1, P(&in), 1);
	ROW(readv, einval, DATA, 0, zero, P(&in), -1);
	ROW(readv, efault, RESULT, 0, zero, bad, 1);
	ROW(writev, good, RESULT, 0, event, P(&from), 1);
	ROW(writev, ebadf, RESULT, 0, -1, P(&from), 1);
	ROW(writev, einval, RESULT, 0, event, P(&from), -1);
	ROW(writev, efault, RESULT, 0, event, bad, 1);
	ROW(preadv, good, DATA, 0, mem, P(&in), 1, 13);
	ROW(preadv, ebadf, DATA, 0, -1, P(&in), 1, 13);
	ROW(preadv, einval, DATA, 0, mem, P(&in), 1, -1);
	ROW(preadv, efault, RESULT, 0, mem, bad, 1, 13);
	ROW(pwritev, good, RESULT, 0, mem, P(&from), 1, 2048);
	ROW(pwritev, ebadf, RESULT, 0, -1, P(&from), 1, 2048);
	ROW(pwritev, einval, RESULT, 0, mem, P(&from), 1, -1);
	ROW(pwritev, efault, RESULT, 0, mem, bad, 1, 2048);
	ROW(access, good, RESULT, 0, NAME, R_OK);
	ROW(access, enoent, RESULT, 0, NONE, R_OK);
	ROW(access, einval, RESULT, 0, NAME, 0xff);
	ROW(access, efault, RESULT, 0, bad, R_OK);
	ROW(dup, good, CLOSES, 0, mem);
	ROW(dup, ebadf, RESULT, 0, -1);
	ROW(sendfile64, good, DATA, 0, null, mem, P(&out[0]), 16);
	ROW(sendfile64, ebadf, DATA, 0, null, -1, P(&out[0]), 16);
	ROW(sendfile64, espipe, DATA, 0, null, ready, P(&out[0]), 16);
	ROW(sendfile64, efault, RESULT, 0, null, mem, bad, 16);
	ROW(fcntl, good, RESULT, 0, mem, F_GETFD);
	ROW(fcntl, ebadf, RESULT, 0, -1, F_GETFD);
	ROW(fcntl, einval, RESULT, 0, mem, 9999);
	ROW(fcntl, efault, RESULT, 0, mem, F_GETLK, bad);
	ROW(flock, good, RESULT, 0, mem, LOCK_SH);
	ROW(flock, ebadf, RESULT, 0, -1, LOCK_SH);
	ROW(flock, einval, RESULT, 0, mem, 0x10);
	ROW(fsync, good, RESULT, 0, mem);
	ROW(fsync, ebadf, RESULT, 0, -1);
	ROW(fsync, einval, RESULT, 0, ready);
	ROW(fdatasync, good, RESULT, 0, mem);
	ROW(fdatasync, ebadf, RESULT, 0, -1);
	ROW(fdatasync, einval, RESULT, 0, ready);
	ROW(openat, good, CLOSES, 0, CWD, NAME, O_RDONLY);
	ROW(openat, ebadf, RESULT, 0, -1, P("relative"), O_RDONLY);
	ROW(openat, enoent, RESULT, 0, CWD, NONE, O_RDONLY);
	ROW(openat, efault, RESULT, 0, CWD, bad, O_RDONLY);
	ROW(newfstatat, good, DATA, 0, CWD, NAME, P(out), 0);
	ROW(newfstatat, ebadf, DATA, 0, -1, P("relative"), P(out), 0);
	ROW(newfstatat, einval, DATA, 0, CWD, NAME, P(out), 0x40000000);
	ROW(newfstatat, efault, RESULT, 0, CWD, NAME, bad, 0);
}

static void add_waits(long bad)
{
	ROW(poll, good, DATA, POLLED, P(&out[0]), 1, 0);
	ROW(poll, einval, DATA, POLLED, P(&out[0]), MANY, 0);
	ROW(poll, efault, RESULT, 0, bad, 1, 0);
	ROW(ppoll, good, DATA, POLLED, P(&out[0]), 1, P(&spec), 0, 8);
	ROW(ppoll, einval, DATA, POLLED, P(&out[0]), 1, P(&negative), 0, 8);
	ROW(ppoll, efault, RESULT, 0, bad, 1, P(&spec), 0, 8);
	ROW(select, good, DATA, 1UL << ready, ready + 1, P(&out[0]), 0, 0, P(&val));
	ROW(select, ebadf, DATA, CLOSED, BEYOND + 1, P(&out[0]), 0, 0, P(&val));
	ROW(select, einval, DATA, 1UL << ready, -1, P(&out[0]), 0, 0, P(&val));
	ROW(select, efault, RESULT, 0, ready + 1, bad, 0, 0, P(&val));
	ROW(pselect6, good, DATA, 1UL << ready, ready + 1, P(&out[0]), 0, 0, P(&spec));
	ROW(pselect6, ebadf, DATA, CLOSED, BEYOND + 1, P(&out[0]), 0, 0, P(&spec));
	ROW(pselect6, einval, DATA, 1UL << ready, -1, P(&out[0]), 0, 0, P(&spec));
	ROW(pselect6, efault, RESULT, 0, ready + 1, P(&out[0]), 0, 0, bad);
	ROW(epoll_wait, good, DATA, 0, epoll, P(&out[1]), 1, 0);
	ROW(epoll_wait, ebadf, DATA, 0, -1, P(&out[1]), 1, 0);
	ROW(epoll_wait, einval, DATA, 0, epoll, P(&out[1]), 0, 0);
	ROW(epoll_wait, efault, RESULT, 0, epoll, bad, 1, 0);
	ROW(epoll_pwait, good, DATA, 0, epoll, P(&out[1]), 1, 0, 0, 8);
	ROW(epoll_pwait, ebadf, DATA, 0, -1, P(&out[1]), 1, 0, 0, 8);
	ROW(epoll_pwait, einval, DATA, 0, epoll, P(&out[1]), 1, 0, P(&nothing), 3);
	ROW(epoll_pwait, efault, RESULT, 0, epoll, P(&out[1]), 1, 0, bad, 8);
	ROW(epoll_ctl, good, RESULT, 0, epoll, EPOLL_CTL_MOD, ready, P(&interest));
	ROW(epoll_ctl, ebadf, RESULT, 0, epoll, EPOLL_CTL_MOD, -1, P(&interest));
	ROW(epoll_ctl, einval, RESULT, 0, epoll, EPOLL_CTL_ADD, epoll, P(&interest));
	ROW(epoll_ctl, enoent, RESULT, 0, epoll, EPOLL_CTL_MOD, event, P(&interest));
	ROW(epoll_ctl, efault, RESULT, 0, epoll, EPOLL_CTL_MOD, ready, bad);
	ROW(nanosleep, good, RESULT, 0, P(&tiny), 0);
	ROW(nanosleep, einval, RESULT, 0, P(&negative), 0);
	ROW(nanosleep, efault, RESULT, 0, bad, 0);
	ROW(clock_nanosleep, good, RESULT, 0, CLOCK_MONOTONIC, 0, P(&tiny), 0);
	ROW(clock_nanosleep, einval, RESULT, 0, 999, 0, P(&tiny), 0);
	ROW(clock_nanosleep, efault, RESULT, 0, CLOCK_MONOTONIC, 0, bad, 0);
	ROW(futex, good, RESULT, 0, P(&word), 1, 1);
	ROW(futex, eagain, RESULT, 0, P(&word), 0, 1);
	ROW(futex, etimedout, RESULT, 0, P(&word), 0, 0, P(&tiny));
	ROW(futex, enosys, RESULT, 0, P(&word), 99, 0);
	ROW(futex, einval, RESULT, 0, P(&word) + 1, 0, 0);
	ROW(futex, efault, RESULT, 0, bad, 0, 0);
	ROW(futex, efault, RESULT, 0, P(&word), 0, 0, bad);
	ROW(sched_yield, good, RESULT, 0, 0);
}

static void add_sockets(long bad)
{
	long name = P(address), length = P(&out[0]);

	ROW(connect, good, RESULT, 0, client, P(&server), server_length);
	ROW(connect, ebadf, RESULT, 0, -1, P(&server), server_length);
	ROW(connect, einval, RESULT, 0, client, P(&server), -1);
	ROW(connect, efault, RESULT, 0, client, bad, server_length);
	ROW(accept, good, CLOSES, 0, listener, 0, 0);
	ROW(accept, ebadf, RESULT, 0, -1, 0, 0);
	ROW(accept, einval, RESULT, 0, sink, 0, 0);
	ROW(accept, efault, RESULT, 0, listener, bad, bad);
	ROW(accept4, good, CLOSES | DATA, 64, listener, name, length, SOCK_CLOEXEC);
	ROW(accept4, ebadf, RESULT, 64, -1, name, length, 0);
	ROW(accept4, einval, RESULT, 64, listener, name, length, 0x10);
	ROW(accept4, efault, RESULT, 0, listener, bad, bad, 0);
	ROW(sendto, good, RESULT, 0, sink, P(&nothing), 8, 0, 0, 0);
	ROW(sendto, ebadf, RESULT, 0, -1, P(&nothing), 8, 0, 0, 0);
	ROW(sendto, einval, RESULT, 0, sink, P(&nothing), 8, 0, P(&server), -1);
	ROW(sendto, efault, RESULT, 0, sink, bad, 8, 0, 0, 0);
	ROW(recvfrom, good, DATA, 0, source, P(&out[1]), 8, 0, 0, 0);
	ROW(recvfrom, ebadf, DATA, 0, -1, P(&out[1]), 8, 0, 0, 0);
	ROW(recvfrom, einval, DATA, 0, listener, P(&out[1]), 8, 0, 0, 0);
	ROW(recvfrom, efault, RESULT, 0, source, bad, 8, 0, 0, 0);
	ROW(sendmsg, good, RESULT, 0, sink, P(&give), 0);
	ROW(sendmsg, ebadf, RESULT, 0, -1, P(&give), 0);
	ROW(sendmsg, efault, RESULT, 0, sink, bad, 0);
	ROW(recvmsg, good, DATA, 0, source, P(&take), 0);
	ROW(recvmsg, ebadf, DATA, 0, -1, P(&take), 0);
	ROW(recvmsg, efault, RESULT, 0, source, bad, 0);
	ROW(sendmmsg, good, RESULT, 0, sink, P(&gives), 1, 0);
	ROW(sendmmsg, ebadf, RESULT, 0, -1, P(&gives), 1, 0);
	ROW(sendmmsg, efault, RESULT, 0, sink, bad, 1, 0);
	ROW(recvmmsg, good, DATA, 0, source, P(&takes), 1, 0, 0);
	ROW(recvmmsg, ebadf, DATA, 0, -1, P(&takes), 1, 0, 0);
	ROW(recvmmsg, einval, DATA, 0, source, P(&takes), 1, 0, P(&negative));
	ROW(recvmmsg, efault, RESULT, 0, source, bad, 1, 0, 0);
	ROW(shutdown, good, RESULT, 0, shut, SHUT_WR);
	ROW(shutdown, ebadf, RESULT, 0, -1, SHUT_WR);
	ROW(shutdown, einval, RESULT, 0, shut, 7);
	ROW(getsockname, good, DATA, 64, listener, name, length);
	ROW(getsockname, ebadf, DATA, 64, -1, name, length);
	ROW(getsockname, enotsock, DATA, 64, mem, name, length);
	ROW(getsockname, efault, RESULT, 0, listener, name, bad);
	ROW(getpeername, good, DATA, 64, sink, name, length);
	ROW(getpeername, ebadf, DATA, 64, -1, name, length);
	ROW(getpeername, enotconn, DATA, 64, listener, name, length);
	ROW(getpeername, efault, RESULT, 0, sink, name, bad);
	ROW(setsockopt, good, RESULT, 0, sink, SOL_SOCKET, SO_BROADCAST, P(&one), 4);
	ROW(setsockopt, ebadf, RESULT, 0, -1, SOL_SOCKET, SO_BROADCAST, P(&one), 4);
	ROW(setsockopt, einval, RESULT, 0, sink, SOL_SOCKET, SO_BROADCAST, P(&one), 1);
	ROW(setsockopt, efault, RESULT, 0, sink, SOL_SOCKET, SO_BROADCAST, bad, 4);
	ROW(getsockopt, good, DATA, 4, sink, SOL_SOCKET, SO_TYPE, P(&out[1]), length);
	ROW(getsockopt, ebadf, DATA, 4, -1, SOL_SOCKET, SO_TYPE, P(&out[1]), length);
	ROW(getsockopt, enoprotoopt, DATA, 4, sink, SOL_SOCKET, 999, P(&out[1]), length);
	ROW(getsockopt, efault, RESULT, 4, sink, SOL_SOCKET, SO_TYPE, bad, length);
}

static void add_others(long bad)
{
	ROW(getpid, good, SIGN, 0, 0);
	ROW(getppid, good, SIGN, 0, 0);
	ROW(gettid, good, SIGN, 0, 0);
	ROW(getuid, good, RESULT, 0, 0);
	ROW(getgid, good, RESULT, 0, 0);
	ROW(geteuid, good, RESULT, 0, 0);
	ROW(getegid, good, RESULT, 0, 0);
	ROW(time, good, SIGN, 0, P(&out[1]));
	ROW(time, efault, RESULT, 0, bad);
	ROW(gettimeofday, good, RESULT, 0, P(&out[1]), 0);
	ROW(gettimeofday, efault, RESULT, 0, bad, 0);
	ROW(clock_gettime, good, RESULT, 0, CLOCK_MONOTONIC, P(&out[1]));
	ROW(clock_gettime, einval, RESULT, 0, 999, P(&out[1]));
	ROW(clock_gettime, efault, RESULT, 0, CLOCK_MONOTONIC, bad);
}

#endif
