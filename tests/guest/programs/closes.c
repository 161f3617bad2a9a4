// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop that opens, locks and closes a file.  The kernel releases a closed file, and the
 * lock with it, in task work, before the code after the call.
 *
 *   closes FILE [vector]
 *
 * With "vector" the loop also uses the vector registers.
 */
#include "common.h"

#include <stdint.h>
#include <sys/file.h>

static uint64_t wrong;

static void one_turn(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		wrong++;		/* the file of the last turn still has it */
	if (close(fd))
		wrong++;
}

int main(int argc, char **argv)
{
	volatile unsigned int *control = control_page();
	uint64_t turns = 0;
	double half = 0;
	int vector = argc > 2;

	if (argc < 2)
		return 2;
	one_turn(argv[1]);
	control[2] = AT_WARM;
	while (control[0] != STAGE_END) {
		one_turn(argv[1]);
		turns++;
		if (vector) {
			half += 0.5;
			if (half * 2 != turns)
				wrong++;
		}
	}
	printf("wrong %llu\n", (unsigned long long)wrong);
	fprintf(stderr, "turns %llu\n", (unsigned long long)turns);
	return 0;
}
