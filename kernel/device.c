// SPDX-License-Identifier: GPL-2.0-only
/* /dev/ub: all state of a client is released when its file is closed. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "arena_text.h"
#include "attach.h"
#include "children.h"
#include "client.h"
#include "device.h"
#include "dispatch.h"
#include "event.h"
#include "handler.h"
#include "load.h"
#include "proc.h"
#include "region.h"
#include "seccomp.h"
#include "site_table.h"
#include "slice.h"
#include "stats.h"
#include "suspend.h"
#include "trace_gap.h"
#include "trial.h"
#include "tunables.h"
#include "ub.h"
#include "watch.h"
#include "x87.h"

/*
 * Loading a region runs code in the kernel, as loading a module does: it needs the same
 * capability, and kernel lockdown forbids it like an unsigned module.
 */
static int ub_may_load(void)
{
	if (!capable(CAP_SYS_MODULE))
		return -EPERM;
	return ub_locked_down();
}

/*
 * Check that current may use .file: not if the descriptor was passed on to another user, or
 * to a process that could not open the device.
 */
static int ub_may_use(const struct file *file)
{
	if (!uid_eq(current_euid(), file->f_cred->euid) ||
	    current_user_ns() != file->f_cred->user_ns)
		return -EPERM;
	return ub_may_load();
}

static int ub_open(struct inode *inode, struct file *file)
{
	struct ub_client *client;
	int err;

	err = ub_may_load();
	if (err)
		return err;
	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return -ENOMEM;
	mutex_init(&client->mutex);
	INIT_LIST_HEAD(&client->procs);
	err = ub_event_setup(client);
	if (err) {
		kfree(client);
		return err;
	}
	client->ns = get_pid_ns(task_active_pid_ns(current));
	file->private_data = client;
	return nonseekable_open(inode, file);
}

static int ub_release(struct inode *inode, struct file *file)
{
	struct ub_client *client = file->private_data;
	struct ub_proc *proc, *next;

	mutex_lock(&client->mutex);
	list_for_each_entry_safe(proc, next, &client->procs, node)
		ub_proc_detach(proc);
	mutex_unlock(&client->mutex);
	ub_children_release(client);
	ub_event_release(client);
	put_pid_ns(client->ns);
	kfree(client);
	return 0;
}

static ssize_t ub_read(struct file *file, char __user *to, size_t size,
		       loff_t *pos)
{
	int err = ub_may_use(file);

	if (err)
		return err;
	return ub_event_read(file->private_data, to, size,
			     !(file->f_flags & O_NONBLOCK));
}

