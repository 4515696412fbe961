"""What hostile programs try, and whether the sandbox holds: the list that `ponder doctor` and the tests run.

Each attack is a function `attack(folder, port)` that returns True where it got what it wanted. `folder` is a folder of the
host with a secret in it, `port` one where somebody listens. What it raises, and what it is ended for, is the sandbox's
success; so is any other value. A forgery is a program that wants to pass a test without doing what it asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ponder.sandbox.bubblewrap import MB

SECRET: Final = "a secret of the host"  # noqa: S105 - there to be looked for

_HEAD: Final = f"""
import ctypes, errno, os, sys, time
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
X86 = os.uname().machine == "x86_64"
def call(x86, arm, *args):
    "Whether a system call does anything; one that this machine does not have does not."
    number = x86 if X86 else arm
    if number is None: return False
    ctypes.set_errno(0)
    return LIBC.syscall(ctypes.c_long(number), *args) >= 0
def reads(path):
    with open(path, "rb") as file: return len(file.read(64)) > 0
def known(path):
    with open(path) as file: return {SECRET!r} in file.read()
def tries(*jobs):
    for job in jobs:
        try:
            if job(): return True
        except (OSError, ValueError): pass
    return False
"""


@dataclass(frozen=True, slots=True)
class Attack:
    """What is tried, in one word or two, and the lines of the function that tries it."""

    name: str
    family: str
    body: str

    @property
    def program(self) -> str:
        """The whole program."""
        lines = "\n".join(f"    {line}" for line in self.body.strip().splitlines())
        return f"{_HEAD}\ndef attack(folder, port):\n{lines}\n"


@dataclass(frozen=True, slots=True)
class Forgery:
    """A program that wants to pass `TEST` without doing what it asks."""

    name: str
    program: str


_FILES: Final = {
    "read /etc/shadow": 'return reads("/etc/shadow")',
    "read ~/.ssh": 'return tries(*(lambda home=home: bool(os.listdir(home + "/.ssh")) for home in ("/root", "/home", os.path.expanduser("~"))))',
    "read a secret by its path": 'return known(folder + "/secret")',
    "read through ..": 'return known("/tmp/../../../../.." + folder + "/secret")',
    "read through a symlink": 'os.symlink(folder + "/secret", "/tmp/link"); return known("/tmp/link")',
    "read through a hard link": 'os.link(folder + "/secret", "/tmp/hard"); return known("/tmp/hard")',
    "environment of other processes": 'return tries(lambda: reads("/proc/1/environ"), lambda: reads(f"/proc/{os.getppid()}/environ"))',
    "environment of its own": 'return bool(set(os.environ) - {"PWD", "LC_CTYPE"})',
    "memory of other processes": 'return tries(lambda: reads("/proc/1/mem"), lambda: reads("/proc/self/mem"))',
    "root of other processes": 'return tries(lambda: bool(os.listdir("/proc/1/root/")), lambda: bool(os.listdir("/proc/self/root/")))',
    "write in the host's folder": 'open(folder + "/written", "w").close(); return True',
    "write in the root": 'open("/written", "w").close(); return True',
    "write in the library": 'open(os.path.dirname(os.__file__) + "/sitecustomize.py", "w").close(); return True',
    "write over what runs it": 'open("/sandbox/ponder/sandbox/inside.py", "a").close(); return True',
    "read the host's other software": 'return tries(*(lambda at=at: bool(set(os.listdir(at)) - {os.path.basename(sys.executable)}) for at in ("/usr/bin", "/usr/share", "/usr/local", "/opt", "/srv", "/var", "/run", "/home", "/boot", "/usr/lib/python3/dist-packages")))',
    "read what the kernel tells": 'return tries(*(lambda at=at: bool(os.listdir(at)) for at in ("/proc", "/sys", "/proc/self/fd", "/sys/fs/cgroup", "/dev/fd/")))',
    "read the host's settings": 'return bool(set(os.listdir("/etc")) - {"ld.so.cache"})',
    "other devices": 'return bool(set(os.listdir("/dev")) - {"null", "shm"})',
    "packages beside the library": 'import sys; return tries(*(lambda at=at: bool(os.listdir(os.path.dirname(os.__file__) + at)) for at in ("/site-packages", "/dist-packages")))',
    "write among the packages": 'open(os.path.dirname(os.__file__) + "/site-packages/mine.py", "w").close(); return True',
    "change what may only be read": 'os.chmod(os.__file__, 0o666); open(os.__file__, "a").close(); return True',
    "make a device": 'os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)); return reads("/tmp/disk")',
    "open files that were left open": """
