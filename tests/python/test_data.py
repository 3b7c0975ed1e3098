import os
import tempfile
import unittest

import numpy as np

import attune
from support import plan, words


class Data(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plan = plan(labels=[f"word{i}" for i in range(10)])

    def learned(self, data):
        """What two epochs over the data make of the parameters."""
        session = self.plan.session()
        for _ in attune.Trainer(session, data, epochs=2, learning_rate=0.01, seed=3):
            pass
        return session.native.state()

    def test_every_kind_of_data_is_the_same(self):
        x, y = words(10)
        expected = self.learned((x, y))
        self.assertNotEqual(expected, self.plan.session().native.state())
        pairs = list(zip(x, y))
        with tempfile.TemporaryDirectory() as folder:
            npz = os.path.join(folder, "words.npz")
            np.savez(npz, x=x, y=y)
            classes = os.path.join(folder, "classes")
            for i, (example, label) in enumerate(pairs):
                os.makedirs(os.path.join(classes, f"word{label}"), exist_ok=True)
                np.save(os.path.join(classes, f"word{label}", f"{i}.npy"), example)
            for what, data in (("a mapping", {"mfcc": x, "y": y}), ("x", {"x": x, "labels": y}),
                               ("names", (x, [f"word{label}" for label in y])),
                               ("weights", (x, y, np.ones(10))), ("doubles", (x.astype(float), y.astype(np.int64))),
                               ("no axis of one", (x[:, 0], y)), ("a sequence", pairs),
                               ("an iterable", iter(pairs)), ("mappings", [{"x": a, "y": b} for a, b in pairs]),
                               ("a file", npz), ("files", attune.Files(npz)), ("a folder", classes)):
                with self.subTest(what):
                    self.assertEqual(self.learned(data), expected)

    def test_weights_count(self):
        x, y = words(8)
        weights = np.where(np.arange(8) < 4, 1.0, 0.0)
        session = self.plan.session()
        self.assertAlmostEqual(session.evaluate((x, y, weights)).loss, session.evaluate((x[:4], y[:4])).loss, places=6)

    def test_wrong_data_are_refused(self):
        x, y = words(6)
        bad = x.copy()
        bad[3, 0, 0, 0] = np.nan
        session = self.plan.session()
        for data, text in (((x, y[:5]), "6 examples and 5 labels"), ((bad, y), "example 3.*not finite"),
                           ((x[:, :, :40], y), r"takes \[n, 1, 49, 10\]"), ((x, y + 5), "10"),
                           ((x, ["word1"] * 5 + ["cat"]), "cat"), ({"picture": x, "y": y}, "inputs are mfcc"),
                           ([], "no examples"), (iter([]), "no examples"), (x, "label"), (7, "int is no data"),
                           ("nowhere", "nowhere"), ((x, y, -np.ones(6)), "weight")):
            with self.subTest(text), self.assertRaisesRegex(attune.Error, text):
                attune.Trainer(session, data).run()

    def test_what_a_sequence_raises_is_raised(self):
        x, y = words(6)

        class Broken:
            def __len__(self):
                return 6

            def __getitem__(self, index):
                if index == 4:
                    raise ZeroDivisionError("the fifth")
                return x[index], y[index]

        session = self.plan.session()
        for call in (lambda: session.evaluate(Broken()), lambda: session.predict(Broken()),
                     lambda: attune.Trainer(session, Broken()).run(), lambda: self.plan.verify(data=Broken(), examples=6),
                     lambda: attune.search(attune.example_model(), Broken(), memory="1MB", jobs=1)):
            with self.assertRaisesRegex(ZeroDivisionError, "the fifth"):
                call()
        session.evaluate((x, y))

    def test_an_example_is_made_once_for_input_and_label(self):
        x, y = words(8)
        calls = []

        class Counting:
            def __len__(self):
                return 8

            def __getitem__(self, index):
                calls.append(index)
                return x[index], y[index]

        trainer = attune.Trainer(self.plan.session(), Counting(), epochs=1)
        calls.clear()
        trainer.run()
        self.assertEqual(sorted(calls), list(range(8)))

    def test_notes_of_files_are_logged(self):
        x, y = words(2)
        with tempfile.TemporaryDirectory() as folder:
            for i in range(2):
                os.makedirs(os.path.join(folder, f"word{y[i]}"))
                np.save(os.path.join(folder, f"word{y[i]}", "one.npy"), x[i])
            with open(os.path.join(folder, "word0", "notes.txt"), "w") as file:
                file.write("no example")
            with self.assertLogs("attune", "WARNING"):
                data = self.plan.session().data(folder)
            self.assertEqual((len(data), data.labelled), (2, True))


if __name__ == "__main__":
    unittest.main()
