"""A disk that loses what was not synced, played through a list of system calls of `strace -y`."""
import os
import re

CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(.*)$")
TRACED = "openat,write,ftruncate,fsync,fdatasync,renameat,renameat2,rename,linkat,unlinkat,unlink"


class Disk:
    """Names and contents, each as they are and as a power cut would leave them."""

    def __init__(self, names):
        self.now = {name: ("old", name) for name in names}
        self.durable = [dict(self.now)]  # after any number of changes since the folder's last sync
        self.synced = set(self.now.values())

    def call(self, name, arguments):
        paths = re.findall(r'"([^"]*)"', arguments)
        base = [os.path.basename(p) for p in paths]
        descriptor = re.match(r"\d+<([^>]*)>", arguments)
        file = os.path.basename(descriptor[1]) if descriptor else ""
        before = dict(self.now)
        if name == "openat" and "O_CREAT" in arguments and base[0] not in self.now:
            self.now[base[0]] = ("new", base[0], object())
        elif name in ("write", "ftruncate") and file in self.now:
            self.synced.discard(self.now[file])
        elif name in ("fsync", "fdatasync"):
            if file in self.now:
                self.synced.add(self.now[file])
            elif descriptor:
                self.durable = [dict(self.now)]
        elif name.startswith("rename"):
            self.now[base[1]] = self.now.pop(base[0])
        elif name == "linkat":
            self.now[base[1]] = self.now[base[0]]
        elif name.startswith("unlink"):
            self.now.pop(base[0], None)
        if self.now != before:
            self.durable.append(dict(self.now))

    def faults(self, target, existed):
        """What a power cut now would do to the target."""
        for names in self.durable:
            if target not in names:
                if existed:
                    yield f"{target} would be gone"
            elif names[target] not in self.synced:
                yield f"{target} would be cut short"


def play(lines, target, existed, names):
    """All faults, at any moment and after the end."""
    disk, found = Disk(names), []
    for line in lines:
        call = CALL.match(line)
        if not call or int(call[3]) < 0 or "INJECTED" in call[4]:
            continue
        disk.call(call[1], call[2])
        found += [f"{fault}, after {line.strip()}" for fault in disk.faults(target, existed)]
    if any(names.get(target) != disk.now.get(target) for names in disk.durable):
        found.append(f"{target}: the new one would be gone after the end")
    return found
