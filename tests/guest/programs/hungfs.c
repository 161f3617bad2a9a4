// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system in user space with one file, whose server can stop answering.
 *
 *   hungfs FILE DIRECTORY
 *
 * Shows FILE as DIRECTORY/file, to be read and executed.  After SIGUSR1 requests are
 * received, but not answered: such a request cannot be interrupted any more.  After
 * SIGUSR2 those that wait are answered, and all others.  SIGTERM ends the server and the
 * file system.
 *
 * The kernel asks for each page when it is needed, and not before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT		FUSE_ROOT_ID
#define FILE_ID		2
#define VALID		3600	/* seconds */
#define LARGEST		(128 * 1024)
#define MAX_WAITING	64

struct request {
	struct fuse_in_header head;
	char rest[LARGEST];
};

static int device, file;
static struct stat status;
static struct request *waiting[MAX_WAITING];
static unsigned int nr_waiting;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void answer(const struct request *request, int error, const void *data,
		   size_t size)
{
	char out[sizeof(struct fuse_out_header) + LARGEST];
	struct fuse_out_header head = {
		.len = sizeof(head) + size,
		.error = -error,
		.unique = request->head.unique,
	};

	memcpy(out, &head, sizeof(head));
	if (size)
		memcpy(out + sizeof(head), data, size);
	/* ENOENT: whoever asked has been killed. */
	if (write(device, out, head.len) < 0 && errno != ENOENT)
		die("write");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = {
		.ino = node,
		.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0755,
		.nlink = 1,
		.blksize = 4096,
	};

	if (node != ROOT) {
		attr.size = status.st_size;
		attr.blocks = (status.st_size + 511) / 512;
	}
	return attr;
}

static void init(const struct request *request)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 0,
		.max_write = 4096,
	};

	answer(request, 0, &out, sizeof(out));
}

static void lookup(const struct request *request)
{
	struct fuse_entry_out out = {
		.nodeid = FILE_ID,
		.entry_valid = VALID,
		.attr_valid = VALID,
		.attr = attributes(FILE_ID),
	};

	if (strcmp(request->rest, "file"))
		answer(request, ENOENT, NULL, 0);
	else
		answer(request, 0, &out, sizeof(out));
}

static void get_attributes(const struct request *request)
{
	struct fuse_attr_out out = {
		.attr_valid = VALID,
		.attr = attributes(request->head.nodeid),
	};

	answer(request, 0, &out, sizeof(out));
}

static void open_file(const struct request *request)
{
	struct fuse_open_out out = { .open_flags = FOPEN_KEEP_CACHE };

	answer(request, 0, &out, sizeof(out));
}

static void read_file(const struct request *request)
{
	const struct fuse_read_in *in = (const void *)request->rest;
	char data[LARGEST];
	ssize_t got;

	if (in->size > sizeof(data)) {
		answer(request, EINVAL, NULL, 0);
		return;
	}
	got = pread(file, data, in->size, (off_t)in->offset);
	answer(request, got < 0 ? errno : 0, data, got < 0 ? 0 : (size_t)got);
}

static void handle(const struct request *request)
{
	switch (request->head.opcode) {
	case FUSE_INIT:
		init(request);
		break;
	case FUSE_LOOKUP:
		lookup(request);
		break;
	case FUSE_GETATTR:
		get_attributes(request);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		open_file(request);
		break;
	case FUSE_READ:
		read_file(request);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_ACCESS:
		answer(request, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;			/* have no answer */
	default:
		answer(request, ENOSYS, NULL, 0);
	}
}

static void put_off(const struct request *request)
{
	struct request *copy = malloc(sizeof(*copy));

	if (!copy || nr_waiting == MAX_WAITING)
		die("too many requests");
	*copy = *request;
	waiting[nr_waiting++] = copy;
}

static void answer_waiting(void)
{
	for (unsigned int i = 0; i < nr_waiting; i++) {
		handle(waiting[i]);
		free(waiting[i]);
	}
	nr_waiting = 0;
}

static void mount_at(const char *directory)
{
	char options[128];

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 device);
	if (mount("hungfs", directory, "fuse", MS_RDONLY, options))
		die("mount");
}

int main(int argc, char **argv)
{
	static struct request request;
	struct pollfd ready[2];
	struct signalfd_siginfo sent;
	int signals, hung = 0;
	sigset_t set;

	if (argc != 3)
		return 2;
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &status))
		die(argv[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd");
	mount_at(argv[2]);
	ready[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
	ready[1] = (struct pollfd){ .fd = device, .events = POLLIN };
	for (;;) {
		if (poll(ready, 2, -1) < 0)
			die("poll");
		if (ready[0].revents) {
			if (read(signals, &sent, sizeof(sent)) != sizeof(sent))
				die("signalfd");
			if (sent.ssi_signo == SIGTERM)
				break;
			hung = sent.ssi_signo == SIGUSR1;
			if (!hung)
				answer_waiting();
			continue;
		}
		if (!ready[1].revents)
			continue;
		if (read(device, &request, sizeof(request)) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			die("read");
		}
		if (hung)
			put_off(&request);
		else
			handle(&request);
	}
	umount2(argv[2], MNT_DETACH);
	return 0;
}
