"""Kill the busiest worker of the run that this task belongs to, once it has worked for a while: `strike.py SECONDS`."""

import json
import os
import signal
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def about(pid):
    """The parent of a process, the seconds that it has worked, and its command line."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, command


def processes():
    """All processes that there are, by their number."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = about(entry.name)
            except OSError:
                pass  # It has ended meanwhile.
    return found


def others(found):
    """The other workers of this run: they have a grandparent in common with the one that runs this task."""
    own = os.getppid()
    keeper = found[own][0]
    run = found[keeper][0]
    keepers = [pid for pid, (parent, _, _) in found.items() if parent == run and pid != keeper]
    return [(worked, pid) for pid, (parent, worked, _) in found.items() if parent in keepers]


seconds = float(sys.argv[1].removesuffix("s"))
while True:
    worked, pid = max(others(processes()), default=(0.0, 0))
    if worked > 0.2:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        Path(os.environ["SMLT_OUT"]).write_text(json.dumps({"killed": 1}))
        break
    time.sleep(0.05)
