#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# Process 1 of the guest. In the initramfs it mounts the root file system and switches
# to it; there ("stage2") it runs the job and reports the result.
#
# The host describes the job in the initramfs: /job/env (variables read below),
# /job/shares and /job/still (directories, one per line: writable, and shown from the
# cached root) and /job/command.sh (runs the command).
# Virtio-serial ports: ub.in, ub.out and ub.err carry the command's streams, hvc0 a
# shell's. ub.ctl (here: fd 7) carries lines to the host: "start", "failed WHY",
# "status N", "log" followed by the kernel's log, "end".

BB=/bin/busybox
[ "$1" = stage2 ] && BB=/run/ubypass-lab/busybox

fail() {
    $BB printf 'ubypass-lab: %s\n' "$1" > /dev/kmsg
    $BB printf 'failed %s\n' "$1" >&7
    $BB sleep 600 # the host stops the machine
}

port() { # name: prints the device; without udev the names are in sysfs only
    for p in /sys/class/virtio-ports/*; do
        read -r n < "$p/name" && [ "$n" = "$1" ] && echo "/dev/${p##*/}" && return
    done
}

share() { # tag directory options-of-9p [option]
    $BB mkdir -p "$2"
    if [ "$SHARED_BY" = virtiofs ]; then
        $BB mount -t virtiofs -o "${4:-rw}" "$1" "$2"
    else
        $BB mount -t 9p \
            -o "trans=virtio,version=9p2000.L,msize=524288,${4:-rw},$3" "$1" "$2"
    fi
}

stage1() {
    $BB mount -t proc proc /proc
    $BB mount -t sysfs sysfs /sys
    $BB mount -t devtmpfs devtmpfs /dev
    . /job/env
    for m in $MODULES; do
        $BB insmod "/modules/$m" || echo "ubypass-lab: cannot load $m" > /dev/kmsg
    done
    exec 7> "$(port ub.ctl)"

    share ub_root /lower cache=loose ro || fail "cannot mount the host's files"
    $BB mkdir -p /upper /newroot
    $BB mount -t tmpfs -o mode=755,size=75% tmpfs /upper
    $BB mkdir /upper/data /upper/work
    $BB mount -t overlay \
        -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /newroot ||
        fail "cannot lay a writable root over the host's files"

    for d in /proc /sys /dev; do
        $BB mkdir -p "/newroot$d"
        $BB mount --move "$d" "/newroot$d"
    done
    for d in /tmp /run /dev/shm; do
        $BB mkdir -p "/newroot$d"
        $BB mount -t tmpfs -o mode=1777,size=75% tmpfs "/newroot$d"
    done
    $BB mkdir -p /newroot/dev/pts
    $BB mount -t devpts -o mode=620,ptmxmode=666 devpts /newroot/dev/pts
    $BB mount -t debugfs debugfs /newroot/sys/kernel/debug
    $BB mount -t tracefs tracefs /newroot/sys/kernel/tracing
    $BB mount -t cgroup2 cgroup2 /newroot/sys/fs/cgroup
    $BB ln -s /proc/self/fd /newroot/dev/fd
    $BB ln -s /proc/self/fd/0 /newroot/dev/stdin
    $BB ln -s /proc/self/fd/1 /newroot/dev/stdout
    $BB ln -s /proc/self/fd/2 /newroot/dev/stderr

    # Mounted from below the overlay: the cache may be in /tmp, which is hidden.
    $BB mkdir -p "/newroot/lib/modules/$RELEASE"
    $BB mount --bind "/lower$MODULE_DIR" "/newroot/lib/modules/$RELEASE" ||
        fail "cannot show the kernel's modules"
    n=0
    while read -r dir; do
        share "ub_share$n" "/newroot$dir" cache=mmap || fail "cannot mount $dir"
        n=$((n + 1))
    done < /job/shares
    while read -r dir; do
        $BB mount --bind "/lower$dir" "/newroot$dir" || fail "cannot mount $dir"
    done < /job/still

    $BB mkdir -p /newroot/run/ubypass-lab
    $BB cp /bin/busybox /init /job/env /job/command.sh /newroot/run/ubypass-lab
    cd /newroot || fail "the root file system vanished"
    exec $BB switch_root . /run/ubypass-lab/busybox sh /run/ubypass-lab/init stage2
}

begin() { # the kernel's log of the command starts here
    echo start >&7
    $BB dmesg -n "$COMMAND_LOGLEVEL"
    echo "$LOG_MARK" > /dev/kmsg
}

run_command() {
    cd /run/ubypass-lab && $BB mkfifo in out err
    if [ "$STDIN" = 1 ]; then
        $BB cat < "$(port ub.in)" > in 7>&- &
        input=/run/ubypass-lab/in
    else
        input=/dev/null
    fi
    # Programs get pipes, not the ports: a port cannot be opened twice, as by
    # /dev/stdout, and is slow for small writes.
    $BB cat < out > "$(port ub.out)" 7>&- &
    pumps=$!
    $BB cat < err > "$(port ub.err)" 7>&- &
    pumps="$pumps $!"
    begin
    $BB setsid $BB sh command.sh < $input > out 2> err 7>&- &
    wait $!
    status=$?
    # The pumps end with the command's output, unless a background process holds the
    # pipes open: wait for up to half a second.
    for i in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2086
        $BB kill -0 $pumps 2> /dev/null || break
        $BB sleep 0.05
    done
}

run_shell() {
    begin
    $BB setsid $BB sh -c \
        'exec < /dev/hvc0 > /dev/hvc0 2>&1 7>&-; stty sane rows '"$ROWS"' cols '"$COLS"'
        exec /run/ubypass-lab/busybox sh /run/ubypass-lab/command.sh' &
    wait $!
    status=$?
}

stage2() {
    . /run/ubypass-lab/env
    $BB hostname ubypass-lab
    $BB ip link set lo up
    [ -z "$DISK" ] || modprobe virtio_blk
    "run_$MODE"
    $BB sync # the shares' dirty pages; the machine will not be shut down in order
    echo "status $status" >&7
    echo log >&7
    $BB dmesg -r >&7
    echo end >&7
    $BB sleep 600
}

if [ "$1" = stage2 ]; then stage2; else stage1; fi