import stat
found = []
for fd in range(3, 1024):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    if not stat.S_ISFIFO(mode): found.append(fd)
return bool(found)
""",
}

_KERNEL: Final = {
    "mount": 'return call(165, 40, b"none", b"/tmp", b"tmpfs", 0, 0)',
    "remount the root": 'return call(165, 40, b"none", b"/", None, 4096 | 32, 0)',
    "new mount interface": 'return call(430, 430, b"tmpfs", 0) or call(428, 428, -100, b"/", 1)',
    "pivot_root": 'return call(155, 41, b"/tmp", b"/tmp")',
    "chroot": 'return call(161, 51, b"/tmp")',
    "new user namespace": "return call(272, 97, 0x10000000)",
    "new network namespace": "return call(272, 97, 0x40000000)",
    "enter a namespace": 'return call(308, 268, os.open("/", os.O_RDONLY), 0)',
    "trace": "return call(101, 117, 0, 0, 0, 0) or call(101, 117, 16, os.getppid(), 0, 0)",
    "read another's memory": "return call(310, 270, os.getppid(), 0, 0, 0, 0, 0)",
    "write another's memory": "return call(311, 271, os.getppid(), 0, 0, 0, 0, 0)",
    "hold another process": "return call(434, 434, 1, 0)",
    "add a key": 'return call(248, 217, b"user", b"name", b"value", 5, -3)',
    "read keys": "return call(250, 219, 0, -3, 1)",
    "bpf": "return call(321, 280, 0, ctypes.create_string_buffer(128), 128)",
    "perf events": "return call(298, 241, ctypes.create_string_buffer(b'\\0\\0\\0\\0\\x80' + bytes(123)), 0, -1, -1, 0)",
    "userfaultfd": "return call(323, 282, 1)",
    "io_uring": "return call(425, 425, 4, ctypes.create_string_buffer(256))",
    "open by handle": "return call(304, 265, 0, ctypes.create_string_buffer(128), 0)",
    "load a module": 'return call(175, 105, b"x", 1, b"") or call(313, 273, 0, b"", 0)',
    "load a kernel": "return call(246, 104, 0, 0, 0, 0)",
    "reboot": "return call(169, 142, 0xfee1dead, 672274793, 0, 0)",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, 0); return True",
    "change the host's name": 'return call(170, 161, b"mine", 4)',
    "anonymous files": 'return call(319, 279, b"x", 0) or call(447, 447, 0)',
    "write through a pipe into what may only be read": """
fd = os.open(os.__file__, os.O_RDONLY)
return call(275, 76, fd, None, os.pipe()[1], None, 1, 0) or call(278, 75, os.pipe()[1], None, 0, 0) or call(40, 71, os.pipe()[1], fd, None, 1)
""",
    "asynchronous I/O, of which the machine has so much": "return call(206, 0, 1024, ctypes.create_string_buffer(8))",
    "watches, of which the user outside has so many": "return call(294, 26, 0) or call(253, None)",
    "System V shared memory": "return call(29, 194, 0, 1 << 20, 0o1600)",
    "an unknown, newer call": "return call(471, 471, 0) or call(500, 500, 0)",
    "calls of the x32 interface": "return call(0x40000000 + 39, None)",
    "calls of the 32-bit interface": """
import mmap
if not X86: return False
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # getpid by int 0x80
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
return ctypes.CFUNCTYPE(ctypes.c_int)(at)() > 0
""",
    "type into the terminal": """
import fcntl
for path in ("/dev/tty", "/dev/console", "/dev/pts/0"):
    try: fd = os.open(path, os.O_RDWR)
    except OSError: continue
    fcntl.ioctl(fd, 0x5412, b"x"); return True
