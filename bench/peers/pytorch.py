"""A training step in PyTorch, eagerly; `--folder` is unused. CHANNELS_LAST=1: activations in NHWC."""
import os

import torch
import torch.fx.experimental.optimization
import torchvision

import network
import worker

args = worker.arguments()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
module = torchvision.models.mobilenet_v2(weights=None).eval()  # eval: no dropout
module = torch.fx.experimental.optimization.fuse(module)
layers = [m for m in module.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
assert len(layers) == network.LAYERS
weights, biases = network.trained(args.scheme)
for i, layer in enumerate(layers):
    layer.weight.requires_grad_(i in weights)
    layer.bias.requires_grad_(i in biases)
x = torch.randn(args.batch, 3, network.IMAGE, network.IMAGE)
if os.environ.get("CHANNELS_LAST"):
    x = x.to(memory_format=torch.channels_last)
    module = module.to(memory_format=torch.channels_last)
y = torch.randint(network.CLASSES, (args.batch,))
optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad],
                            lr=network.LEARNING_RATE, momentum=network.MOMENTUM)
loss_of = torch.nn.CrossEntropyLoss()


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(module(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


worker.measure(step, args.steps, torch.__version__)
