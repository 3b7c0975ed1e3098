import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import numpy as np

import attune
from support import COMMAND, plan, words


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plan = plan()
        cls.data = words(22)
        cls.held_out = words(10, seed=1)

    def trainer(self, session=None, **options):
        return attune.Trainer(session or self.plan.session(), self.data, **{"epochs": 3, "learning_rate": 0.001, **options})

    def test_it_iterates_over_the_steps(self):
        trainer = self.trainer(validation=self.held_out)
        steps = list(trainer)
        self.assertEqual([step.number for step in steps], list(range(1, 19)))
        self.assertEqual([step.number for step in steps if step.epoch_ended], [6, 12, 18])
        self.assertEqual([epoch.number for epoch in trainer.epochs], [1, 2, 3])
        self.assertLess(trainer.epochs[-1].loss, trainer.epochs[0].loss)
        measured = trainer.session.evaluate(self.held_out)
        self.assertEqual(measured.loss, trainer.epochs[trainer.best_epoch - 1].validation_loss)
        self.assertTrue(trainer.done)
        with self.assertRaises(StopIteration):
            next(trainer)

    def test_it_learns_what_the_command_does(self):
        if not COMMAND:
            self.skipTest("skipped: ATTUNE_COMMAND does not name the command")
        trainer = self.trainer(schedule="cosine", warmup=3, learning_rate=0.002, seed=7, validation=self.held_out).run()
        with tempfile.TemporaryDirectory() as folder:
            path = lambda name: os.path.join(folder, name)
            self.plan.save(path("kws.att"))
            for name, (x, y) in (("data.npz", self.data), ("held.npz", self.held_out)):
                np.savez(path(name), x=x, y=y)
            made = subprocess.run(
                [COMMAND, "train", path("kws.att"), "--data", path("data.npz"), "--validation", path("held.npz"),
                 "--epochs", "3", "--schedule", "cosine", "--warmup", "3", "--learning-rate", "0.002", "--seed", "7",
                 "--json", "--quiet"], check=True, capture_output=True)
            session = self.plan.session()
            session.load(path("kws.atc"))
        self.assertEqual(session.native.state(), trainer.session.native.state())
        self.assertAlmostEqual(json.loads(made.stdout)["best_validation_loss"],
                               trainer.epochs[trainer.best_epoch - 1].validation_loss, places=12)

    def test_callbacks_are_told(self):
        told = []

        class Telling(attune.Callback):
            def on_start(self, trainer):
                told.append("start")

            def on_step(self, trainer, step):
                told.append(step.number)
                if step.number == 8:
                    trainer.stop()

            def on_epoch(self, trainer, epoch):
                told.append(("epoch", epoch.number))

            def on_end(self, trainer):
                told.append("end")

        self.trainer(callbacks=[Telling()]).run()
        self.assertEqual(told, ["start", 1, 2, 3, 4, 5, ("epoch", 1), 6, 7, 8, "end"])

    def test_a_run_is_continued_bit_for_bit(self):
        whole = self.trainer(validation=self.held_out).run()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kws.atc")
            part = self.trainer(validation=self.held_out)
            for step in part:
                if step.number == 8:
                    break
            part.save(path)
            rest = self.trainer(validation=self.held_out, epochs=None, resume=path)
            self.assertEqual([step.number for step in rest][:2], [9, 10])
        self.assertEqual(rest.session.native.state(), whole.session.native.state())

    def test_it_does_no_harm(self):
        session = self.plan.session()
        x, y = self.data
        well = attune.Trainer(session, (x, y), validation=(x, y), epochs=5, learning_rate=0.001).run()
        best = min(epoch.validation_loss for epoch in well.epochs)
        self.assertLess(best, well.baseline_loss)
        self.assertEqual(session.evaluate((x, y)).loss, best)
        for rate in (0.05, 1e10):
            trainer = attune.Trainer(session, (x, (y + 1) % 10), validation=(x, y), epochs=3, learning_rate=rate)
            try:
                trainer.run()
            except attune.Error:
                self.assertGreater(rate, 1)
            else:
                self.assertTrue(trainer.kept_baseline)
                self.assertEqual((trainer.best_epoch, trainer.baseline_loss), (0, best))
            self.assertEqual(session.evaluate((x, y)).loss, best)

    def test_what_is_not_finite_is_rolled_back(self):
        trainer = self.trainer(learning_rate=1e10, epochs=2)
        rollbacks = []
        try:
            rollbacks = [step.rollback for step in trainer if step.rollback is not None]
        except attune.Error as error:
            self.assertRegex(str(error), "rate")
        else:
            self.assertGreater(len(rollbacks), 0)
            self.assertLess(rollbacks[-1].learning_rate, 1e10)
        for value in trainer.session.parameters.values():
            self.assertTrue(np.isfinite(value).all())

    def test_the_best_state_is_there_after_finish(self):
        trainer = self.trainer(validation=self.held_out, epochs=20)
        for step in trainer:
            if step.epoch == 2:
                break
        trainer.finish()
        self.assertEqual(trainer.session.evaluate(self.held_out).loss,
                         min([trainer.baseline_loss] + [epoch.validation_loss for epoch in trainer.epochs]))

    def test_a_loop_may_look_at_the_session(self):
        plain = self.trainer().run()
        trainer = self.trainer()
        for step in trainer:
            trainer.session.predict(self.held_out[0])
            trainer.session.evaluate(self.held_out)
            self.assertTrue(np.isfinite(trainer.session.parameters["classifier.bias"]).all())
        self.assertEqual(trainer.session.native.state(), plain.session.native.state())

    def test_wrong_options_are_refused(self):
        for options, text in (({"schedule": "linear"}, "^schedule linear"), ({"epochs": 0}, "at least 1"),
                              ({"learning_rate": float("nan")}, "rate"), ({"keep": "worst"}, "worst"),
                              ({"resume": "nowhere.atc"}, "nowhere.atc")):
            with self.subTest(text), self.assertRaisesRegex(attune.Error, text):
                self.trainer(**options).run()

    def test_wrong_objects_are_refused_before_anything_is_trained(self):
        with self.assertRaisesRegex(attune.Error, "^session: .*Plan.session"):
            attune.Trainer(plan(), words(8))
        with self.assertRaisesRegex(attune.Error, "^callbacks: function does not derive"):
            self.trainer(callbacks=[lambda trainer: None])
        with self.assertRaisesRegex(attune.Error, "nowhere.*its folder does not exist"):
            self.trainer(checkpoint=os.path.join("nowhere", "kws.atc"))

    def test_a_new_run_leaves_the_last_one_beside_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kws.atc")
            read = lambda name: open(name, "rb").read()
            self.trainer(checkpoint=path).run()
            self.assertEqual(os.listdir(folder), ["kws.atc"])
            first = read(path)
            self.trainer(checkpoint=path, seed=1, epochs=2).run()
            self.assertEqual(read(path + ".old"), first)
            # What goes on is the same run.
            self.trainer(checkpoint=path, resume=path, epochs=4).run()
            self.assertEqual(read(path + ".old"), first)
            session = self.plan.session()
            session.start_from(path)
            second = read(path)
            self.trainer(session, checkpoint=path).run()
            self.assertEqual(read(path + ".old"), second)
            # What is nobody's to replace is told before anything is trained.
            with open(path + ".old", "w") as notes:
                notes.write("mine")
            with self.assertRaisesRegex(attune.Error, "kws.atc.old: exists and is not a checkpoint"):
                self.trainer(checkpoint=path)
            self.trainer(checkpoint=path, resume=path, epochs=6).run()  # leaves it alone
            self.assertEqual(read(path + ".old"), b"mine")
            with self.assertRaisesRegex(attune.Error, "another model, scheme or optimizer"):
                attune.Trainer(plan(scheme="full").session(), self.data, checkpoint=path)

    def test_a_run_ends_at_ctrl_c_and_is_saved(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kws.atc")
            trainer = self.trainer(epochs=10**6, checkpoint=path)
            timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with self.assertRaises(KeyboardInterrupt):
                trainer.run()
            self.assertGreater(trainer.native.step_count, 0)
            again = self.trainer(epochs=None, resume=path)
            self.assertEqual(again.native.step_count, trainer.native.step_count)


if __name__ == "__main__":
    unittest.main()
