// SPDX-License-Identifier: GPL-2.0-only
/*
 * rawudp: UDP packets through a raw socket, the receiver of the UB paper.
 *
 *   rawudp receive COUNTERS PORT [--sum] [DEVICE]
 *   rawudp send COUNTERS PORT SIZE COUNT [ADDRESS WINDOW]
 *   rawudp flood PORT SIZE COUNT ADDRESS
 *   rawudp sink PORT
 *
 * All on the loopback interface, unless there is a DEVICE or ADDRESS.  The
 * receiver is a loop of recvfrom: a libc call, a check of the port, an optional
 * sum over the payload.  It counts in the file COUNTERS, which both map, and
 * runs until it is killed.  The sender is never more than WINDOW packets ahead,
 * so that none is lost; it prints the time from its first packet until the last
 * was received, the sum over all payloads, and whether all packets were received
 * unchanged.  COUNT 0: without end.  flood sends without a receiver that counts,
 * and prints how many packets the devices of its network namespace have dropped
 * meanwhile; sink has the port and drops its packets.
 */
#define _GNU_SOURCE
#include "udp.h"

#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <time.h>

#define MAX_SIZE	60000UL
#define WINDOW		512
#define RECEIVE_BUFFER	(WINDOW * 2 * (int)MAX_SIZE)
#define QUIET		5	/* ms without a packet */
#define GIVE_UP		30000000000u	/* ns without progress */

static const struct in_addr loopback = { .s_addr = 0x0100007f };	/* as on the wire */

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

static void receive(struct counters *counters, uint16_t port, bool sum,
		    const char *device)
{
	struct in_addr any = { .s_addr = htonl(INADDR_ANY) };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		die("raw socket");
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device ?: "lo",
		       device ? strlen(device) : sizeof("lo")) < 0)
		die("SO_BINDTODEVICE");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ RECEIVE_BUFFER },
		       sizeof(int)) < 0)
		die("SO_RCVBUFFORCE");
	open_sink(device ? any : loopback, port);
	puts("ready");
	fflush(stdout);
	(sum ? loop_sum : loop_plain)(fd, htons(port), counters);
}

/* Packets that devices of this network namespace did not transmit but drop. */
static uint64_t dropped_by_devices(void)
{
	FILE *file = fopen("/proc/self/net/dev", "re");
	uint64_t sum = 0, drops;
	char line[512], *colon;

	if (!file)
		die("/proc/self/net/dev");
	while (fgets(line, sizeof(line), file)) {
		colon = strchr(line, ':');
		/* Eight columns of received ones; then bytes, packets, errors, drops. */
		if (colon && sscanf(colon + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %"
				    SCNu64, &drops) == 1)
			sum += drops;
	}
	fclose(file);
	return sum;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Wait until packets of an earlier sender have been received. */
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

/* Wait until at most AHEAD of the SENT packets are in flight. */
static void wait_for(const struct counters *counters, uint64_t first, uint64_t sent,
		     uint64_t ahead)
{
	uint64_t before = counters->packets, since = 0;

	while (sent - (counters->packets - first) > ahead) {
		sched_yield();
		if (counters->packets != before) {
			before = counters->packets;
			since = 0;
		} else if (!since) {
			since = now_ns();
		} else if (now_ns() - since > GIVE_UP) {
			fprintf(stderr, "rawudp: %" PRIu64 " of %" PRIu64
				" packets were received, and no more come\n",
				counters->packets - first, sent);
			exit(1);
		}
	}
}

/* Without counters: a flood. */
static void send_all(struct counters *counters, uint16_t port, size_t size,
		     uint64_t count, struct in_addr address, uint64_t window)
{
	static unsigned char payload[MAX_SIZE];
	struct sockaddr_in there = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = address,
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t packets = 0, bytes = 0, sum = 0, dropped = 0, begin, elapsed, each;
	bool right = true;

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
		die("connect");
	for (size_t i = 0; i < size; i++)
		payload[i] = (unsigned char)(i * 31 + 7);
	each = sum_words(payload, size);
	if (counters) {
		wait_quiet(counters);
		packets = counters->packets;
		bytes = counters->bytes;
		sum = counters->sum;
	} else {
		dropped = dropped_by_devices();
	}

	begin = now_ns();
	for (uint64_t sent = 0; !count || sent < count; sent++) {
		if (counters && sent - (counters->packets - packets) >= window)
			wait_for(counters, packets, sent, window - 1);
		if (send(fd, payload, size, 0) != (ssize_t)size)
			die("send");
	}
	if (counters)
		wait_for(counters, packets, count, 0);
	elapsed = now_ns() - begin;
	if (counters)
		right = counters->bytes - bytes == count * size &&
			(counters->sum == sum || counters->sum - sum == count * each);
	else
		dropped = dropped_by_devices() - dropped;
	printf("{\"packets\": %" PRIu64 ", \"ns\": %" PRIu64 ", \"sum\": %" PRIu64
	       ", \"right\": %s, \"dropped\": %" PRIu64 "}\n",
	       count, elapsed, count * each, right ? "true" : "false", dropped);
}

static uint16_t port_of(const char *text)
{
	return (uint16_t)number(text, 65535);
}

static struct in_addr address_of(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1) {
		fprintf(stderr, "rawudp: %s: want an IPv4 address\n", text);
		exit(2);
	}
	return address;
}

static int usage(void)
{
	fputs("usage: rawudp receive COUNTERS PORT [--sum] [DEVICE]\n"
	      "       rawudp send COUNTERS PORT SIZE COUNT [ADDRESS WINDOW]\n"
	      "       rawudp flood PORT SIZE COUNT ADDRESS\n"
	      "       rawudp sink PORT\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool sum = argc > 4 && !strcmp(argv[4], "--sum");

	if (!strcmp(verb, "receive") && argc >= 4 && argc <= 5 + sum) {
		receive(map_counters(argv[2]), port_of(argv[3]), sum,
			argc > 4 + sum ? argv[4 + sum] : NULL);
	} else if (!strcmp(verb, "send") && (argc == 6 || argc == 8)) {
		send_all(map_counters(argv[2]), port_of(argv[3]),
			 number(argv[4], MAX_SIZE), number(argv[5], 1000000000UL),
			 argc == 8 ? address_of(argv[6]) : loopback,
			 argc == 8 ? number(argv[7], WINDOW) : WINDOW);
	} else if (!strcmp(verb, "flood") && argc == 6) {
		send_all(NULL, port_of(argv[2]), number(argv[3], MAX_SIZE),
			 number(argv[4], 1000000000UL), address_of(argv[5]), 0);
	} else if (!strcmp(verb, "sink") && argc == 3) {
		open_sink((struct in_addr){ htonl(INADDR_ANY) }, port_of(argv[2]));
		puts("ready");
		fflush(stdout);
		pause();
	} else {
		return usage();
	}
	return 0;
}
