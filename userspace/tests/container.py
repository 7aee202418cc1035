# SPDX-License-Identifier: GPL-2.0-or-later
"""A container for tests of moving containers, and what it says of itself."""
import contextlib
import os
import subprocess

import moving
from moving import text_of

CGROUPS = "/sys/fs/cgroup"
MIB, PROCESSES = 8, 3


def put(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def first_line(path):
    return text_of(path).partition("\n")[0].strip()


class Container:
    """Processes in a cgroup, and what they say of themselves."""

    def __init__(self, folder, name):
        self.name, self.file, self.mib = name, f"{folder}/{name}.status", MIB
        self.cgroup = f"machine/{name}"
        self.text_of = text_of  # another one where it is on another machine

    def start(self, mib=MIB):
        self.mib = mib
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.file)
        path = f"{CGROUPS}/{self.cgroup}"
        os.makedirs(path)
        program = f"{os.environ['CORBEL_SELFTESTS']}/guest/container"
        subprocess.Popen(
            ["unshare", "--pid", "--fork", "sh", "-c", f"echo $$ >{path}/cgroup.procs && cd / && "
             f"exec {program} {self.file} {mib} {PROCESSES}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.goes_on()

    def steps(self):
        """Of each process, and how often they have seen something wrong."""
        lines = self.text_of(self.file).split("\n")
        words = [line.split() for line in lines if line.strip("\0 ")]
        try:
            return [int(w[1]) for w in words], sum(int(w[3]) for w in words)
        except IndexError:
            return [], 0

    def goes_on(self):
        before = moving.until("all processes say something",
                              lambda: len(self.steps()[0]) == PROCESSES and self.steps()[0])
        moving.until("all of them go on",
                     lambda: all(a > b for a, b in zip(self.steps()[0], before)))

    def is_right(self):
        if self.steps()[1]:
            raise AssertionError(f"wrong memory was seen: {self.steps()}")

    def runs_through(self):
        """Each process looks at each of its pages, and none is wrong."""
        before = self.steps()[0]
        moving.until("all of its memory was looked at",
                     lambda: all(a > b + (self.mib << 8) * 2 for a, b in zip(self.steps()[0], before)))
        self.is_right()

    def processes(self):
        return [int(line) for line in self.text_of(f"{CGROUPS}/{self.cgroup}/cgroup.procs").split()]

    def is_frozen(self):
        return self.text_of(f"{CGROUPS}/{self.cgroup}/cgroup.freeze").strip() == "1"

    def end(self):
        path = f"{CGROUPS}/{self.cgroup}"
        if os.path.exists(path):
            put(f"{path}/cgroup.kill", "1")
            moving.until("its processes end", lambda: not self.processes())
            os.rmdir(path)
