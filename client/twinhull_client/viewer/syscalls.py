"""The system calls a viewer needs once it runs; everything else fails with EPERM.

Installed with libseccomp's own binding (python3-seccomp) after the imports and before the first byte from
the guest. Bubblewrap has set no_new_privs and taken network, files and capabilities away already; this keeps
a taken-over viewer from the rest of the kernel: no new programs, sockets, written files, namespaces, tracing.
"""

from __future__ import annotations

import errno
import os

import seccomp  # type: ignore[import-not-found]

ALLOWED = {
    "memory and threads": "brk mmap munmap mremap madvise mprotect memfd_create ftruncate futex sched_yield "
    "rseq set_robust_list sched_getaffinity gettid getpid membarrier",
    "descriptors it has or is handed": "read pread64 getdents64 write readv writev close fcntl fstat lseek "
    "newfstatat dup dup3 ioctl recvmsg sendmsg recvfrom sendto shutdown socketpair getsockopt setsockopt "
    "getsockname getpeername",
    "waiting": "poll ppoll epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 pipe2 select pselect6 "
    "timerfd_create timerfd_settime clock_gettime clock_nanosleep nanosleep gettimeofday",
    "signals, identity, its end": "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit "
    "exit_group tgkill getrandom getuid geteuid getgid getegid prctl uname",
}
CLONE_THREAD = 0x00010000
"""clone(2): only threads of this process, never another process."""


def confine() -> None:
    """Give up every other system call, for all threads, for good."""
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    rules.set_attr(seccomp.Attr.CTL_TSYNC, 1)
    for name in " ".join(ALLOWED.values()).split():
        rules.add_rule(seccomp.ALLOW, name)
    # libraries load lazily; the mount namespace holds nothing but /usr and this package
    rules.add_rule(seccomp.ALLOW, "openat", seccomp.Arg(2, seccomp.MASKED_EQ, os.O_ACCMODE, os.O_RDONLY))
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    # glibc falls back to clone(2), whose flags a filter can see
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.load()
