import json
import os
import tempfile
import unittest

import numpy as np

import attune
from support import SHAPE, module, plan, words


class Compiling(unittest.TestCase):
    def test_options_reach_the_plan(self):
        made = plan(optimizer="adam", batch_size=3, predict_batch=5, labels=[f"word{i}" for i in range(10)])
        self.assertIn("adam", made.optimizer)
        self.assertEqual(made.classes[9], "word9")
        session = made.session()
        self.assertEqual(session.ports("train_step")[0].shape, (3, *SHAPE))
        self.assertEqual(session.ports("predict")[0].shape, (5, *SHAPE))

    def test_a_scheme_is_a_text_or_json(self):
        made = plan(scheme={"bias_last": 1, "layers": [{"layer": 8, "input_channels": 0.5}]})
        sliced = [p for p in made.inspect()["parameters"] if p["trained_elements"] < p["elements"]]
        self.assertEqual([p["name"] for p in sliced], ["block3.pointwise.weight"])
        self.assertEqual(plan(scheme=made.scheme).signature, made.signature)

    def test_a_model_is_a_path_or_bytes_or_a_proto(self):
        with open(attune.example_model(), "rb") as file:
            contents = file.read()
        self.assertEqual(attune.compile(contents).signature, attune.compile(attune.example_model()).signature)
        onnx = module("onnx")
        self.assertEqual(attune.compile(onnx.load_from_string(contents)).signature,
                         attune.compile(attune.example_model()).signature)

    def test_errors_have_the_library_s_text_and_the_argument_s_name(self):
        for options, text in (({"scheme": "nothing"}, "nothing"), ({"batch_size": 0}, "0"),
                              ({"memory": "12parsecs"}, "^memory"), ({"momentum": 2}, "^momentum"),
                              ({"memory": "1kB"}, "memory"), ({"no_such_option": 1}, "^no_such_option: there is no such option$"),
                              ({"shceme": "full"}, r"^shceme: .*\(did you mean scheme\?\)"),
                              ({"labels": ["yes", "no"]}, "^labels: .* or classes 2 for a fresh"),
                              ({"preprocess": {"image": {"width": 4}}}, "preprocess|height")):
            with self.subTest(options), self.assertRaisesRegex(attune.Error, text):
                plan(**options)
        with self.assertRaisesRegex(attune.Error, "nowhere.onnx"):
            attune.compile("nowhere.onnx")
        with self.assertRaises(attune.Error):
            attune.compile(b"this is no model")
        with self.assertRaisesRegex(attune.Error, "give memory, flash or latency"):
            attune.search(attune.example_model(), words(10))
        self.assertTrue(issubclass(attune.Error, RuntimeError))
        self.assertRegex(attune.__version__, r"^\d+\.\d+\.\d+$")

    def test_a_budget_is_kept(self):
        made = plan(memory="200kB", backend="reference")
        self.assertLessEqual(made.session().memory["ram"], 200_000)

    def test_notes_go_to_the_logger(self):
        with self.assertLogs("attune", "WARNING") as logs:
            plan(memory="200kB")
        self.assertRegex(logs.output[0], "reference")


class Plans(unittest.TestCase):
    def test_a_plan_is_saved_and_read(self):
        made = plan()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kws.att")
            made.save(path)
            self.assertEqual(os.listdir(folder), ["kws.att"])
            self.assertEqual(attune.load(path).contents, made.contents)
            with open(path, "r+b") as file:
                file.truncate(1000)
            with self.assertRaisesRegex(attune.Error, "kws.att.*truncated"):
                attune.load(path)
            with self.assertRaisesRegex(attune.Error, "cannot be written"):
                made.save(os.path.join(folder, "no", "folder.att"))
        with self.assertRaisesRegex(attune.Error, "nowhere.att"):
            attune.load("nowhere.att")

    def test_inspect_tells_memory_and_steps(self):
        facts = plan().inspect()
        self.assertEqual({p["name"] for p in facts["programs"]}, {"train_step", "evaluate", "predict"})
        self.assertGreater(facts["memory"]["arena"], 0)
        json.dumps(facts)

    def test_a_plan_is_verified_against_its_model(self):
        made = plan()
        self.assertTrue(made.verify(examples=2)["ok"])
        x = np.zeros((4, *SHAPE), np.float32)
        self.assertTrue(made.verify(data=(x, [1, 2, 3, 4]), examples=2)["ok"])
        with self.assertRaisesRegex(attune.Error, "say which model"):
            attune.Plan(made.contents).verify()


if __name__ == "__main__":
    unittest.main()