static __poll_t ub_poll(struct file *file, poll_table *wait)
{
	struct ub_client *client = file->private_data;

	poll_wait(file, &client->wait, wait);
	if (ub_event_waits(client))
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static long ub_ioc_info(void __user *arg)
{
	struct ub_info *info = kzalloc(sizeof(*info), GFP_KERNEL);
	unsigned int nr;
	long err = 0;

	if (!info)
		return -ENOMEM;
	info->abi = UB_ABI_VERSION;
	info->dispatch_size = ub_dispatch_size(false);
	info->dispatch_vector_size = ub_dispatch_size(true);
	info->max_code = UB_MAX_CODE;
	info->max_regions = UB_MAX_REGIONS;
	info->max_faults = UB_MAX_FAULTS;
	info->arena_size = UB_ARENA_SIZE;
	info->task_size_max = TASK_SIZE_MAX;
	if (ub_x87_usable())
		info->flags |= UB_INFOF_X87;
	if (ub_seccomp_usable())
		info->flags |= UB_INFOF_SECCOMP;
	if (ub_syscall_keeps_rcx())
		info->flags |= UB_INFOF_FRED;
	for (nr = 0; nr < ARRAY_SIZE(info->args); nr++)
		info->args[nr] = ub_handler_args(nr);
	if (copy_to_user(arg, info, sizeof(*info)))
		err = -EFAULT;
	kfree(info);
	return err;
}

static long ub_ioc_tune(void __user *arg)
{
	struct ub_tunable_range *range;
	struct ub_tune tune;
	u64 value;

	if (copy_from_user(&tune, arg, sizeof(tune)))
		return -EFAULT;
	if (tune.what >= UB_TUNABLES || tune.flags & ~UB_TUNEF_SET)
		return -EINVAL;
	range = &ub_tunables[tune.what];
	value = tune.value;
	tune.value = READ_ONCE(range->value);
	if (tune.flags & UB_TUNEF_SET) {
		if (value < range->min || value > range->max)
			return -ERANGE;
		WRITE_ONCE(range->value, value);
		if (tune.what == UB_TUNE_BUDGET)
			ub_slice_tuned();
	}
	return copy_to_user(arg, &tune, sizeof(tune)) ? -EFAULT : 0;
}

static long ub_ioc_attach(struct ub_client *client, void __user *arg)
{
	struct ub_attach attach;
	int err;

	if (copy_from_user(&attach, arg, sizeof(attach)))
		return -EFAULT;
	err = ub_proc_attach(client, &attach);
	if (err)
		return err;
	if (copy_to_user(arg, &attach, sizeof(attach))) {
		ub_proc_detach(ub_proc_find(client, attach.proc));
		return -EFAULT;
	}
	return 0;
}

static long ub_ioc_detach(struct ub_client *client, void __user *arg)
{
	struct ub_detach detach;
	struct ub_proc *proc;

	if (copy_from_user(&detach, arg, sizeof(detach)))
		return -EFAULT;
	if (detach.flags)
		return -EINVAL;
	proc = ub_proc_find(client, detach.proc);
	if (!proc)
		return -ENOENT;
	ub_proc_detach(proc);
	return 0;
}

static long ub_ioc_load(struct ub_client *client, void __user *arg)
{
	struct ub_proc *proc;
	struct ub_load load;
	int err;

	if (copy_from_user(&load, arg, sizeof(load)))
		return -EFAULT;
	proc = ub_proc_find(client, load.proc);
	if (!proc)
		return -ENOENT;
	/* This may hook the handlers, so it precedes the load, which checks them. */
	err = ub_watch_load(proc);
	if (err)
		return err;
	err = ub_region_load(proc, &load);
	ub_watch_loaded(proc);
	if (err)
		return err;
	ub_suspend_start();
	if (copy_to_user(arg, &load, sizeof(load))) {
		ub_region_unload(proc, load.region);
		return -EFAULT;
	}
	return 0;
}

static long ub_ioc_unload(struct ub_client *client, void __user *arg)
{
	struct ub_unload unload;
	struct ub_proc *proc;

	if (copy_from_user(&unload, arg, sizeof(unload)))
		return -EFAULT;
	if (unload.flags)
		return -EINVAL;
	proc = ub_proc_find(client, unload.proc);
	return proc ? ub_region_unload(proc, unload.region) : -ENOENT;
}

static long ub_ioc_stats(struct ub_client *client, void __user *arg)
{
	struct ub_stats in, out = {};
	struct ub_proc *proc;

	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	if (in.flags)
		return -EINVAL;
	proc = ub_proc_find(client, in.proc);
	if (!proc)
		return -ENOENT;
	out.proc = in.proc;
	ub_stats_get(proc, &out);
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long ub_ioc_counts(struct ub_client *client, void __user *arg)
{
	struct ub_counts counts;
	struct ub_proc *proc;
	int err;

	if (copy_from_user(&counts, arg, sizeof(counts)))
		return -EFAULT;
	proc = ub_proc_find(client, counts.proc);
	if (!proc)
		return -ENOENT;
	err = ub_region_counts(proc, &counts);
	if (err)
		return err;
	return copy_to_user(arg, &counts, sizeof(counts)) ? -EFAULT : 0;
}

static long ub_ioc_sites(struct ub_client *client, void __user *arg)
{
	struct ub_site_info *infos;
	struct ub_sites sites;
	struct ub_proc *proc;
	long err = 0;

	if (copy_from_user(&sites, arg, sizeof(sites)))
		return -EFAULT;
	if (sites.flags || sites.reserved || sites.max > UB_SITES_MAX)
		return -EINVAL;
	proc = ub_proc_find(client, sites.proc);
	if (!proc)
		return -ENOENT;
	infos = kvcalloc(UB_SITES_MAX, sizeof(*infos), GFP_KERNEL);
	if (!infos)
		return -ENOMEM;
	sites.count = ub_sites_list(proc, infos, sites.max);
	if (copy_to_user(u64_to_user_ptr(sites.sites), infos,
			 array_size(sites.count, sizeof(*infos))) ||
	    copy_to_user(arg, &sites, sizeof(sites)))
		err = -EFAULT;
	kvfree(infos);
	return err;
}

static long ub_ioc_path(struct ub_client *client, void __user *arg)
{
	struct ub_path path;
	struct ub_proc *proc;
	int err;

	if (copy_from_user(&path, arg, sizeof(path)))
		return -EFAULT;
	proc = ub_proc_find(client, path.proc);
	if (!proc)
		return -ENOENT;
	err = ub_trace_gap_take(proc, &path);
	if (err)
		return err;
	return copy_to_user(arg, &path, sizeof(path)) ? -EFAULT : 0;
}

static long ub_ioc_regions(struct ub_client *client, void __user *arg)
{
	struct ub_regions regions;
	struct ub_proc *proc;
	int err;

	if (copy_from_user(&regions, arg, sizeof(regions)))
		return -EFAULT;
	proc = ub_proc_find(client, regions.proc);
	if (!proc)
		return -ENOENT;
	err = ub_region_list(proc, &regions);
	if (err)
		return err;
	return copy_to_user(arg, &regions, sizeof(regions)) ? -EFAULT : 0;
}

static long ub_ioc_trial(struct ub_client *client, void __user *arg)
{
	struct ub_trial trial;
	struct ub_proc *proc;
	int err;

	if (copy_from_user(&trial, arg, sizeof(trial)))
		return -EFAULT;
	proc = ub_proc_find(client, trial.proc);
	if (!proc)
		return -ENOENT;
	err = ub_trial_grant(proc, &trial);
	if (err)
		return err;
	return copy_to_user(arg, &trial, sizeof(trial)) ? -EFAULT : 0;
}

static long ub_ioctl(struct file *file, unsigned int cmd, unsigned long argument)
{
	struct ub_client *client = file->private_data;
	void __user *arg = (void __user *)argument;
	long ret = ub_may_use(file);

	if (ret)
		return ret;
	/* Another thread of the client may hold the mutex for long (LOAD). */
	if (mutex_lock_killable(&client->mutex))
		return -EINTR;
	switch (cmd) {
	case UB_IOC_INFO:
		ret = ub_ioc_info(arg);
		break;
	case UB_IOC_ATTACH:
		ret = ub_ioc_attach(client, arg);
		break;
	case UB_IOC_DETACH:
		ret = ub_ioc_detach(client, arg);
		break;
	case UB_IOC_LOAD:
		ret = ub_ioc_load(client, arg);
		break;
	case UB_IOC_UNLOAD:
		ret = ub_ioc_unload(client, arg);
		break;
	case UB_IOC_STATS:
		ret = ub_ioc_stats(client, arg);
		break;
	case UB_IOC_COUNTS:
		ret = ub_ioc_counts(client, arg);
		break;
	case UB_IOC_SITES:
		ret = ub_ioc_sites(client, arg);
		break;
	case UB_IOC_PATH:
		ret = ub_ioc_path(client, arg);
		break;
	case UB_IOC_REGIONS:
		ret = ub_ioc_regions(client, arg);
		break;
	case UB_IOC_TRIAL:
		ret = ub_ioc_trial(client, arg);
		break;
	case UB_IOC_TUNE:
		ret = ub_ioc_tune(arg);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&client->mutex);
	return ret;
}

static const struct file_operations ub_fops = {
	.owner		= THIS_MODULE,
	.open		= ub_open,
	.release	= ub_release,
	.read		= ub_read,
	.poll		= ub_poll,
	.unlocked_ioctl	= ub_ioctl,
};

static struct miscdevice ub_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "ub",
	.fops	= &ub_fops,
	.mode	= 0600,
};

int ub_device_init(void)
{
	return misc_register(&ub_misc);
}

void ub_device_exit(void)
{
	misc_deregister(&ub_misc);
}
