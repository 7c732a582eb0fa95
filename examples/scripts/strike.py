"""Kill a worker of the run that this task belongs to, once it has trained for a moment."""

import json
import os
import signal
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

# The seconds that a worker has worked before it is killed, and after which there is nobody to kill.
WORKED = 0.1
PATIENCE = 30


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


before = {}
until = time.monotonic() + PATIENCE
killed = 0
while not killed and time.monotonic() < until:
    now = others(processes())
    # Who has worked since the last look trains; another may only have trained before.
    busy = [(worked, pid) for worked, pid in now if worked >= WORKED and worked > before.get(pid, worked)]
    before = {pid: worked for worked, pid in now}
    if busy:
        os.kill(max(busy)[1], signal.SIGKILL)
        killed = 1
    time.sleep(0.02)
Path(os.environ["SMLT_OUT"]).write_text(json.dumps({"killed": killed}))
