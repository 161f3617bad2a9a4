// SPDX-License-Identifier: GPL-2.0-only
/* Five calls of getppid, then one of getpid in a child; with an argument, getppid forever. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t child;

	for (int n = 0; n < 5; n++)
		getppid();
	while (argc > 1)
		getppid();
	child = fork();
	if (!child) {
		getpid();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	puts("done");
	return 0;
}