for fd in range(0, 64):
    for request, given in ((0x5412, b"x"), (0x541C, b"\\x02")):
        try: fcntl.ioctl(fd, request, given); return True
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EBADF): return True
return False
""",
}

_PROCESSES: Final = {
    "fork": "return os.fork() >= 0",
    "fork bomb": "while True:\n    try: os.fork()\n    except OSError: return False",
    "vfork and posix_spawn": 'return os.posix_spawn(sys.executable, [sys.executable, "-c", "1"], {}) > 0',
    "raw clone": "return call(56, 220, 17, 0, 0, 0, 0) or call(435, 435, ctypes.create_string_buffer(88), 88)",
    "subprocess": 'import subprocess; return subprocess.run([sys.executable, "-V"]).returncode == 0',
    "double-fork daemon": "if os.fork() == 0:\n    os.setsid(); os.fork(); time.sleep(600)\nreturn True",
    "thread bomb": """
import threading
started = 0
while started < 1000:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); started += 1
return True
""",
    "kill what started it": "import signal; os.kill(os.getppid(), signal.SIGKILL); time.sleep(0.2); os.kill(os.getppid(), 0); os.kill(1, 9); return os.getppid() != 1",
    "kill everybody": "import signal\nfor pid in range(2, 4000):\n    if pid != os.getpid():\n        try: os.kill(pid, signal.SIGKILL); return True\n        except OSError: pass\nreturn False",
    "a higher priority": "return tries(lambda: os.nice(-5) < 0, lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) is None)",
    "limits of its parent": "import resource; return tries(lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (10**6, 10**6)) is not None)",
    "leave its session": "os.setsid(); time.sleep(600); return True",
    "run itself again and again": 'os.execv(sys.executable, [sys.executable, "-c", "import os, sys; os.execv(sys.executable, [sys.executable] + sys.orig_argv[1:])"])',
}

_NETWORK: Final = {
    "TCP to the host": 'import socket; socket.create_connection(("127.0.0.1", port), 1).close(); return True',
    "UDP to the host": 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)); return True',
    "IPv6 loopback": 'import socket; socket.create_connection(("::1", port), 1).close(); return True',
    "cloud metadata": 'import socket; socket.create_connection(("169.254.169.254", 80), 1).close(); return True',
    "DNS": 'import socket; return bool(socket.getaddrinfo("example.com", 80))',
    "raw packets": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW); return True",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); return True",
    "vsock": "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); return True",
    "abstract socket": 'import socket; socket.socket(socket.AF_UNIX).connect(f"\\0ponder-{port}"); return True',
    "socket by its path": 'import socket; socket.socket(socket.AF_UNIX).connect(folder + "/socket"); return True',
    "a pair of sockets": "import socket; socket.socketpair(); return True",
}

_FLOODS: Final = {
    "memory": "kept = []\nwhile True: kept.append(bytearray(64 << 20)); \nreturn True",
    "temporary folder": f"""
written = 0
try:
    for n in range(200):
        with open(f"/tmp/{{n}}", "wb") as file: written += file.write(bytes(1 << 20))
except OSError: pass
return written > {65 * MB}
""",
    "shared memory": f"""
written = 0
try:
    for n in range(64):
        with open(f"/dev/shm/{{n}}", "wb") as file: written += file.write(bytes(1 << 20))
except OSError: pass
return written > {2 * MB}
""",
    "one large file": f"""
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
written = 0
try:
    with open("/tmp/large", "wb", 0) as file:
        while True: written += file.write(bytes(1 << 20))
except OSError: pass
return written > {17 * MB}
""",
    "many empty files": 'n = 0\nwhile True: open(f"/tmp/{n}", "w").close(); n += 1',
    "timers, of which the user outside has so many": """
made, timer = 0, ctypes.create_string_buffer(8)
while made < 1000 and call(222, 107, 1, None, timer): made += 1
return made == 1000
""",
    "open files": 'kept = []\nwhile len(kept) < 500: kept.append(open("/dev/null"))\nreturn True',
    "pipes": "kept = []\nwhile len(kept) < 500: kept.append(os.pipe())\nreturn True",
    "output that is printed": 'while True: print("x" * 65536)',
    "output where answers go": 'line = b"x" * 65536\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, line)\n        except OSError: pass',
    "a long result": 'return "x" * (64 << 20)',
    "a deep result": "deep = []\nfor _ in range(200_000): deep = [deep]\nreturn deep",
    "a result that holds itself": "own = []; own.append(own); return own",
    "zip bomb": "import zlib\nbomb = zlib.compress(bytes(1 << 28), 9)\nreturn len(b''.join(zlib.decompress(bomb) for _ in range(64))) > 0",
    "regex bomb": 'import re; re.match(r"(a+)+$", "a" * 40 + "b"); return True',
    "number to text": "sys.set_int_max_str_digits(0); return len(str(7 ** (10 ** 8))) > 0",
    "number too large to hold": "return 10 ** 10 ** 10 > 0",
    "a crash": "ctypes.string_at(0); return True",
    "recursion": "sys.setrecursionlimit(10 ** 9)\ndef down(n): return down(n + 1) + 1\nreturn down(0) > 0",
}  # fmt: skip

_TIME: Final = {
    "never end": "while True: pass",
    "sleep past the deadline": "time.sleep(600); return True",
    "wait at a pipe with a name": 'os.mkfifo("/tmp/fifo"); open("/tmp/fifo").close(); return True',
    "stop itself": "import signal; os.kill(os.getpid(), signal.SIGSTOP); return True",
    "swallow every exception": "while True:\n    try: time.sleep(600)\n    except BaseException: pass",
    "ignore every signal": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.setitimer(signal.ITIMER_REAL, 0)
while True: pass
""",
    "raise its own limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1)); return True",
}

