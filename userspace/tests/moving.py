# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of migrations are made of: two daemons on one machine, a guest that looks at
its own memory, an unmodified pair of QEMUs beside them, and who notes what is seen of it.
"""
import fcntl
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

SLOWER = float(os.environ.get("CORBEL_PATIENCE", "1"))
PATIENCE = 240.0 * SLOWER
MEMORY_INFO = 0xC000CB61 | 112 << 16  # CORBEL_MEMORY_INFO


def until(what, look, patience=PATIENCE, pause=0.05):
    """What look() returns once that is true."""
    end = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s in vain until {what}")
        time.sleep(pause)
    return seen


def part_of_object(node):
    """Per cent of the pages of a memory object that are there."""
    with open(node, "rb") as memory:
        info = bytearray(struct.pack("=I", 112).ljust(112, b"\0"))
        fcntl.ioctl(memory, MEMORY_INFO, info)
    size, present = struct.unpack_from("=QQ", info, 8)
    return 100 * present / size if size else None


def text_of(path):
    """Empty: there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def brief(job):
    """Of a migration, without its samples."""
    result = {key: what for key, what in (job.get("result") or {}).items() if key != "samples"}
    return {**job, "result": result}


class Points:
    """Of TAP; @tell: what to say of a point that failed."""

    def __init__(self, tell=None):
        self.number = self.failed = 0
        self.tell = tell

    def run(self, name, what, *arguments):
        self.number += 1
        began = time.monotonic()
        try:
            what(*arguments)
            print(f"ok {self.number} {name}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            self.failed += 1
            print(f"not ok {self.number} {name}")
            told = self.tell() if self.tell else ""
            for line in f"{type(error).__name__}: {error}\n{told}".splitlines():
                print(f"# {line}", flush=True)
        took = time.monotonic() - began
        if took >= 10:
            print(f"# that took {took:.0f} s", flush=True)

    def end(self):
        print(f"1..{self.number}")
        return 1 if self.failed else 0


class Done:
    """What is told of each turn, also of those before a long run was cut off: they are not done
    again.
    """

    MARK = "# done "

    def __init__(self):
        self.turns = {}
        try:
            with open(os.environ.get("CORBEL_DONE", ""), encoding="utf-8") as file:
                for line in file:
                    name, *facts = json.loads(line.removeprefix(self.MARK))
                    self.turns.setdefault(name, []).append(facts)
        except FileNotFoundError:
            pass

    def has(self, name, turn):
        return len(self.turns.get(name, ())) > turn

    def add(self, name, *facts):
        self.turns.setdefault(name, []).append(facts)
        print(self.MARK + json.dumps([name, *facts]), flush=True)


class Ticks:
    """Bytes that a guest's debug port sends as datagrams: one for each eighth step."""

    def __init__(self, address="127.0.0.1"):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.seen, self.wrong = [], False
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            data = self.socket.recv(4096)
            self.seen.append(time.monotonic())
            self.wrong = self.wrong or any(byte & 0x80 for byte in data)

    def option(self):
        return f"udp:{self.address}:{self.port}"

    def wait_more(self, count=20, patience=PATIENCE):
        before = len(self.seen)
        until("the guest goes on", lambda: len(self.seen) >= before + count, patience)

    def longest_gap(self, begin, end):
        """In seconds, of those that touch this time."""
        times = [t for t in list(self.seen) if t > begin - 5]
        return max((b - a for a, b in zip(times, times[1:]) if b > begin and a < end), default=0)


def check_guest(path, question="s"):
    """The guest at that console answers, and has seen nothing wrong. "a": it looks at all first."""
    words = until("the guest answers", lambda: _answer(path, question)).split()
    if words[::2] != ["steps", "wrong"] or words[3] != "0":
        raise AssertionError(f"the guest says: {' '.join(words)}")


def _answer(path, question):
    try:
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(60)
            console.connect(path)
            console.send(question.encode())
            line = b""
            while not line.endswith(b"\n"):
                part = console.recv(100)
                if not part:
                    raise AssertionError("the console has ended")
                line += part
            return line.decode()
    except OSError:
        return None


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        until("QEMU listens", lambda: self._connect(path))
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.run("qmp_capabilities")

    def _connect(self, path):
        try:
            self.socket.connect(path)
            return True
        except OSError:
            return False

    def run(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']['desc']}")


class AnyHost:
    """What can be asked of a host wherever it is: by corbel()."""

    name = None

    def corbel(self, *arguments):
        raise NotImplementedError

    def job(self, number):
        return json.loads(self.corbel("job", "show", str(number), "--json"))["job"]

    def restart(self):
        """As somebody who is killed finds it."""
        self.kill()
        self.start()

    def defines(self, vm):
        known = json.loads(self.corbel("vm", "inventory", "--json"))["definitions"]
        return any(each["name"] == vm for each in known)

    def refuses(self, why, *arguments):
        """That command, for that reason or one of those."""
        try:
            self.corbel(*arguments)
        except AssertionError as error:
            if not any(each in str(error) for each in ([why] if isinstance(why, str) else why)):
                raise
        else:
            raise AssertionError(f"corbel {' '.join(arguments)} was done")

    def begin_migration(self, vm, to, mode, *more):
        done = self.corbel("migrate", vm, to.name, "--mode", mode, "--no-wait", "--json", *more)
        return json.loads(done)["job"]["id"]

    def end_of(self, number):
        return until(f"job {number} has ended", lambda: self.has_ended(number), pause=0.3)

    def has_ended(self, number):
        """The job; none: it has not."""
        job = self.job(number)
        return job if job["state"] in ("done", "failed", "cancelled") else None


class Host(AnyHost):
    """A daemon of its own, on this machine."""

    def __init__(self, work, number, name, address=None, within=()):
        """@within: a command that runs what follows it, somewhere."""
        self.within = within
        self.folder, self.number, self.name = f"{work}/{number}", number, name
        self.address = address or f"127.0.0.1:748{number}"
        os.makedirs(self.folder)
        self.log = open(f"{self.folder}/log", "a", encoding="utf-8")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.within, "corbeld", "--metrics", "", "--socket", f"{self.folder}/socket", "--state",
             f"{self.folder}/state", "--vms", f"{self.folder}/vm", "--listen", self.address,
             "--patience", str(int(20 * SLOWER)), "--slice", f"corbel{self.number}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until("the daemon answers", lambda: self._corbel("status").returncode == 0)

    def runs(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def output_of(self, *arguments):
        """Whatever comes of it."""
        return self._corbel(*arguments).stdout

    def _corbel(self, *arguments):
        return subprocess.run(["corbel", *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "CORBEL_SOCKET": f"{self.folder}/socket"})

    def corbel(self, *arguments):
        done = self._corbel(*arguments)
        if done.returncode:
            raise AssertionError(f"corbel {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def file_of(self, vm, name):
        return f"{self.folder}/vm/{vm}/{name}"

    def has(self, vm):
        """Anything of it."""
        return os.path.exists(self.file_of(vm, ""))

    def check(self, vm, question="s"):
        check_guest(self.file_of(vm, "console"), question)

    def pid_of(self, vm):
        """Of its QEMU; none: it is not here."""
        try:
            with open(self.file_of(vm, "pid"), encoding="utf-8") as file:
                pid = int(file.read())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def part_of(self, vm):
        """Per cent of its pages that have come here; none: it has no memory object here."""
        try:
            with open(self.file_of(vm, "launch.json"), encoding="utf-8") as file:
                return part_of_object(f"/dev/corbel-ram{json.load(file)['memory']}")
        except (OSError, ValueError, KeyError):
            return None

    def link(self):
        """That others come by."""
        address = self.address.partition(":")[0]
        links = subprocess.run(["ip", "-o", "-4", "addr"], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        return next(line.split()[1] for line in links if f" {address}/" in line)

    def limit_link(self, rate=None):
        """Of what it sends; sch_tbf must be loaded."""
        how = ("tbf", "rate", rate, "burst", "128k", "latency", "100ms") if rate else ("pfifo",)
        subprocess.run(["tc", "qdisc", "replace", "dev", self.link(), "root", *how], check=True)

    @staticmethod
    def memories():
        """Objects of this machine."""
        return glob.glob("/dev/corbel-ram[0-9]*")

    def last_words(self):
        with open(f"{self.folder}/log", encoding="utf-8") as file:
            return "".join(file.readlines()[-15:])

    def end(self):
        if self.runs():
            self.kill()
        for vm in os.listdir(f"{self.folder}/vm") if os.path.isdir(f"{self.folder}/vm") else ():
            if pid := self.pid_of(vm):
                os.kill(pid, signal.SIGKILL)


def serve(host, port):
    """What a Remote asks for, until that is `end`."""
    with socket.create_server(("", port)) as server:
        while True:
            connection = server.accept()[0]
            with connection, connection.makefile("rw") as file:
                for line in file:
                    what, arguments = json.loads(line)
                    try:
                        answer = [getattr(host, what)(*arguments), None]
                    except Exception as error:  # pylint: disable=broad-except
                        answer = [None, f"{type(error).__name__}: {error}"]
                    file.write(json.dumps(answer) + "\n")
                    file.flush()
                    if what == "end":
                        return


class Remote(AnyHost):
    """A Host on another machine, where serve() runs."""

    def __init__(self, name, machine, port):
        self.name = name
        self.socket = until("the other host serves", lambda: self._connect(machine, port))
        self.file = self.socket.makefile("rw")

    @staticmethod
    def _connect(machine, port):
        try:
            return socket.create_connection((machine, port), 5)
        except OSError:
            return None

    def ask(self, what, *arguments):
        self.socket.settimeout(PATIENCE + 60)
        self.file.write(json.dumps([what, arguments]) + "\n")
        self.file.flush()
        answer, error = json.loads(self.file.readline())
        if error:
            raise AssertionError(f"at {self.name}: {error}")
        return answer

    def corbel(self, *arguments):
        return self.ask("corbel", *arguments)

    def __getattr__(self, what):
        return lambda *arguments: self.ask(what, *arguments)


# Of the two machines of a pair of the bench, of which the second one judges.
PAIR = "10.77.0.1", "10.77.0.2"
PAIR_PORT = 7700


def host_of_pair(kind=Host):
    """The one of this machine."""
    number = int(os.environ["CORBEL_HOST"])
    return kind(tempfile.mkdtemp(), number, "ab"[number - 1], f"{PAIR[number - 1]}:7464")


def world_of_pair(kind=Host):
    """At the second one: the first one serves."""
    return World([Remote("a", PAIR[0], PAIR_PORT), host_of_pair(kind)],
                 [f"{address}:7464" for address in PAIR])


class World:
    """Two paired hosts, and a folder that goes with them."""

    def __init__(self, hosts=None, addresses=None, folder=None):
        self.folder = folder or tempfile.mkdtemp()
        self.hosts = hosts or [Host(self.folder, 1, "a"), Host(self.folder, 2, "b")]
        first, second = self.hosts
        for host, address in zip(self.hosts, addresses or [host.address for host in self.hosts]):
            host.corbel("host", "init", "--name", host.name, "--address", address)
        token = next(word for word in first.corbel("host", "invite").split()
                     if word.startswith("corbel1-"))
        second.corbel("host", "join", token)

    def end(self):
        for host in self.hosts:
            host.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self, vm, ticks, memory, disk=None):
        """A file that does; @disk: the path of one."""
        lines = [f'name = "{vm}"', f'memory = "{memory}M"', 'machine = "pc"',
                 'accelerator = "kvm"', f'kernel = "{checker()}"',
                 f'extra = ["-debugcon", "{ticks.option()}"]']
        if disk:
            lines += ['append = "disk"', "[[disks]]", f'path = "{disk}"', 'interface = "ide"']
        with open(f"{self.folder}/{vm}.toml", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return f"{self.folder}/{vm}.toml"

    def define(self, host, vm, ticks, memory, disk=True):
        host.corbel("vm", "define",
                    self.describe(vm, ticks, memory, self.disk(vm) if disk else None))

    def disk(self, vm):
        path = f"{self.folder}/{vm}.disk"
        with open(path, "ab") as file:
            file.truncate(1 << 20)
        return path

    def other(self, host):
        return self.hosts[1 - self.hosts.index(host)]

    def logs(self):
        return "".join(host.last_words() for host in self.hosts)

    def state(self, vm):
        """Where it stands still: for hosts of this machine."""
        parts = []
        for host in self.hosts:
            pid = host.pid_of(vm)
            parts.append(f"{host.name}: QEMU {pid}, {host.part_of(vm)} % of its pages")
            parts += [" ".join(text_of(f"{task}/{name}").replace("\n", " ")
                               for name in ("comm", "syscall", "stack"))
                      for task in glob.glob(f"/proc/{pid}/task/*")]
            parts += [host.last_words(), host.output_of("job", "list")]
        parts.append(subprocess.run(["ss", "-tn"], capture_output=True, text=True,
                                    check=False).stdout)
        return "\n".join(parts)


def checker():
    return f"{os.environ['CORBEL_SELFTESTS']}/guest/checker"


class PlainQemu:
    """The same guest in QEMUs of no controller: its own post-copy, as its documentation tunes it."""

    def __init__(self, work, ticks, memory, disk):
        self.work, self.ticks, self.memory, self.disk = work, ticks, memory, disk
        self.turn = 0
        self.process, self.qmp = self._begin()

    def _begin(self, *more):
        self.turn += 1
        name = f"{self.work}/peer{self.turn}"
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "kvm", "-machine", "pc", "-m",
             str(self.memory), "-nodefaults", "-no-user-config", "-display", "none", "-kernel",
             checker(), "-append", "disk", "-drive",
             f"file={self.disk},format=raw,if=ide,index=2,file.locking=off", "-debugcon",
             self.ticks.option(), "-serial", f"unix:{name}.console,server=on,wait=off", "-qmp",
             f"unix:{name}.qmp,server=on,wait=off", *more], stdin=subprocess.DEVNULL)
        return process, Qmp(f"{name}.qmp")

    def console(self):
        return f"{self.work}/peer{self.turn}.console"

    def move(self, warm):
        """Seconds: its downtime as QEMU tells it, and in all. @warm: all is sent once before."""
        begin = time.monotonic()
        process, qmp = self._begin("-incoming", "defer")
        capabilities = [{"capability": c, "state": True}
                        for c in ("postcopy-ram", "postcopy-preempt")]
        for end in self.qmp, qmp:
            end.run("migrate-set-capabilities", capabilities=capabilities)
            end.run("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        address = f"tcp:127.0.0.1:{7490 + self.turn % 2}"
        qmp.run("migrate-incoming", uri=address)
        self.qmp.run("migrate", uri=address)
        if warm:
            until("a first round is sent",
                  lambda: self._state().get("ram", {}).get("dirty-sync-count", 0) > 1 or
                  self._state()["status"] != "active", pause=0.01)
        else:
            until("it is active", lambda: self._state()["status"] != "setup", pause=0.005)
        if self._state()["status"] == "active":
            self.qmp.run("migrate-start-postcopy")
        until("QEMU has moved it", lambda: self._state()["status"] == "completed", pause=0.01)
        until("it is there", lambda: qmp.run("query-migrate").get("status") == "completed",
              pause=0.01)
        took = time.monotonic() - begin
        downtime = self._state().get("downtime", 0) / 1000
        self.qmp.run("quit")
        self.process.wait()
        self.process, self.qmp = process, qmp
        return downtime, took

    def _state(self):
        state = self.qmp.run("query-migrate")
        if state.get("status") in ("failed", "postcopy-paused"):
            raise AssertionError(f"QEMU's migration: {state}")
        return state

    def end(self):
        self.process.kill()
        self.process.wait()
