import gc
import os
import tempfile
import threading
import unittest

import numpy as np

import attune
from support import SHAPE, plan, words


class Running(unittest.TestCase):
    def setUp(self):
        self.session = plan(keep_gradients=True).session()

    def step(self, seed=0, **options):
        x, y = words(4, seed)
        return self.session.run("train_step", mfcc=x, labels=y, **{"learning_rate": 0.01, **options})

    def test_outputs_are_copies(self):
        first = self.session.run(mfcc=words(1)[0])["logits"]
        before = first.copy()
        self.session.run(mfcc=words(1, 5)[0])
        np.testing.assert_array_equal(first, before)

    def test_views_are_the_session_s_memory_and_outlive_it(self):
        view = self.session.run(mfcc=words(1)[0], copy=False)["logits"]
        before = view.copy()
        runs = self.session.runs
        self.session.run(mfcc=words(1, 5)[0])
        self.assertNotEqual(self.session.runs, runs)
        self.assertFalse(np.array_equal(view, before))
        del self.session
        gc.collect()
        view[:] = 7  # still memory
        self.assertEqual(view.sum(), 70)

    def test_inputs_are_converted_where_nothing_is_lost(self):
        x, _ = words(1)
        expected = self.session.run(mfcc=x)["logits"]
        for same in (x.astype(np.float64), x.tolist(), np.asfortranarray(x)):
            np.testing.assert_array_equal(self.session.run(mfcc=same)["logits"], expected)

    def test_wrong_arrays_are_refused(self):
        x, y = words(4)
        for arrays, text in (({"mfcc": x}, r"labels"),
                             ({"mfcc": x[:2], "labels": y, "learning_rate": 1}, r"mfcc: has the shape \[2,"),
                             ({"mfcc": x, "labels": y.astype(np.int64) + 2**33, "learning_rate": 1}, "cannot hold"),
                             ({"mfcc": x, "labels": y + 0.5, "learning_rate": 1}, "float64"),
                             ({"mfcc": x, "labels": y + 7, "learning_rate": 1}, "labels holds 10"),
                             ({"inputs": x, "labels": y}, "takes no inputs; it takes mfcc")):
            with self.subTest(text), self.assertRaisesRegex(attune.Error, text):
                self.session.run("train_step", arrays)
        with self.assertRaisesRegex(attune.Error, "no program"):
            self.session.run("dance")

    def test_a_step_learns(self):
        losses = [float(self.step()["loss"][0]) for _ in range(30)]
        self.assertLess(losses[-1], 0.5 * losses[0])
        self.session.reset()
        self.assertEqual(float(self.step()["loss"][0]), losses[0])

    def test_parameters_are_read_and_replaced(self):
        parameters = self.session.parameters
        self.assertIn("classifier.weight", parameters)
        self.assertEqual(len(parameters), len(list(parameters)))
        weight = parameters["classifier.weight"]
        self.assertEqual(weight.shape, parameters.info("classifier.weight").shape)
        parameters["classifier.weight"] = 2 * weight
        np.testing.assert_array_equal(parameters["classifier.weight"], 2 * weight)
        for value, text in ((np.full_like(weight, np.nan), "classifier.weight"), (weight[:3], "shape")):
            with self.assertRaisesRegex(attune.Error, text):
                parameters["classifier.weight"] = value
        np.testing.assert_array_equal(parameters["classifier.weight"], 2 * weight)
        with self.assertRaisesRegex(KeyError, "nothing: .*it trains .*classifier.weight"):
            parameters["nothing"]
        self.assertNotIn("nothing", parameters)

    def test_a_step_of_sgd_is_its_gradient(self):
        self.session = plan(keep_gradients=True, optimizer="sgd", scheme="full").session()
        before = dict(self.session.parameters)
        self.step(learning_rate=0.25)
        gradients = self.session.gradients
        self.assertEqual(set(gradients), set(before))
        for name, gradient in gradients.items():
            np.testing.assert_allclose(self.session.parameters[name], before[name] - 0.25 * gradient, rtol=1e-5,
                                       atol=1e-7)

    def test_gradients_that_are_gone_are_an_error(self):
        self.step()
        self.assertGreater(np.abs(self.session.gradients["classifier.weight"]).max(), 0)
        self.session.run(mfcc=words(1)[0])
        with self.assertRaises(attune.Error):
            self.session.gradients["classifier.weight"]
        self.assertEqual(len(plan().session().gradients), 0)
        with self.assertRaisesRegex(KeyError, "keep_gradients=True"):
            plan().session().gradients["classifier.weight"]

    def test_the_optimizer_s_tensors_are_read(self):
        self.step()
        velocity = self.session.parameters.slot("classifier.bias", "velocity")
        np.testing.assert_allclose(velocity, self.session.gradients["classifier.bias"], rtol=1e-6)

    def test_state_goes_through_a_checkpoint(self):
        self.step()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kws.atc")
            self.session.save(path)
            other = self.session.plan.session()
            other.load(path)
            self.assertEqual(other.native.state(), self.session.native.state())
            smaller = plan(scheme="full").session()
            with self.assertRaisesRegex(attune.Error, "kws.atc"):
                smaller.load(path)
            smaller.start_from(path)
            np.testing.assert_array_equal(smaller.parameters["classifier.weight"],
                                          self.session.parameters["classifier.weight"])

    def test_the_adapted_model_computes_what_the_session_does(self):
        for _ in range(5):
            self.step()
        x, _ = words(3)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "adapted.onnx")
            self.session.export(path)
            again = attune.compile(path).session().predict(x)
            with self.assertRaisesRegex(attune.Error, "kws.onnx"):
                self.session.export(attune.example_model())
        np.testing.assert_allclose(again, self.session.predict(x), atol=1e-5)

    def test_evaluate_and_predict_agree(self):
        x, y = words(11)
        measured = self.session.evaluate((x, y))
        probabilities = self.session.predict(x)
        self.assertEqual((measured.examples, probabilities.shape), (11, (11, 10)))
        self.assertAlmostEqual(measured.accuracy, float(np.mean(probabilities.argmax(1) == y)))
        self.assertAlmostEqual(measured.loss, float(-np.log(probabilities[np.arange(11), y]).mean()), places=4)
        self.assertEqual(measured.confusion.sum(), 11)
        outputs = self.session.predict(x, outputs=["logits", "probabilities"])
        np.testing.assert_array_equal(outputs["probabilities"], probabilities)

    def test_one_caller_at_a_time(self):
        x, y = words(8)
        session = self.session

        class Meddling:
            def __len__(self):
                return 8

            def __getitem__(self, index):
                if index == 5:
                    session.run(mfcc=x[:1])
                return x[index], y[index]

        with self.assertRaisesRegex(attune.Error, "in use"):
            session.evaluate(Meddling())
        session.run(mfcc=x[:1])  # and is free again

    def test_threads_with_sessions_of_their_own_get_the_same_bits(self):
        x, y = words(40)
        results = [None] * 4

        def work(index):
            session = self.session.plan.session()
            for _ in attune.Trainer(session, (x, y), epochs=3):
                pass
            results[index] = session.native.state()

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(results)), 1)
        self.assertNotEqual(results[0], self.session.native.state())


if __name__ == "__main__":
    unittest.main()
