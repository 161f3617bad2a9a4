// SPDX-License-Identifier: GPL-2.0-only
/*
 * turns getppid|pread SECONDS: calls in a loop, and checks all that they return.  The
 * second kind adds up what was read, for which compilers use vector registers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK	64
#define CHUNKS	32
#define BETWEEN	1024	/* turns between looks at the clock */

static unsigned char image[CHUNK * CHUNKS];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int __attribute__((noinline)) sum_of(const unsigned char *bytes)
{
	int sum = 0;

	for (int i = 0; i < CHUNK; i++)
		sum += bytes[i];
	return sum;
}

static long getppid_turns(void)
{
	pid_t parent = getppid();
	long wrong = 0;

	for (int i = 0; i < BETWEEN; i++)
		wrong += getppid() != parent;
	return wrong;
}

static long pread_turns(int file)
{
	unsigned char bytes[CHUNK];
	long wrong = 0;

	for (int i = 0; i < BETWEEN; i++) {
		int at = i % CHUNKS * CHUNK;

		wrong += pread(file, bytes, CHUNK, at) != CHUNK;
		wrong += sum_of(bytes) != sum_of(image + at);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	char name[] = "/tmp/turns-XXXXXX";
	long turns = 0, wrong = 0;
	int file = mkstemp(name);
	double end;

	if (argc != 3 || file < 0)
		return 2;
	unlink(name);
	for (int i = 0; i < CHUNK * CHUNKS; i++)
		image[i] = i * 7 + i / 256;
	if (write(file, image, sizeof(image)) != sizeof(image))
		return 2;
	for (end = now() + atof(argv[2]); now() < end; turns += BETWEEN)
		wrong += *argv[1] == 'g' ? getppid_turns() : pread_turns(file);
	printf("turns %ld wrong %ld\n", turns, wrong);
	return wrong != 0;
}
