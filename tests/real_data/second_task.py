"""Trains a network in PyTorch on one task of sequences, then on a second one: there, and by the command.

    second_task.py gru|bert FOLDER ATTUNE

Prints the accuracy on the second task, in percent: before, of PyTorch and of Attune after it.

gru: each step of a sequence is a point of a noisy wave and three channels of noise; the classes are rhythms. In the
second task waves are slower, weaker and on another channel as well.
bert: a sequence of words, two of which tell its class, wherever they are; in the second task other words do.
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
WORDS, LENGTH, WIDTH, HEADS = 60, 16, 32, 4
BATCH, EPOCHS, RATE = 8, 12, 0.02


class Gru(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.GRU(CHANNELS, HIDDEN, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, x):
        return self.head(self.recurrent(x)[0].mean(1))


class Block(torch.nn.Module):
    """As BERT has them: norms behind the sums, Gelu in its exact form."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.dense = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = torch.nn.Linear(WIDTH, 2 * WIDTH), torch.nn.Linear(2 * WIDTH, WIDTH)
        self.norm, self.last_norm = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)

    def forward(self, x):
        q, k, v = (f(x).reshape(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(2, 3)) / (WIDTH // HEADS) ** 0.5
        seen = torch.matmul(scores.softmax(3), v).transpose(1, 2).reshape(-1, LENGTH, WIDTH)
        x = self.norm(x + self.dense(seen))
        return self.last_norm(x + self.narrow(torch.nn.functional.gelu(self.wide(x))))


class Bert(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions = torch.nn.Embedding(WORDS, WIDTH), torch.nn.Embedding(LENGTH, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.blocks = torch.nn.ModuleList([Block(), Block()])
        self.pool, self.head = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.norm(self.words(x) + self.positions(torch.arange(LENGTH)))
        for block in self.blocks:
            x = block(x)
        return self.head(torch.tanh(self.pool(x[:, 0])))


def words_task(seed, count, second):
    random = numpy.random.default_rng(seed)
    y = random.integers(0, CLASSES, count)
    x = random.integers(24, WORDS, (count, LENGTH))
    for i in range(count):
        at = random.choice(numpy.arange(1, LENGTH), 2, replace=False)
        x[i, at] = (12 if second else 0) + 2 * y[i] + numpy.arange(2)
    return torch.tensor(x), torch.tensor(y)


def waves_task(seed, count, second):
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


def export(model, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "dynamo" in torch.onnx.export.__code__.co_varnames:
            torch.onnx.export(model, (x,), path, input_names=["x"], dynamo=True, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch")},))
        else:
            torch.onnx.export(model, (x,), path, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def main(kind, folder, attune):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    make, task, rate = {"gru": (Gru, waves_task, 0.005), "bert": (Bert, words_task, 0.003)}[kind]
    model = make()
    train(model, torch.optim.Adam(model.parameters(), rate), *task(1, 1200, False), 8)
    model.eval()
    path = lambda name: os.path.join(folder, name)
    export(model, task(1, 2, False)[0], path("model.onnx"))
    learned, told = task(2, 480, True), task(3, 1500, True)
    before = accuracy(model, *told)
    for name, (x, y) in (("train", learned), ("test", told)):
        numpy.savez(path(name + ".npz"), x=x.numpy().astype(numpy.float32 if kind == "gru" else numpy.int64), labels=y.numpy().astype(numpy.int32))

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
