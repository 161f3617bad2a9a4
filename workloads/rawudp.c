// SPDX-License-Identifier: GPL-2.0-only
/*
 * rawudp: UDP packets through a raw socket, the receiver of the UB paper.
 *
 *   rawudp receive COUNTERS PORT [--sum]
 *   rawudp send COUNTERS PORT SIZE COUNT
 *
 * Both on the loopback interface.  The receiver is a loop of recvfrom: a libc
 * call, a look at the port, an optional sum over the payload.  It counts in
 * the file COUNTERS, which both map, and runs until it is killed.  The sender
 * never is more than WINDOW packets ahead, so that none is lost; it prints the
 * time from its first packet until the last was received, and whether all was
 * received as it was sent.  COUNT 0: without end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIZE	60000UL
#define WINDOW		512
#define RECEIVE_BUFFER	(WINDOW * 2 * (int)MAX_SIZE)
#define QUIET		5	/* ms without a packet */

struct counters {
	volatile uint64_t packets;	/* received */
	volatile uint64_t bytes;	/* of payload */
	volatile uint64_t sum;		/* of payload, as words; 0 without --sum */
};

static void die(const char *what)
{
	fprintf(stderr, "rawudp: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *text, unsigned long high)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > high) {
		fprintf(stderr, "rawudp: %s: want a number up to %lu\n", text, high);
		exit(2);
	}
	return value;
}

static struct counters *map_counters(const char *path)
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

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* UDP at large must know the port, or it answers each packet that it is not. */
static void open_sink(uint16_t port)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &drop };
	struct sockaddr_in here = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				 sizeof(program)) < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		die("bind");
}

static uint64_t sum_words(const unsigned char *data, size_t size)
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

/* "sum" is a constant at each place of use. */
static inline __attribute__((always_inline)) void
loop(int fd, uint16_t port, struct counters *counters, bool sum)
{
	static unsigned char buffer[65536];
	const size_t headers = sizeof(struct iphdr) + sizeof(struct udphdr);
	struct sockaddr_in from;

	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(fd, buffer, sizeof(buffer), 0,
				       (struct sockaddr *)&from, &length);
		const struct udphdr *udp = (void *)(buffer + sizeof(struct iphdr));

		if (got < 0) {
			if (errno == EINTR)
				continue;
			die("recvfrom");
		}
		if ((size_t)got < headers || udp->dest != port)
			continue;
		if (sum)
			counters->sum += sum_words(buffer + headers,
						   (size_t)got - headers);
		counters->bytes += (size_t)got - headers;
		counters->packets++;
	}
}

__attribute__((noinline)) static void
loop_plain(int fd, uint16_t port, struct counters *counters)
{
	loop(fd, port, counters, false);
}

__attribute__((noinline)) static void
loop_sum(int fd, uint16_t port, struct counters *counters)
{
	loop(fd, port, counters, true);
}

static void receive(struct counters *counters, uint16_t port, bool sum)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		die("raw socket");
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) < 0)
		die("SO_BINDTODEVICE");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ RECEIVE_BUFFER },
		       sizeof(int)) < 0)
		die("SO_RCVBUFFORCE");
	open_sink(port);
	puts("ready");
	fflush(stdout);
	(sum ? loop_sum : loop_plain)(fd, htons(port), counters);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What an earlier sender left behind is not ours to count. */
static void wait_quiet(const struct counters *counters)
{
	uint64_t before;

	do {
		before = counters->packets;
		for (int i = 0; i < QUIET; i++) {
			usleep(1000);
			if (counters->packets != before)
				break;
		}
	} while (counters->packets != before);
}

static void send_all(struct counters *counters, uint16_t port, size_t size,
		     uint64_t count)
{
	static unsigned char payload[MAX_SIZE];
	struct sockaddr_in there = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t packets, bytes, sum, begin, elapsed, each;

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
		die("connect");
	for (size_t i = 0; i < size; i++)
		payload[i] = (unsigned char)(i * 31 + 7);
	each = sum_words(payload, size);
	wait_quiet(counters);
	packets = counters->packets;
	bytes = counters->bytes;
	sum = counters->sum;

	begin = now_ns();
	for (uint64_t sent = 0; !count || sent < count; sent++) {
		while (sent - (counters->packets - packets) >= WINDOW)
			sched_yield();
		if (send(fd, payload, size, 0) != (ssize_t)size)
			die("send");
	}
	while (counters->packets - packets < count)
		sched_yield();
	elapsed = now_ns() - begin;
	printf("{\"packets\": %" PRIu64 ", \"ns\": %" PRIu64
	       ", \"right\": %s}\n",
	       count, elapsed,
	       counters->bytes - bytes == count * size &&
			       (counters->sum == sum ||
				counters->sum - sum == count * each) ?
		       "true" :
		       "false");
}

int main(int argc, char **argv)
{
	bool receiver = argc > 1 && !strcmp(argv[1], "receive");
	bool sum = argc == 5 && !strcmp(argv[4], "--sum");

	if (receiver && (argc == 4 || sum)) {
		receive(map_counters(argv[2]), (uint16_t)number(argv[3], 65535), sum);
	} else if (argc == 6 && !strcmp(argv[1], "send")) {
		send_all(map_counters(argv[2]), (uint16_t)number(argv[3], 65535),
			 number(argv[4], MAX_SIZE), number(argv[5], 1000000000UL));
	} else {
		fputs("usage: rawudp receive COUNTERS PORT [--sum]\n"
		      "       rawudp send COUNTERS PORT SIZE COUNT\n",
		      stderr);
		return 2;
	}
	return 0;
}
