"""Trains a GRU in PyTorch on one task of sequences, then on a second one: there, and by the command.

    recurrent_task.py FOLDER ATTUNE

Prints the accuracy on the second task, in percent: before, of PyTorch and of Attune after it. Each step of a sequence
is a point of a noisy wave and three channels of noise; the classes are rhythms. In the second task waves are slower,
weaker and on another channel as well.
"""

import copy
import json
import os
import subprocess
import sys
import warnings

import numpy
import torch

CLASSES, STEPS, CHANNELS, HIDDEN = 6, 30, 4, 24
BATCH, EPOCHS, RATE = 8, 12, 0.02


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.GRU(CHANNELS, HIDDEN, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, x):
        return self.head(self.recurrent(x)[0].mean(1))


def task(seed, count, second):
    random = numpy.random.default_rng(seed)
    y = random.integers(0, CLASSES, count)
    rhythm = (0.35 + 0.3 * y) * (0.8 if second else 1)
    angle = rhythm[:, None] * numpy.arange(STEPS) + random.uniform(0, 6.28, (count, 1))
    x = random.normal(0, 0.25, (count, STEPS, CHANNELS))
    x[:, :, 0] += (0.7 if second else 1) * numpy.sin(angle)
    if second:
        x[:, :, 2] += 0.7 * numpy.cos(angle)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def train(model, optimizer, x, y, epochs):
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), BATCH):
            optimizer.zero_grad()
            part = order[i:i + BATCH]
            torch.nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()


def accuracy(model, x, y):
    with torch.no_grad():
        return 100 * (model(x).argmax(1) == y).float().mean().item()


def export(model, path):
    x = torch.zeros(2, STEPS, CHANNELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "dynamo" in torch.onnx.export.__code__.co_varnames:
            torch.onnx.export(model, (x,), path, input_names=["x"], dynamo=True, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch")},))
        else:
            torch.onnx.export(model, (x,), path, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def main(folder, attune):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = Classifier()
    train(model, torch.optim.Adam(model.parameters(), 0.005), *task(1, 1200, False), 8)
    model.eval()
    path = lambda name: os.path.join(folder, name)
    export(model, path("model.onnx"))
    learned, told = task(2, 480, True), task(3, 1500, True)
    before = accuracy(model, *told)
    for name, (x, y) in (("train", learned), ("test", told)):
        numpy.savez(path(name + ".npz"), x=x.numpy(), labels=y.numpy().astype(numpy.int32))

    theirs = copy.deepcopy(model)
    train(theirs, torch.optim.SGD(theirs.parameters(), RATE, 0.9), *learned, EPOCHS)

    run = lambda *args: subprocess.run([attune, *args], check=True, capture_output=True, text=True).stdout
    run("compile", path("model.onnx"), "-o", path("plan.att"), "--scheme", "full", "--batch-size", str(BATCH), "--quiet")
    run("train", path("plan.att"), "--data", path("train.npz"), "--epochs", str(EPOCHS), "--learning-rate", str(RATE),
        "--quiet", "--overwrite")
    told_of = json.loads(run("evaluate", path("plan.att"), "--checkpoint", path("plan.atc"), "--data", path("test.npz"),
                             "--json"))
    print(before, accuracy(theirs, *told), 100 * told_of["accuracy"])


main(*sys.argv[1:])
