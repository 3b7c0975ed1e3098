"""A training step in PyTorch. CHANNELS_LAST=1: activations and weights in NHWC. COMPILE=1: with torch.compile."""
import os

import torch
from torch.nn import functional

import network
import worker

args = worker.arguments()
torch.set_num_threads(args.threads)
net = network.Network(args.folder, args.model, args.batch)
layout = torch.channels_last if os.environ.get("CHANNELS_LAST") else torch.contiguous_format


def parameter(array, learns):
    tensor = torch.from_numpy(array)
    if tensor.dim() == 4:
        tensor = tensor.to(memory_format=layout)
    return tensor.requires_grad_(learns)


layers = [tuple(map(parameter, pair, learns))
          for pair, learns in zip(net.parameters, net.is_trained(args.scheme))]
learn = [p for pair in layers for p in pair if p.requires_grad]
x, y = torch.from_numpy(net.x).to(memory_format=layout), torch.from_numpy(net.y)


def padded(x, pads, value):
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return x, (top, left)
    return functional.pad(x, (left, right, top, bottom), value=value), (0, 0)


def run(node, layer, values):
    x = values[node["inputs"][0]]
    if node["op"] == "conv":
        x, padding = padded(x, node["pads"], 0)
        return functional.conv2d(x, *layer, node["stride"], padding, groups=node["groups"])
    if node["op"] == "linear":
        return functional.linear(x.flatten(1), *layer)
    if node["op"] == "add":
        return x + values[node["inputs"][1]]
    if node["op"] == "max_pool":
        x, padding = padded(x, node["pads"], -float("inf"))
        return functional.max_pool2d(x, node["kernel"], node["stride"], padding)
    assert node["op"] == "mean", node
    return functional.adaptive_avg_pool2d(x, 1)


def clamped(x, clamp):
    if clamp is None:
        return x
    low, high = clamp
    if high is None:
        return functional.relu(x, inplace=True)
    return functional.hardtanh(x, low, high, inplace=True)


def forward(x):
    values, rest = [x], iter(layers)
    for node in net.nodes:
        layer = next(rest) if network.is_layer(node) else None
        values.append(clamped(run(node, layer, values), node["clamp"]))
    return values[-1].flatten(1)


if os.environ.get("COMPILE"):
    forward = torch.compile(forward)
optimizer = torch.optim.SGD(learn, lr=network.LEARNING_RATE, momentum=network.MOMENTUM)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(forward(x), y)
    loss.backward()
    if args.gradients:
        worker.write_gradients(args, [p.grad.contiguous().numpy() for p in learn])
        args.gradients = None
    optimizer.step()
    return loss.item()


worker.measure(step, args, torch.__version__)
