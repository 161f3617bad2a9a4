// SPDX-License-Identifier: GPL-2.0-only
/*
 * ringudp: UDP packets through a mapped ring, without a system call for each.
 *
 *   ringudp COUNTERS PORT DEVICE [--sum]
 *
 * Same task and same sender as "rawudp receive".  The kernel copies each frame of
 * DEVICE into a ring (PACKET_RX_RING, see packet(7)); there is a system call only
 * when the ring is empty.
 */
#define _GNU_SOURCE
#include "udp.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>

/* The ring holds more frames than a sender has in flight. */
#define FRAME_SIZE	2048u
#define FRAMES		1024u
#define BLOCK_SIZE	(1u << 16)

static int open_ring(const char *device, unsigned char **ring)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), version = TPACKET_V2;
	struct tpacket_req size = {
		.tp_block_size = BLOCK_SIZE,
		.tp_block_nr = FRAMES * FRAME_SIZE / BLOCK_SIZE,
		.tp_frame_size = FRAME_SIZE,
		.tp_frame_nr = FRAMES,
	};
	struct sockaddr_ll here = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(device),
	};

	if (!here.sll_ifindex)
		die(device);
	if (fd < 0)
		die("packet socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		die("PACKET_VERSION");
	if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &size, sizeof(size)) < 0)
		die("PACKET_RX_RING");
	*ring = mmap(NULL, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	if (*ring == MAP_FAILED)
		die("mmap");
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		die("bind");
	return fd;
}

/* "sum" is a constant at each place of use. */
static inline __attribute__((always_inline)) void
loop(int fd, unsigned char *ring, uint16_t port, struct counters *counters, bool sum)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	unsigned int at = 0;

	for (;;) {
		struct tpacket2_hdr *frame = (void *)(ring + at * FRAME_SIZE);

		while (!(__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) &
			 TP_STATUS_USER))
			if (poll(&wait, 1, -1) < 0 && errno != EINTR)
				die("poll");
		count_frame(counters, (unsigned char *)frame + frame->tp_mac,
			    frame->tp_snaplen, port, sum);
		__atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		at = (at + 1) % FRAMES;
	}
}

int main(int argc, char **argv)
{
	bool sum = argc == 5 && !strcmp(argv[4], "--sum");
	struct counters *counters;
	unsigned char *ring;
	uint16_t port;
	int fd;

	if (argc != 4 && !sum) {
		fputs("usage: ringudp COUNTERS PORT DEVICE [--sum]\n", stderr);
		return 2;
	}
	counters = map_counters(argv[1]);
	port = (uint16_t)number(argv[2], 65535);
	fd = open_ring(argv[3], &ring);
	open_sink((struct in_addr){ htonl(INADDR_ANY) }, port);
	puts("ready");
	fflush(stdout);
	if (sum)
		loop(fd, ring, htons(port), counters, true);
	else
		loop(fd, ring, htons(port), counters, false);
}
