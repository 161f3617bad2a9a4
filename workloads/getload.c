// SPDX-License-Identifier: GPL-2.0-only
/*
 * getload: a load for memcached on the loopback interface.
 *
 *   getload PORT KEY FILE CONNECTIONS COUNT
 *
 * Each connection has one get of KEY in flight: when its reply is here, it sends the
 * next one.  Each reply is compared with the contents of FILE, which somebody has
 * stored under KEY without flags; a wrong one ends the load.  After COUNT replies it
 * prints their number and the time.  COUNT 0: without end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_VALUE	(1UL << 20)
#define MAX_KEY		250
#define MAX_CONNECTIONS 200

static char reply[MAX_VALUE + 1024], expected[MAX_VALUE + 1024];
static size_t length;
static char request[MAX_KEY + 8];
static int sockets[MAX_CONNECTIONS];

static void die(const char *what)
{
	fprintf(stderr, "getload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *text, unsigned long low, unsigned long high)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < low || value > high) {
		fprintf(stderr, "getload: %s: want a number from %lu to %lu\n", text, low,
			high);
		exit(2);
	}
	return value;
}

static void expect(const char *key, const char *path)
{
	static char value[MAX_VALUE + 1];
	FILE *file = fopen(path, "re");
	size_t size, head;

	if (!file)
		die(path);
	size = fread(value, 1, sizeof(value), file);
	if (ferror(file))
		die(path);
	fclose(file);
	if (size > MAX_VALUE) {
		fprintf(stderr, "getload: %s: more than %lu bytes\n", path, MAX_VALUE);
		exit(2);
	}
	head = (size_t)sprintf(expected, "VALUE %s 0 %zu\r\n", key, size);
	memcpy(expected + head, value, size);
	memcpy(expected + head + size, "\r\nEND\r\n", 7);
	length = head + size + 7;
}

static int connected(uint16_t port)
{
	struct sockaddr_in there = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
		die("connect");
	return fd;
}

static void ask(int fd)
{
	/* Far less than the buffer of a socket, which is empty: never in part. */
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		die("send");
}

static void check_reply(int fd)
{
	for (size_t have = 0; have < length;) {
		ssize_t got = recv(fd, reply, length - have, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			die("recv");
		if (!got) {
			fputs("getload: the server has closed a connection\n", stderr);
			exit(1);
		}
		/* What is too long is seen as the beginning of the next one. */
		if (memcmp(reply, expected + have, (size_t)got)) {
			fprintf(stderr, "getload: a wrong reply: %.*s\n",
				(int)(got < 60 ? got : 60), reply);
			exit(1);
		}
		have += (size_t)got;
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	unsigned long connections, count, sent = 0;
	uint16_t port;
	uint64_t begin;

	if (argc != 6) {
		fputs("usage: getload PORT KEY FILE CONNECTIONS COUNT\n", stderr);
		return 2;
	}
	port = (uint16_t)number(argv[1], 1, 65535);
	if (strlen(argv[2]) > MAX_KEY) {
		fprintf(stderr, "getload: the key is longer than %d bytes\n", MAX_KEY);
		return 2;
	}
	sprintf(request, "get %s\r\n", argv[2]);
	expect(argv[2], argv[3]);
	connections = number(argv[4], 1, MAX_CONNECTIONS);
	count = number(argv[5], 0, 1000000000UL);

	for (unsigned long i = 0; i < connections; i++)
		sockets[i] = connected(port);
	begin = now_ns();
	for (; sent < connections && (!count || sent < count); sent++)
		ask(sockets[sent]);
	for (unsigned long done = 0; !count || done < count; done++) {
		int fd = sockets[done % connections];

		check_reply(fd);
		if (!count || sent < count) {
			ask(fd);
			sent++;
		}
	}
	printf("{\"requests\": %lu, \"ns\": %" PRIu64 "}\n", count, now_ns() - begin);
	return 0;
}
