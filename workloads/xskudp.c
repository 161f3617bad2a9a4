// SPDX-License-Identifier: GPL-2.0-only
/*
 * xskudp: UDP packets that bypass the kernel's network stack, by AF_XDP in copy mode.
 *
 *   xskudp COUNTERS PORT DEVICE MAP [--sum]
 *
 * Same task and same sender as "rawudp receive".  MAP is an open file descriptor: the
 * XSKMAP of an XDP program on DEVICE that redirects to it.  The socket gets index 0 in
 * the map.  No library is needed: see Documentation/networking/af_xdp.rst.
 */
#define _GNU_SOURCE
#include "udp.h"

#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/syscall.h>

/* More frames than a sender has in flight. */
#define FRAME_SIZE	2048u
#define FRAMES		1024u

struct ring {
	uint32_t *producer, *consumer;
	void *entries;
};

static void set(int fd, int what, const void *value, socklen_t size, const char *name)
{
	if (setsockopt(fd, SOL_XDP, what, value, size) < 0)
		die(name);
}

static struct ring map_ring(int fd, const struct xdp_ring_offset *offsets,
			    size_t entry, off_t which)
{
	unsigned char *at = mmap(NULL, offsets->desc + FRAMES * entry,
				 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
				 which);

	if (at == MAP_FAILED)
		die("mmap");
	return (struct ring){ (void *)(at + offsets->producer),
			      (void *)(at + offsets->consumer), at + offsets->desc };
}

static int open_socket(unsigned char *memory, struct ring *fill, struct ring *received)
{
	struct xdp_umem_reg region = {
		.addr = (uintptr_t)memory,
		.len = FRAMES * FRAME_SIZE,
		.chunk_size = FRAME_SIZE,
	};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), frames = FRAMES;
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);

	if (fd < 0)
		die("AF_XDP socket");
	set(fd, XDP_UMEM_REG, &region, sizeof(region), "XDP_UMEM_REG");
	set(fd, XDP_UMEM_FILL_RING, &frames, sizeof(frames), "XDP_UMEM_FILL_RING");
	/* Nothing is sent, but bind() requires this ring. */
	set(fd, XDP_UMEM_COMPLETION_RING, &frames, sizeof(frames),
	    "XDP_UMEM_COMPLETION_RING");
	set(fd, XDP_RX_RING, &frames, sizeof(frames), "XDP_RX_RING");
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) < 0)
		die("XDP_MMAP_OFFSETS");
	*fill = map_ring(fd, &offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	*received = map_ring(fd, &offsets.rx, sizeof(struct xdp_desc),
			     XDP_PGOFF_RX_RING);
	return fd;
}

static void attach(int fd, const char *device, int map)
{
	struct sockaddr_xdp here = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY,
		.sxdp_ifindex = if_nametoindex(device),
	};
	uint32_t key = 0, value = (uint32_t)fd;
	union bpf_attr update = { 0 };

	if (!here.sxdp_ifindex)
		die(device);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		die("bind");
	update.map_fd = (uint32_t)map;
	update.key = (uintptr_t)&key;
	update.value = (uintptr_t)&value;
	if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &update, sizeof(update)) < 0)
		die("BPF_MAP_UPDATE_ELEM");
}

/* "sum" is a constant at each place of use. */
static inline __attribute__((always_inline)) void
loop(int fd, const unsigned char *memory, struct ring fill, struct ring received,
     uint16_t port, struct counters *counters, bool sum)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	const struct xdp_desc *frames = received.entries;
	uint64_t *free_frames = fill.entries;
	uint32_t at = 0, filled = FRAMES, end;

	for (uint32_t i = 0; i < FRAMES; i++)
		free_frames[i] = i * FRAME_SIZE;
	__atomic_store_n(fill.producer, filled, __ATOMIC_RELEASE);
	puts("ready");
	fflush(stdout);
	for (;;) {
		end = __atomic_load_n(received.producer, __ATOMIC_ACQUIRE);
		if (at == end && poll(&wait, 1, -1) < 0 && errno != EINTR)
			die("poll");
		for (; at != end; at++, filled++) {
			struct xdp_desc frame = frames[at % FRAMES];

			count_frame(counters, memory + frame.addr, frame.len, port, sum);
			free_frames[filled % FRAMES] = frame.addr & ~(FRAME_SIZE - 1ULL);
		}
		__atomic_store_n(received.consumer, at, __ATOMIC_RELEASE);
		__atomic_store_n(fill.producer, filled, __ATOMIC_RELEASE);
	}
}

int main(int argc, char **argv)
{
	bool sum = argc == 6 && !strcmp(argv[5], "--sum");
	struct ring fill, received;
	struct counters *counters;
	unsigned char *memory;
	uint16_t port;
	int fd;

	if (argc != 5 && !sum) {
		fputs("usage: xskudp COUNTERS PORT DEVICE MAP [--sum]\n", stderr);
		return 2;
	}
	counters = map_counters(argv[1]);
	port = (uint16_t)number(argv[2], 65535);
	memory = mmap(NULL, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	fd = open_socket(memory, &fill, &received);
	attach(fd, argv[3], (int)number(argv[4], 1UL << 20));
	if (sum)
		loop(fd, memory, fill, received, htons(port), counters, true);
	else
		loop(fd, memory, fill, received, htons(port), counters, false);
}
