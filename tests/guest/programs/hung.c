// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program in a file whose file system may stop answering.
 *
 *   hung text|read
 *
 * Its loop reads the start of the file.  In stage 1 it needs once what nobody has read
 * yet: code in another page (text), or the end of the file (read).  Another thread maps
 * and unmaps memory all the time, which needs nothing of the file.
 */
#include "common.h"

#include <pthread.h>
#include <sys/stat.h>

#define PIECE	16
#define START	0	/* of an ELF file: always the same */

static volatile unsigned int *control;
static unsigned long wrong, acted;

/* Each in pages of its own, which nothing else brings into memory. */
#define APART	__attribute__((noinline, aligned(65536)))

APART static unsigned long far(unsigned long value)
{
	return value * 31 + 7;
}

/* Never called: its page is never read but from outside. */
APART __attribute__((used)) static unsigned long aside(unsigned long value)
{
	return value * 33 + 7;
}

APART static void turn(int fd, off_t at, int text)
{
	unsigned char data[PIECE];

	for (int i = 0; i < 64; i++) {
		off_t where = START;
		unsigned int act = control[0] == STAGE_ACT && !acted;

		if (act && !text)
			where = at;
		if (act && text)
			acted = far(i);
		if (pread(fd, data, PIECE, where) != PIECE)
			wrong++;
		if (where == at)
			acted = 1 + (data[0] != 'e');
		else if (data[1] != 'E' || data[2] != 'L' || data[3] != 'F')
			wrong++;
		if (acted)
			control[1] = 1;
	}
}

APART static void *map(void *unused)
{
	(void)unused;
	while (control[0] != STAGE_END) {
		void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED || munmap(page, 4096))
			wrong++;
		control[5]++;
		usleep(1000);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t mapper;
	struct stat st;
	int fd, text;

	if (argc != 2)
		return 2;
	control = control_page();
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die("/proc/self/exe");
	if (pthread_create(&mapper, NULL, map, NULL))
		die("pthread_create");
	text = !strcmp(argv[1], "text");
	while (control[0] != STAGE_END) {
		turn(fd, st.st_size - PIECE, text);
		/* All that a turn needs is in memory now. */
		if (control[2] != AT_WARM && control[5] > 2)
			control[2] = AT_WARM;
	}
	pthread_join(mapper, NULL);
	printf("wrong %lu acted %d\n", wrong, acted != 0);
	return 0;
}
