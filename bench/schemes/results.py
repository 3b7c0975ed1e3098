"""Results by key, in a file of JSON lines: what was computed once is read the next time."""

import collections
import contextlib
import json
import threading


class Missing(Exception):
    """A result that is not there, where only known ones are asked for."""


class Results:
    def __init__(self, path):
        self.path, self.known, self.writing = path, {}, threading.Lock()
        self.computing = collections.defaultdict(threading.Lock)  # by key, so that nothing is computed twice
        self.thread = threading.local()
        self.size = 0
        self.read_new()

    def read_new(self):
        """Several programs may work on one file."""
        if not self.path.exists() or self.path.stat().st_size == self.size:
            return
        self.size = self.path.stat().st_size
        for line in self.path.read_text().splitlines():
            try:
                entry = json.loads(line)
                self.known[entry["key"]] = entry["result"]
            except (ValueError, KeyError):
                continue  # cut short when a run was killed

    def get(self, key, compute):
        text = json.dumps(key)
        if text not in self.known:
            with self.writing:
                self.read_new()
        if text not in self.known and getattr(self.thread, "only_known", False):
            raise Missing(text)
        with self.writing:
            lock = self.computing[text]
        with lock:
            if text not in self.known:
                result = compute()
                with self.writing, self.path.open("a") as file:
                    self.known[text] = result
                    file.write("\n" + json.dumps({"key": text, "result": result}))
        return self.known[text]

    @contextlib.contextmanager
    def only_known(self):
        """Within, this thread computes nothing: `get` raises Missing."""
        self.thread.only_known = True
        try:
            yield
        finally:
            self.thread.only_known = False
