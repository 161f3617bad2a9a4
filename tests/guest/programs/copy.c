// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies a file in small pieces of several sizes, by read and write and then, a few
 * times, by pread and pwrite, and compares.  Statically linked against musl it is the
 * kind of program that containers are made of.
 *
 *   copy FROM TO
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSES	6

int main(int argc, char **argv)
{
	unsigned long pieces = 0, wrong = 0;
	char data[64], again[64];
	off_t at = 0;
	ssize_t got;
	int from, to;

	if (argc != 3)
		return 2;
	from = open(argv[1], O_RDONLY);
	to = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (from < 0 || to < 0)
		return 1;
	while ((got = read(from, data, 16 + pieces % 48)) > 0) {
		if (write(to, data, (size_t)got) != got)
			return 1;
		pieces++;
	}
	for (int pass = 0; pass < PASSES; pass++) {
		at = 0;
		while ((got = pread(from, data, sizeof(data), at)) > 0) {
			if (pread(to, again, sizeof(again), at) != got ||
			    memcmp(data, again, (size_t)got))
				wrong++;
			if (pwrite(to, data, (size_t)got, at) != got)
				return 1;
			at += got;
		}
	}
	printf("%lu pieces, %ld bytes, %lu wrong\n", pieces, (long)at, wrong);
	return 0;
}
