# SPDX-License-Identifier: GPL-2.0-or-later
"""The link between two daemons of one machine, as tests of migrations want it."""
import subprocess

RATE = "80mbit"  # so that moments of a migration are apart


def run(*command):
    subprocess.run(command, check=True)


def begin():
    """All but a guest's ticks goes by the first band."""
    run("modprobe", "-a", "sch_prio", "sch_tbf", "sch_netem", "cls_u32")
    run("tc", "qdisc", "replace", "dev", "lo", "root", "handle", "1:", "prio", "bands", "2",
        "priomap", *["0"] * 16)
    run("tc", "filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip", "u32", "match", "ip",
        "protocol", "17", "0xff", "flowid", "1:2")


def _set(*how):
    run("tc", "qdisc", "replace", "dev", "lo", "parent", "1:1", *how)


def whole():
    _set("pfifo")


def slow(rate=RATE):
    _set("tbf", "rate", rate, "burst", "128k", "latency", "100ms")


def cut():
    _set("netem", "loss", "100%")
