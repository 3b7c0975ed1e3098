"""Writes batch_norm_reference.inc: what PyTorch, in double, makes of the network of batch_norm_test.cpp.

    python3 batch_norm_reference.py > batch_norm_reference.inc

Of each tensor two numbers: its dot products with cos(1), cos(2), .. and with sin(1), sin(2), ..
"""

import numpy
import torch
from torch import nn

EXAMPLES, BATCH, RATE = 11, 4, 0.05


def wave(frequency, scale, offset, shape, rounded=True):
    i = numpy.arange(1, numpy.prod(shape) + 1)
    values = scale * numpy.sin(frequency * i) + offset
    return torch.tensor((values.astype(numpy.float32) if rounded else values).astype(numpy.float64)
                        .reshape(shape))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Conv1d(2, 3, 3, padding=1, bias=False)
        self.line_norm = nn.BatchNorm1d(3, momentum=0.3)
        self.image = nn.Conv2d(3, 4, 3, stride=2, bias=False)
        self.image_norm = nn.BatchNorm2d(4, eps=1e-3)
        self.dense = nn.Linear(16, 5)
        self.dense_norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)
        self.double()
        for k, (name, tensor) in enumerate(self.state_dict().items()):
            if name.endswith("num_batches_tracked"):
                continue
            positive = name.endswith(("norm.weight", "running_var"))
            tensor.copy_(wave(0.7 + 0.1 * k, 0.3 if positive else 0.6, 1 if positive else 0.05,
                              tensor.shape))

    def forward(self, x):
        x = torch.relu(self.line_norm(self.line(x)))
        x = torch.relu(self.image_norm(self.image(x.reshape(-1, 3, 5, 6))))
        return self.head(torch.relu(self.dense_norm(self.dense(x.flatten(1)))))


def show(what, name, tensor):
    i = torch.arange(1, tensor.numel() + 1, dtype=torch.float64)
    flat = tensor.detach().flatten()
    print(f'{{"{what}", "{name}", {(flat * torch.cos(i)).sum().item()!r}, '
          f'{(flat * torch.sin(i)).sum().item()!r}}},')


def show_statistics(what, model):
    for name, tensor in model.named_buffers():
        if not name.endswith("num_batches_tracked"):
            show(what, name, tensor)


def main():
    x = wave(0.37, 1, 0.2, (EXAMPLES, 2, 30), rounded=False)
    y = torch.tensor([i * 2 % 3 for i in range(EXAMPLES)])
    loss = nn.CrossEntropyLoss()

    print("// Written by batch_norm_reference.py.")
    model = Network()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for step, first in enumerate(range(0, EXAMPLES, BATCH)):
        optimizer.zero_grad()
        value = loss(model(x[first:first + BATCH]), y[first:first + BATCH])
        value.backward()
        show(f"step {step + 1}", "loss", value)
        for name, parameter in model.named_parameters():
            show(f"step {step + 1}", name, parameter.grad)
        optimizer.step()
    show_statistics("trained", model)
    model.eval()
    show("trained", "loss", loss(model(x), y))

    model = Network()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    model.train()
    with torch.no_grad():
        for first in range(0, EXAMPLES, BATCH):
            model(x[first:first + BATCH])
    show_statistics("estimated", model)
    model.eval()
    show("estimated", "loss", loss(model(x), y))


main()
