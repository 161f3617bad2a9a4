// SPDX-License-Identifier: GPL-2.0-only
/*
 * The period (UB_TUNE_REARM_MS) after which all sites are timed again, so that changed
 * behaviour is found.
 */
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "epoch.h"
#include "hook.h"
#include "idle.h"
#include "proc.h"
#include "queue.h"
#include "site_table.h"
#include "tunables.h"

static void ub_rearm(struct work_struct *work);
static DECLARE_DELAYED_WORK(ub_rearm_work, ub_rearm);

static void ub_rearm(struct work_struct *work)
{
	ub_idle_update(ub_epoch);
	ub_hook_check();
	WRITE_ONCE(ub_epoch, ub_epoch + 1);
	ub_sites_unpark_all();
	if (atomic_read(&ub_attached))
		queue_delayed_work(ub_queue, &ub_rearm_work,
				   msecs_to_jiffies(ub_tune(UB_TUNE_REARM_MS)));
}

/*
 * A process was attached; an earlier process may have had the same mm address.  A period that
 * has begun goes on: attachments in a row must not shorten all of them.
 */
void ub_epoch_start(void)
{
	ub_sites_unpark_all();
	queue_delayed_work(ub_queue, &ub_rearm_work, msecs_to_jiffies(ub_tune(UB_TUNE_REARM_MS)));
}

void ub_epoch_exit(void)
{
	cancel_delayed_work_sync(&ub_rearm_work);
}
