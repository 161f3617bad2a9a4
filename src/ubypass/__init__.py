"""Userspace Bypass: run hot user code between system calls inside the kernel."""

