"""Runs programs that a model wrote where they can do no harm: bubblewrap, a seccomp filter of ours, and limits.

Each program has a sandbox of its own, which is never used again: user, process, network, IPC and host-name namespaces;
a root that holds the interpreter, its standard library and the system's libraries, read-only, and a small temporary
folder in memory; no environment, no network, no /proc, no device but /dev/null, no other process; no further namespaces. What a program may use
is in `Limits`. Without a sandbox nothing is run (`NoSandbox`): there is no other way in.

What is covered: reading and writing of the host's files, its network, its processes and terminals; memory, processor and
wall time, open files, files, output; other processes and threads, which a program cannot start; forged verdicts, for
tests run in another sandbox and a program can say nothing but its own outputs. `attacks.py` lists what was tried.

What is not: a fault in the kernel's own code behind the system calls that are left (a virtual machine would be needed);
side channels, such as the time things take and the load of the machine; the memory that the kernel spends on many empty
files, which only processor time bounds (half a gigabyte at most, as measured); and who starts ponder as root, whose sandbox is root's outside its namespace.
Programs have the standard library and no packages, and cannot start threads.
"""

from ponder.sandbox.bubblewrap import Limits
from ponder.sandbox.pool import Sandbox

__all__ = ["Limits", "Sandbox"]
