"""The networks that all peers train, as lists of nodes, and what a scheme trains of them.

`export_model.py` writes of each network MODEL.onnx and, for programs that build it themselves, three files
that need no ONNX: MODEL.json, which `Network` reads, with MODEL.weights and MODEL.data.

A node is a dict with `op`, one of conv, linear, add, max_pool and mean (over the image), `inputs`, the numbers
of values, and mostly `clamp`, the bounds that its output is clamped to or null; an upper bound of null is none.
Value 0 is the images, value i + 1 what node i computes. Layers are the convolutions and the linear nodes, in
order; each has a `weight` (its shape, OIHW) and a bias.
"""
import json
import os

import numpy

LEARNING_RATE = 1e-4  # small, so that random labels do not make the numbers diverge
MOMENTUM = 0.9
WARM_UPS = 2
EXAMPLES = 8  # in MODEL.data; a batch is the first of them

MODELS = {
    "mobilenet_v2": "MobileNetV2 1.0, 224x224",
    "resnet50": "ResNet-50, 224x224",
    "mcunet": "MCUNet-5fps, 128x128",
    "ds_cnn": "DS-CNN for keywords, MFCC of 49x10",
}
FILES = {  # of models that torchvision does not have
    "mcunet": "mcunet-5fps-f32.onnx",
    "ds_cnn": "ds_cnn_kws-f32.onnx",
}
CONFIGURATIONS = {  # model -> batches and schemes
    "mobilenet_v2": [(1, "full"), (1, "sparse"), (8, "full"), (8, "sparse")],
    "resnet50": [(1, "full"), (8, "full")],
    "mcunet": [(1, "full")],
    "ds_cnn": [(1, "full")],
}


def trained(model, layers, scheme):
    """Numbers of the layers whose weight, and of those whose bias, a scheme trains, of so many layers."""
    if scheme == "full":
        return list(range(layers)), list(range(layers))
    assert (scheme, model, layers) == ("sparse", "mobilenet_v2", 53), (scheme, model, layers)
    # Expanding pointwise layers of the last 7 blocks, of 3 layers each; the last two layers are no block's.
    expanding = list(range(layers - 2 - 3 * 7, layers - 2, 3))
    # The classifier, all biases from the seventh-last block on, and the weights that expand.
    return expanding + [layers - 1], list(range(expanding[0], layers))


def names_of(layer):
    """Names of weight and bias in MODEL.onnx."""
    return f"layer{layer:02}.weight", f"layer{layer:02}.bias"


def is_layer(node):
    return node["op"] in ("conv", "linear")


class Network:
    """A model's nodes; `parameters`, a pair of weight and bias a layer; `x` and `y`, a batch of data."""

    def __init__(self, folder, model, batch):
        path = os.path.join(folder, model)
        with open(path + ".json") as file:
            description = json.load(file)
        self.nodes, self.trained = description["nodes"], description["trained"]
        data = numpy.fromfile(path + ".data", numpy.float32)
        images = data[EXAMPLES:].reshape(EXAMPLES, *description["input"])
        self.x, self.y = images[:batch].copy(), data[:batch].astype(numpy.int64)
        weights = numpy.fromfile(path + ".weights", numpy.float32)
        self.parameters, at = [], 0
        for node in filter(is_layer, self.nodes):
            shape = node["weight"]
            size = int(numpy.prod(shape))
            self.parameters.append((weights[at:at + size].reshape(shape).copy(),
                                    weights[at + size:at + size + shape[0]].copy()))
            at += size + shape[0]
        assert at == len(weights), (at, len(weights))

    def is_trained(self, scheme):
        """A pair of truths a layer: whether its weight is trained, and its bias."""
        weights, biases = (set(self.trained[scheme][k]) for k in ("weights", "biases"))
        return [(i in weights, i in biases) for i in range(len(self.parameters))]
