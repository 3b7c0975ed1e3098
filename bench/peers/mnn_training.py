"""A training step in MNN, with its own modules and optimizer."""
import MNN
import numpy
from MNN import expr, nn, optim

import network
import worker

args = worker.arguments()
expr.lazy_eval(True)  # otherwise there is no graph to derive, and steps change nothing
expr.set_thread_number(args.threads)
net = network.Network(args.folder, args.model, args.batch)


def is_even(node):
    top, left, bottom, right = node["pads"]
    return (top, left) == (bottom, right)


def module_of(node, weight):
    outputs, per_group = weight.shape[:2]
    if node["op"] == "linear":
        return nn.linear(per_group, outputs, True)
    assert is_even(node) or node is net.nodes[0], node
    padding = [node["pads"][1], node["pads"][0]] if is_even(node) else [0, 0]
    depthwise = node["groups"] > 1
    assert not depthwise or node["groups"] == outputs, node
    kernel, stride = [*reversed(weight.shape[2:])], [*reversed(node["stride"])]
    return nn.conv(outputs if depthwise else per_group, outputs, kernel, stride, padding, [1, 1],
                   depthwise, True, expr.Padding_Mode.CAFFE)


def variable(array, learns=False):
    made = expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW)
    if learns:
        made.fix_as_trainable()
    return made


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = []
        of_layers = filter(network.is_layer, net.nodes)
        for i, (node, (weight, bias), (learns, bias_learns)) in enumerate(
                zip(of_layers, net.parameters, net.is_trained(args.scheme))):
            layer = module_of(node, weight)
            if node["op"] == "linear":
                bias = bias[None]
            layer.load_parameters([variable(bias, bias_learns), variable(weight, learns)])
            setattr(self, f"layer{i}", layer)
            self.layers.append(layer)

    def forward(self, x):
        values, rest = [x], iter(self.layers)
        for node in net.nodes:
            layer = next(rest) if network.is_layer(node) else None
            values.append(clamped(run(node, layer, values), node["clamp"]))
        return expr.reshape(expr.convert(values[-1], expr.NCHW), [args.batch, -1])


def padded(images):
    """As the first layer pads unevenly, which MNN's does not: it pads the images before, once."""
    top, left, bottom, right = net.nodes[0]["pads"]
    if is_even(net.nodes[0]):
        return images
    return numpy.pad(images, [(0, 0), (0, 0), (top, bottom), (left, right)])


def run(node, layer, values):
    x = values[node["inputs"][0]]
    if node["op"] == "conv":
        return layer.forward(x)
    if node["op"] == "linear":
        return layer.forward(expr.reshape(expr.convert(x, expr.NCHW), [args.batch, -1]))
    if node["op"] == "add":
        return x + values[node["inputs"][1]]
    if node["op"] == "max_pool":
        # Its own padding rounds the size up. The values come from a ReLU: zeros are as good as nothing.
        top, left, bottom, right = node["pads"]
        pads = [0, 0, 0, 0, top, bottom, left, right]
        x = expr.pad(expr.convert(x, expr.NCHW), expr.const(pads, [4, 2], expr.NCHW, expr.int))
        return expr.max_pool(expr.convert(x, expr.NC4HW4), node["kernel"], node["stride"])
    assert node["op"] == "mean", node
    return expr.avg_pool(x, [*reversed(x.shape[2:])], [1, 1])


def clamped(x, clamp):
    if clamp is None:
        return x
    low, high = clamp
    return expr.relu(x) if high is None else expr.relu6(x, low, high)


model = Model()
model.train(True)
optimizer = optim.SGD(model, network.LEARNING_RATE, network.MOMENTUM, 0.0)
x = expr.convert(variable(padded(net.x)), expr.NC4HW4)
labels = expr.const(net.y.tolist(), [args.batch], expr.NCHW, expr.int)
y = expr.one_hot(labels, net.parameters[-1][1].size)


def step():
    loss = nn.loss.cross_entropy(expr.softmax(model.forward(x), 1), y)
    value = loss.read_as_tuple()[0]
    assert optimizer.step(loss), "no step"
    return value


worker.measure(step, args, MNN.version())
