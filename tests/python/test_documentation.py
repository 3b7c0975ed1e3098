"""What docstrings and documents show is what happens."""

import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
import unittest

import attune
from support import module

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "python.md")


class Documentation(unittest.TestCase):
    def test_docstrings(self):
        tried = 0
        for info in pkgutil.iter_modules(attune.__path__):
            if info.name in ("_native", "__main__"):
                continue
            result = doctest.testmod(importlib.import_module("attune." + info.name))
            self.assertEqual(result.failed, 0, info.name)
            tried += result.attempted
        result = doctest.testmod(attune)
        self.assertEqual(result.failed, 0)
        self.assertGreater(tried, 30)

    def test_the_tour(self):
        module("torch")
        self.assertEqual(doctest.testfile(os.path.abspath(DOCS), module_relative=False).failed, 0)

    def test_the_command_is_there(self):
        made = subprocess.run([sys.executable, "-m", "attune", "--version"], capture_output=True, text=True)
        self.assertEqual((made.returncode, made.stdout.split()[0]), (0, "attune"))
        made = subprocess.run([sys.executable, "-m", "attune", "compile", "nowhere.onnx", "-o", "x.att"],
                              capture_output=True, text=True)
        self.assertEqual(made.returncode, 2)
        self.assertIn("nowhere.onnx", made.stderr)


if __name__ == "__main__":
    unittest.main()
