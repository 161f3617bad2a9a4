#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# Process 1 of the machine in Bochs: runs COMMAND and shows the log.
BB=/bin/busybox
for name in mount dmesg insmod rmmod lsmod modprobe sleep cat ls poweroff; do
    $BB ln -sf busybox /bin/$name
done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
dmesg -n 4
exec > /dev/ttyS0 2>&1 < /dev/null
export PATH=/usr/bin:/bin HOME=/root
dmesg -r
dmesg -c > /dev/null
echo "=== command"
$BB sh COMMAND
echo "=== status $?"
dmesg -r
echo "=== done"
sleep 5 # what was said is still on its way
poweroff -f
