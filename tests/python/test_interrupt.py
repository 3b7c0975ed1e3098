import os
import signal
import threading
import time
import unittest

import numpy as np

import attune
from support import SHAPE, plan, words

LIMIT = 20  # seconds, on a machine that is busy


class Interrupting(unittest.TestCase):
    """Ctrl-C ends what takes long, and the library works on."""

    def interrupted(self, call, delay=0.3):
        """Calls until a signal ends it."""
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            with self.assertRaises(KeyboardInterrupt):
                start = time.monotonic()
                while time.monotonic() - start < LIMIT:
                    call()
        finally:
            timer.cancel()
        plan()

    def test_compile(self):
        self.interrupted(lambda: plan(scheme="full", memory="190kB", backend="reference"))

    def test_search(self):
        x, y = words(40)
        self.interrupted(lambda: attune.search(attune.example_model(), (x, y), memory="128KiB", batch_size=1,
                                               backend="reference", estimator="measured", steps=10**6), delay=1)

    def test_verify(self):
        made = plan()
        self.interrupted(lambda: made.verify(examples=2000))

    def test_evaluate_and_predict(self):
        x, y = words(10)
        many = np.broadcast_to(x, (3000, *x.shape)).reshape(-1, *SHAPE)
        session = plan().session()
        data = session.data((many, np.tile(y, 3000)))
        self.interrupted(lambda: session.evaluate(data))
        self.interrupted(lambda: session.predict(data))
        session.evaluate((x, y))

    def test_a_handler_s_own_exception_comes_through(self):
        def handler(number, frame):
            raise RuntimeError("mine")

        before = signal.signal(signal.SIGINT, handler)
        try:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with self.assertRaisesRegex(RuntimeError, "mine"):
                plan().verify(examples=100_000)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_other_threads_run_meanwhile(self):
        counted, done = [0], threading.Event()

        def count():
            while not done.is_set():
                counted[0] += 1
                time.sleep(0.001)

        thread = threading.Thread(target=count)
        thread.start()
        try:
            plan().verify(examples=50)
        finally:
            done.set()
            thread.join()
        self.assertGreater(counted[0], 10)


if __name__ == "__main__":
    unittest.main()
