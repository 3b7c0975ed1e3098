"""What statistics of batch norms gain where the user's pictures are darker or noisier than a model's.

    measure.py ATTUNE FASHION_MNIST WORK PAGE

FASHION_MNIST is the folder of the four gzipped IDX files, WORK a folder for what is made. Needs numpy and PyTorch, which trains
the model and exports it; everything else is the `attune` command. Writes PAGE, docs/batch-norm.md.
"""

import gzip
import json
import pathlib
import subprocess
import sys

import numpy
import torch
from torch import nn

PRETRAIN, ADAPT, TEST = 20000, 512, 2000
EPOCHS = 3
HERE = "bench/batch_norm/measure.py"


def images(source, prefix):
    with gzip.open(source / f"{prefix}-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(source / f"{prefix}-labels-idx1-ubyte.gz") as file:
        labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8)
    return (pixels / 255).astype(numpy.float32), labels.astype(numpy.int64)


def block(inputs, outputs, stride):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def pretrained(x, y, path):
    torch.manual_seed(0)
    model = nn.Sequential(*block(1, 16, 1), *block(16, 32, 2), *block(32, 32, 1), *block(32, 64, 2), *block(64, 64, 1),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.002)
    loss = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            loss(model(torch.from_numpy(x[batch])), torch.from_numpy(y[batch])).backward()
            optimizer.step()
    torch.onnx.export(model.eval(), torch.zeros(1, 1, 28, 28), path, input_names=["x"], opset_version=14,
                      dynamic_axes={"x": {0: "n"}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


def noisy(x, deviation, seed):
    noise = numpy.random.default_rng(seed).normal(0, deviation, x.shape)
    return numpy.clip(x + noise, 0, 1).astype(numpy.float32)


SHIFTS = {
    "as they are": lambda x, seed: x,
    "dimmed to a third": lambda x, seed: x / 3,
    "noise of 0.25": lambda x, seed: noisy(x, 0.25, seed),
    "dimmed and noise of 0.1": lambda x, seed: noisy(x / 3, 0.1, seed),
}


class Attune:
    def __init__(self, command, work):
        self.command, self.work = command, work

    def __call__(self, verb, *arguments):
        done = subprocess.run([self.command, verb, *map(str, arguments), "--json"], cwd=self.work, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"{verb} {arguments}: {done.stderr}")
        return json.loads(done.stdout)

    def accuracy(self, plan, test, checkpoint=None):
        given = ("--checkpoint", checkpoint) if checkpoint else ()
        return 100 * self("evaluate", plan, "--data", test, *given)["accuracy"]


def measure(attune, adapt, test):
    """Accuracies: frozen, estimated, and each of the three trained."""
    row = [attune.accuracy("frozen.att", test)]
    (attune.work / "estimate.atc").unlink(missing_ok=True)
    attune("estimate", "estimate.att", "--data", adapt, "-o", "estimate.atc")
    row.append(attune.accuracy("estimate.att", test, "estimate.atc"))
    for mode in ("frozen", "estimate", "update"):
        checkpoint = f"{mode}-trained.atc"
        (attune.work / checkpoint).unlink(missing_ok=True)
        attune("train", f"{mode}.att", "--data", adapt, "--epochs", 5, "--learning-rate", 0.003, "--schedule", "cosine",
               "--checkpoint", checkpoint)
        row.append(attune.accuracy(f"{mode}.att", test, checkpoint))
    return row


def main():
    command, source, work, page = map(pathlib.Path, sys.argv[1:])
    work.mkdir(parents=True, exist_ok=True)
    x, y = images(source, "train")
    if not (work / "net.onnx").exists():
        pretrained(x[:PRETRAIN], y[:PRETRAIN], str(work / "net.onnx"))
    attune = Attune(command.resolve(), work)
    for mode in ("frozen", "estimate", "update"):
        attune("compile", "net.onnx", "-o", f"{mode}.att", "--scheme", "full", "--batch-size", 32, "--batch-norm", mode)
    test_x, test_y = images(source, "t10k")
    rows = []
    for name, shift in SHIFTS.items():
        numpy.savez(work / "adapt.npz", x=shift(x[-ADAPT:], 1), y=y[-ADAPT:])
        numpy.savez(work / "test.npz", x=shift(test_x[:TEST], 2), y=test_y[:TEST])
        rows.append((name, *measure(attune, "adapt.npz", "test.npz")))
        print(rows[-1], flush=True)
    lines = [f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |" for name, *values in rows]
    page.write_text(f"""# Statistics of batch norms on dimmed and noisy pictures

Written by `{HERE}`. A small network (five convolutions with BatchNorm), trained by PyTorch on {PRETRAIN:,} images of
Fashion-MNIST for {EPOCHS} epochs, meets other pictures. Test accuracy on {TEST:,} images, %. A user has {ADAPT} pictures: `estimate`
reads them without labels, which takes one forward pass; the last three columns also train everything for 5 epochs (momentum
0.9, batch 32, rate 0.003, cosine).

| pictures | as it was | estimated | frozen, trained | estimated, trained | updated, trained |
| --- | --- | --- | --- | --- | --- |
""" + "\n".join(lines) + """

Which to take: [the manual](command.md#batch-norm).
""")


main()
