/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What receivers of UDP packets and their sender have in common: counters in a
 * file that both map, the sum over a payload, the port that swallows packets.
 */
#ifndef UDP_H
#define UDP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct counters {
	volatile uint64_t packets;	/* received */
	volatile uint64_t bytes;	/* of payload */
	volatile uint64_t sum;		/* of payload, as words; 0 without --sum */
};

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		strerror(errno));
	exit(1);
}

static inline unsigned long number(const char *text, unsigned long high)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > high) {
		fprintf(stderr, "%s: %s: want a number up to %lu\n",
			program_invocation_short_name, text, high);
		exit(2);
	}
	return value;
}

static inline struct counters *map_counters(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at;

	if (fd < 0 || ftruncate(fd, sizeof(struct counters)) < 0)
		die(path);
	at = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED,
		  fd, 0);
	if (at == MAP_FAILED)
		die(path);
	close(fd);
	return at;
}

/* UDP at large must know the port, or it answers each packet that it is not. */
static inline void open_sink(struct in_addr address, uint16_t port)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &drop };
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = address,
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				 sizeof(program)) < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		die("bind");
}

static inline uint64_t sum_words(const unsigned char *data, size_t size)
{
	uint64_t sum = 0, word;
	size_t i;

	for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		sum += word;
	}
	for (; i < size; i++)
		sum += data[i];
	return sum;
}

/* A whole Ethernet frame, as rings hold it; PORT is in network order. */
static inline void count_frame(struct counters *counters, const unsigned char *frame,
			       size_t size, uint16_t port, bool sum)
{
	const size_t headers = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr);
	const struct ethhdr *ether = (const void *)frame;
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	const struct udphdr *udp = (const void *)(ip + 1);

	if (size < headers || ether->h_proto != htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_UDP || udp->dest != port)
		return;
	if (sum)
		counters->sum += sum_words(frame + headers, size - headers);
	counters->bytes += size - headers;
	counters->packets++;
}

#endif