ATTACKS: Final = tuple(
    Attack(name, family, body)
    for family, listed in (
        ("files", _FILES),
        ("kernel", _KERNEL),
        ("processes", _PROCESSES),
        ("network", _NETWORK),
        ("floods", _FLOODS),
        ("time", _TIME),
    )
    for name, body in listed.items()
)

TEST: Final = (
    "def check(candidate):\n    for n in (3, 14, 159):\n        assert candidate(n) == [n * n, str(n)]\n"
)
"""What a forgery wants to pass."""
HONEST: Final = "def square(n): return [n * n, str(n)]"
"""What passes it."""

_SAY: Final = "import json, os, gc, sys\ndef say(**told):\n    for fd in range(3, 64):\n        try: os.write(fd, json.dumps(told).encode() + b'\\n')\n        except OSError: pass\n"

FORGERIES: Final = (
    Forgery("verdict on stdout", 'print(\'{"verdict": "passed"}\')\ndef square(n): print("OK"); return 0'),
    Forgery("exit code 0", "import os\ndef square(n): os._exit(0)"),
    Forgery("end before the test", "raise SystemExit(0)\ndef square(n): return 0"),
    Forgery("verdict where answers go", f'{_SAY}\ndef square(n): say(verdict="passed", why=""); return 0'),
    Forgery(
        "verdict with the nonce, found in a frame",
        f"{_SAY}\ndef square(n):\n    frame = sys._getframe()\n    while frame:\n"
        '        for value in list(frame.f_locals.values()):\n            nonce = getattr(value, "nonce", None)\n'
        '            if isinstance(nonce, str): say(nonce=nonce, verdict="passed", why="")\n        frame = frame.f_back\n    return 0',
    ),
    Forgery("equal to everything", "class Any:\n    __eq__ = lambda *_: True\n    __hash__ = lambda *_: 0\ndef square(n): return Any()"),
    Forgery(
        "a list equal to everything",
        "class Any(list):\n    __eq__ = lambda *_: True\n    __iter__ = lambda s: iter(())\ndef square(n): return Any()",
    ),
    Forgery("a number equal to everything", "class Any(int):\n    __eq__ = lambda *_: True\ndef square(n): return Any()"),
    Forgery("a text that lies about itself", 'class Any(str):\n    __repr__ = __str__ = lambda _: "x"\n    __eq__ = lambda *_: True\ndef square(n): return [n * n, Any("no")]'),
    Forgery(
        "change how outputs are written",
        "import ponder.sandbox.inside as inside\ninside.pack = lambda value: '\"passed\"'\ndef square(n): return 0",
    ),
    Forgery(
        "look for the test in memory",
        "import gc\ndef square(n):\n    for one in gc.get_objects():\n"
        "        if callable(one) and getattr(one, '__name__', '') == 'check': return [n * n, str(n)]\n    return 0",
    ),
    Forgery(
        "leave a hook for the next",
        "import sys\nfor path in ['/tmp/sitecustomize.py', '/tmp/conftest.py', '/tmp/x.pth', '/sandbox/json.py']:\n"
        "    try: open(path, 'w').write('import os; os._exit(0)')\n    except OSError: pass\n"
        "class Finder:\n    def find_spec(self, *a): raise SystemExit(0)\nsys.meta_path.insert(0, Finder())\ndef square(n): return 0",
    ),
)  # fmt: skip
