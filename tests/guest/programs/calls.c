// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a known series of calls from a loop that was boosted before, for a tracer
 * to count: in stage 1, pread at offsets 5000000 to 5000000 + COUNT - 1.
 *
 *   calls FILE COUNT
 */
#include "common.h"

#include <sys/types.h>

#define FIRST 5000000

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	unsigned long count, made = 0, bytes = 0;
	off_t offset = 0;
	char data[8];
	int fd;

	if (argc != 3)
		return 2;
	count = strtoul(argv[2], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	/* One loop and one call for both stages: the site stays the same. */
	while (made < count) {
		ssize_t got = pread(fd, data, sizeof(data), offset);

		if (got < 0)
			die("pread");
		control[2] = AT_WARM;
		if (offset) {
			made++;
			offset++;
			bytes += (unsigned long)got;
		} else if (control[0] == STAGE_ACT) {
			offset = FIRST;
		}
	}
	control[1] = 1;
	printf("made %lu bytes %lu\n", made, bytes);
	while (control[0] != STAGE_END)
		usleep(1000);
	return 0;
}
