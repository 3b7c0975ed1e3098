import unittest

import numpy as np

import attune
from support import module


def network(torch):
    torch.manual_seed(0)
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 6, 3, padding=1, stride=2)
            self.norm = nn.BatchNorm2d(6)
            self.second = nn.Conv2d(6, 8, 3)
            self.head = nn.Linear(8, 5)

        def forward(self, picture):
            x = torch.relu(self.norm(self.first(picture)))
            x = torch.relu(self.second(x)).mean((2, 3))
            return self.head(x)

    made = Network()
    made(torch.randn(32, 1, 12, 12))  # statistics
    return made.eval()


class Torch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.torch = module("torch")
        module("onnx")
        cls.network = network(cls.torch)
        cls.example = cls.torch.randn(1, 1, 12, 12)
        cls.plan = attune.from_torch(cls.network, cls.example, scheme="full", batch_size=4, predict_batch=4,
                                     optimizer="sgd", keep_gradients=True)

    def test_names_are_the_module_s(self):
        session = self.plan.session()
        self.assertEqual(set(session.parameters), {name for name, _ in self.network.named_parameters()})
        for name, parameter in self.network.named_parameters():
            np.testing.assert_array_equal(session.parameters[name], parameter.detach().numpy())
        self.assertEqual([port.name for port in session.ports("predict")][0], "picture")
        self.assertTrue(self.plan.verify()["ok"])

    def test_gradients_are_pytorch_s(self):
        torch = self.torch
        x, y = torch.randn(4, 1, 12, 12), torch.tensor([0, 3, 4, 1])
        self.network.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.network(x), y)
        loss.backward()
        session = self.plan.session()
        made = session.run("train_step", picture=x, labels=y, learning_rate=0.0)
        self.assertAlmostEqual(float(made["loss"][0]), loss.item(), places=5)
        for name, parameter in self.network.named_parameters():
            ours = torch.from_dlpack(session.gradients[name])
            error = (ours - parameter.grad).norm() / parameter.grad.norm()
            self.assertLess(error.item(), 1e-5, name)

    def test_tensors_go_in_and_views_come_out(self):
        torch = self.torch
        x = torch.randn(4, 1, 12, 12, requires_grad=True)
        session = self.plan.session()
        outputs = session.run("predict", {"picture": x}, copy=False)
        name = next(iter(outputs))
        scores = torch.from_dlpack(outputs[name])
        self.assertLess((scores - self.network(x).detach()).abs().max().item(), 1e-5)
        self.assertEqual(scores.data_ptr(), outputs[name].ctypes.data)  # no copy
        session.run(picture=torch.zeros(4, 1, 12, 12))
        self.assertLess((scores - self.network(torch.zeros(4, 1, 12, 12)).detach()).abs().max().item(), 1e-5)

    def test_a_dataset_of_pytorch_trains_and_the_module_gets_what_was_learned(self):
        torch = self.torch
        x, y = torch.randn(24, 1, 12, 12), torch.arange(24) % 5
        session = self.plan.session()
        data = torch.utils.data.TensorDataset(x, y)
        attune.Trainer(session, data, epochs=4, learning_rate=0.1).run()
        copy = network(torch)
        names = attune.to_torch(session, copy)
        self.assertEqual(set(names), {name for name, _ in copy.named_parameters()})
        expected = torch.softmax(copy(x), 1).detach().numpy()
        np.testing.assert_allclose(session.predict(x), expected, atol=1e-5)
        self.assertGreater(np.abs(session.predict(x) - torch.softmax(self.network(x), 1).detach().numpy()).max(), 1e-3)
        with self.assertRaisesRegex(attune.Error, "the module has no"):
            attune.to_torch(session, torch.nn.Linear(2, 2))

    def test_a_module_that_was_never_trained_keeps_its_names(self):
        torch = self.torch
        nn = torch.nn
        made = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
                             nn.Linear(256, 3))
        session = attune.from_torch(made, np.zeros((1, 1, 12, 12), np.float32), scheme="full").session()
        self.assertEqual(set(session.parameters), {name for name, _ in made.named_parameters()})
        self.assertEqual(set(attune.to_torch(session, made)), set(session.parameters))

    def test_a_loader_of_pytorch_gives_its_examples(self):
        torch = self.torch
        x, y = torch.randn(10, 1, 12, 12), torch.arange(10) % 5
        session = self.plan.session()
        expected = session.evaluate((x, y))
        pairs = torch.utils.data.TensorDataset(x, y)
        mappings = [{"picture": one, "y": label} for one, label in zip(x, y)]
        for data, size in ((pairs, 4), (pairs, 1), (pairs, None), (mappings, 4), (mappings, None)):
            with self.subTest(size=size, data=type(data).__name__):
                loader = torch.utils.data.DataLoader(data, batch_size=size)
                self.assertEqual(session.evaluate(loader).examples, 10)
                self.assertEqual(session.evaluate(loader).loss, expected.loss)
        loader = torch.utils.data.DataLoader(x, batch_size=4)
        np.testing.assert_array_equal(session.predict(loader), session.predict(x))

    def test_tensors_that_numpy_has_no_type_for_are_refused(self):
        x = self.torch.zeros(4, 1, 12, 12)
        for wrong in (x.bfloat16(), x.to("meta")):
            with self.assertRaisesRegex(attune.Error, "^picture: NumPy makes no array of this Tensor"):
                self.plan.session().predict(wrong)

    def test_the_module_stays_as_it_was(self):
        made = network(self.torch).train()
        attune.from_torch(made, self.example)
        self.assertTrue(made.training)


if __name__ == "__main__":
    unittest.main()
