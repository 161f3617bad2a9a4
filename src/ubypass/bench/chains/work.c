// SPDX-License-Identifier: GPL-2.0-only
/*
 * The work between two gaps: a real system call of the same kind as that of the chain, on
 * sockets and files of this program; or the eviction of caches, as by other programs.
 */
#include "replay.h"

enum {
	SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_pread = 17,
	SYS_pwrite = 18, SYS_writev = 20, SYS_sendfile = 40, SYS_socket = 41,
	SYS_connect = 42, SYS_accept = 43, SYS_sendto = 44, SYS_recvfrom = 45,
	SYS_bind = 49, SYS_listen = 50, SYS_getsockname = 51, SYS_setsockopt = 54,
	SYS_getppid = 110, SYS_epoll_wait = 232, SYS_epoll_ctl = 233,
	SYS_getpid = 39, SYS_newfstatat = 262, SYS_epoll_create1 = 291, SYS_eventfd2 = 290,
};

#define ROOM (64UL << 10) /* most bytes of one call */
#define THRASH_AT 0x100100000000UL
#define THRASH_DATA (40UL << 10)
#define THRASH_CODE (128UL << 10)
#define JUMP_EVERY 32
#define MSG_DONTWAIT 0x40

static u8 buffer[ROOM];
static int near_end, far_end, near_packet, far_packet, empty_end, file, opened = -1;
static int waiting;
static char path[] = "/dev/shm/ub-chains-00000000"; /* replay.py removes it */
static u8 *data, *code;

struct address {
	u16 family, port;
	u32 host;
	u64 zero;
};

static int must(long result, const char *what)
{
	if (result < 0)
		fail(what, (u64)-result);
	return (int)result;
}

static void pair_up(int *one, int *other)
{
	struct address a = { .family = 2, .host = 0x0100007f };
	int length = sizeof(a), on = 1, listening;

	listening = must(sys3(SYS_socket, 2, 1, 0), "no socket:");
	must(sys3(SYS_bind, listening, &a, sizeof(a)), "no address:");
	must(sys2(SYS_listen, listening, 1), "no listening:");
	sys3(SYS_getsockname, listening, &a, &length);
	*other = must(sys3(SYS_socket, 2, 1, 0), "no socket:");
	must(sys3(SYS_connect, *other, &a, sizeof(a)), "no connection:");
	*one = must(sys3(SYS_accept, listening, 0, 0), "no connection:");
	sys6(SYS_setsockopt, *one, 6, 1, (long)&on, 4, 0); /* TCP_NODELAY */
	sys6(SYS_setsockopt, *other, 6, 1, (long)&on, 4, 0);
	sys1(SYS_close, listening);
}

static void packets_up(void)
{
	struct address a = { .family = 2, .host = 0x0100007f };
	int length = sizeof(a);

	near_packet = must(sys3(SYS_socket, 2, 2, 0), "no socket:");
	must(sys3(SYS_bind, near_packet, &a, sizeof(a)), "no address:");
	sys3(SYS_getsockname, near_packet, &a, &length);
	far_packet = must(sys3(SYS_socket, 2, 2, 0), "no socket:");
	must(sys3(SYS_connect, far_packet, &a, sizeof(a)), "no address:");
}

void work_setup(void)
{
	struct __attribute__((packed)) {
		u32 events;
		u64 data;
	} wanted = { 1, 0 };
	u64 pid = (u64)sys0(SYS_getpid);
	int event;

	for (int i = 26; i > 18; i--, pid >>= 4)
		path[i] = "0123456789abcdef"[pid & 15];
	pair_up(&near_end, &far_end);
	packets_up();
	empty_end = must(sys3(SYS_socket, 2, 2, 0), "no socket:");
	file = must(sys3(SYS_open, path, 0x42 | 0x80, 0600), "no file in /dev/shm:");
	sys4(SYS_pwrite, file, buffer, ROOM, 0);
	waiting = must(sys1(SYS_epoll_create1, 0), "no epoll:");
	event = must(sys2(SYS_eventfd2, 1, 0), "no eventfd:");
	must(sys4(SYS_epoll_ctl, waiting, 1, event, &wanted), "no epoll:");

	data = memory_at(THRASH_AT, THRASH_DATA + THRASH_CODE);
	code = data + THRASH_DATA;
	memset(data, 1, THRASH_DATA);
	memset(code, 0x90, THRASH_CODE);
	/* A jump in each 32 bytes fills the instruction cache and branch target buffer. */
	for (u64 i = 0; i < THRASH_CODE - JUMP_EVERY; i += JUMP_EVERY) {
		code[i] = 0xeb;
		code[i + 1] = JUMP_EVERY - 2;
	}
	code[THRASH_CODE - JUMP_EVERY] = 0xc3;
}

static void drain(int from, u64 size)
{
	while (size) {
		long got = sys3(SYS_read, from, buffer, ROOM);

		if (got <= 0)
			fail("the other end of a socket fails:", (u64)-got);
		size -= (u64)got;
	}
}

void work_do(u64 kind, u64 nr, u64 size)
{
	struct {
		void *base;
		u64 size;
	} piece = { buffer, size };
	struct {
		u64 word[2];
	} events[8];
	long offset = 0;

	switch (kind) {
	case WORK_RECEIVE:
		sys3(SYS_write, far_end, buffer, size);
		if (nr == SYS_read)
			sys3(SYS_read, near_end, buffer, size);
		else
			sys6(SYS_recvfrom, near_end, (long)buffer, (long)size, 0, 0, 0);
		break;
	case WORK_NOTHING_THERE:
		sys6(SYS_recvfrom, near_end, (long)buffer, 16, MSG_DONTWAIT, 0, 0);
		break;
	case WORK_SEND:
		if (nr == SYS_writev)
			sys3(SYS_writev, near_end, &piece, 1);
		else if (nr == SYS_sendto)
			sys6(SYS_sendto, near_end, (long)buffer, (long)size, 0, 0, 0);
		else
			sys3(SYS_write, near_end, buffer, size);
		drain(far_end, size);
		break;
	case WORK_DATAGRAM:
		sys3(SYS_write, far_packet, buffer, size);
		sys6(SYS_recvfrom, near_packet, (long)buffer, ROOM, 0, 0, 0);
		break;
	case WORK_READ:
		sys4(SYS_pread, file, buffer, size, 0);
		break;
	case WORK_WRITE:
		sys4(SYS_pwrite, file, buffer, size, 0);
		break;
	case WORK_SENDFILE:
		sys4(SYS_sendfile, near_end, file, &offset, size);
		drain(far_end, size);
		break;
	case WORK_OPEN:
		if (opened >= 0)
			sys1(SYS_close, opened);
		opened = (int)sys3(SYS_open, path, 0, 0);
		break;
	case WORK_STAT:
		sys4(SYS_newfstatat, file, "", buffer, 0x1000);
		break;
	case WORK_CLOSE:
		if (opened >= 0)
			sys1(SYS_close, opened);
		opened = -1;
		break;
	case WORK_WAIT:
		sys4(SYS_epoll_wait, waiting, events, 8, 0);
		break;
	default:
		sys0(SYS_getppid);
	}
}

void work_thrash(void)
{
	u64 sum = 0;

	for (u64 i = 0; i < THRASH_DATA; i += 64)
		sum += *(volatile u64 *)(data + i);
	(void)sum;
	((void (*)(void))code)();
}
