"""The system calls that code in the sandbox may not make, as a filter that the kernel runs.

What it denies: other processes and threads (`fork`, `clone`), sockets of every family, mounts and namespaces, tracing
and other processes' memory, keys, io_uring, bpf, perf, userfaultfd, System V and POSIX queues and shared memory,
anonymous files (they count against no limit of ours), modules, clocks, and typing into a terminal (TIOCSTI, TIOCLINUX);
moving pages between files and pipes, by which files that may only be read were written (CVE-2022-0847); and the older
asynchronous I/O and watches on files, whose numbers are limited for the whole machine and for the user outside.
Calls newer than `NEWEST`, and those of the x32 interface, are answered as if the kernel did not know them. A call by
another architecture's entry (int 0x80) ends the process.

The program is classic BPF: 8 bytes for each instruction, read by `bwrap --seccomp`.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import Final

from ponder.core.errors import NoSandbox

NEWEST: Final = 470
"""The last system call this file knows of, on every architecture; x32's begin at 0x40000000."""

_LOAD = 0x20  # the word at k
_EQUAL, _AT_LEAST = 0x15, 0x35
_RETURN = 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _REQUEST = (
    0,
    4,
    24,
)  # of struct seccomp_data; the request is the low word of the second argument
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_SINCE_5_1: Final = {  # the same number everywhere
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447,
    "process_mrelease": 448, "statmount": 457, "listmount": 458, "open_tree_attr": 467, "listns": 470,
}  # fmt: skip

_X86_64: Final = {
    "fork": 57, "vfork": 58, "clone": 56, "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45,
    "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288, "recvmmsg": 299,
    "sendmmsg": 307, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "add_key": 248,
    "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "mount": 165,
    "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
    "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "syslog": 103, "acct": 163, "quotactl": 179,
    "settimeofday": 164, "adjtimex": 159, "clock_settime": 227, "clock_adjtime": 305, "sethostname": 170,
    "setdomainname": 171, "iopl": 172, "ioperm": 173, "personality": 135, "nfsservctl": 180, "lookup_dcookie": 212,
    "vhangup": 153, "modify_ldt": 154, "uselib": 134, "sysfs": 139, "_sysctl": 156, "fanotify_init": 300,
    "fanotify_mark": 301, "memfd_create": 319, "mq_open": 240, "shmget": 29, "semget": 64, "msgget": 68,
    "seccomp": 317, "migrate_pages": 256, "move_pages": 279, "mbind": 237, "set_mempolicy": 238, "splice": 275,
    "tee": 276, "vmsplice": 278, "sendfile": 40, "io_setup": 206, "inotify_init": 253, "inotify_init1": 294,
    "remap_file_pages": 216,
}  # fmt: skip

_AARCH64: Final = {
    "clone": 220, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203,
    "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "accept4": 242, "recvmmsg": 243, "sendmmsg": 269,
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "add_key": 217, "request_key": 218,
    "keyctl": 219, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "mount": 40, "umount2": 39,
    "pivot_root": 41, "chroot": 51, "setns": 268, "unshare": 97, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294,
    "reboot": 142, "swapon": 224, "swapoff": 225, "syslog": 116, "acct": 89, "quotactl": 60, "settimeofday": 170,
    "adjtimex": 171, "clock_settime": 112, "clock_adjtime": 266, "sethostname": 161, "setdomainname": 162,
    "personality": 92, "nfsservctl": 42, "lookup_dcookie": 18, "vhangup": 58, "fanotify_init": 262,
    "fanotify_mark": 263, "memfd_create": 279, "mq_open": 180, "shmget": 194, "semget": 190, "msgget": 186,
    "seccomp": 277, "migrate_pages": 238, "move_pages": 239, "mbind": 235, "set_mempolicy": 237, "splice": 76,
    "tee": 77, "vmsplice": 75, "sendfile": 71, "io_setup": 0, "inotify_init1": 26, "remap_file_pages": 234,
}  # fmt: skip

_CLONE3: Final = 435
_MACHINES: Final = {"x86_64": (0xC000003E, _X86_64, 16), "aarch64": (0xC00000B7, _AARCH64, 29)}
"""By machine: how the kernel calls it, what is denied, and the number of `ioctl`."""


def program(machine: str | None = None) -> bytes:
    """The filter for a machine, this one if none is named.

    Raises:
        NoSandbox: its system calls are not known here.

    """
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        raise NoSandbox(
            f"The sandbox does not know the system calls of {machine}, so no code is run. "
            "Use a machine with an x86-64 or an ARM64 processor."
        )
    architecture, denied, ioctl = _MACHINES[machine]
    unknown, refused = _ERROR | errno.ENOSYS, _ERROR | errno.EPERM
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, NEWEST + 1),
        (_RETURN, 0, 0, unknown),
        (_EQUAL, 0, 1, _CLONE3),  # so that the C library falls back on clone, whose refusal says more
        (_RETURN, 0, 0, unknown),
    ]
    for number in sorted({*denied.values(), *_SINCE_5_1.values()}):
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refused)]
    lines += [
        (_EQUAL, 0, 4, ioctl),
        (_LOAD, 0, 0, _REQUEST),
        (_EQUAL, 1, 0, _TIOCSTI),
        (_EQUAL, 0, 1, _TIOCLINUX),
        (_RETURN, 0, 0, refused),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
