#!/usr/bin/env python3
"""Writes the untrained keyword-spotting network as ONNX: make_model.py OUT.onnx

Input `mfcc` [N,1,49,10], output `logits` [N,10]. A convolution, four depthwise separable blocks, the
mean over time, a linear classifier; weights by He et al. (2015), seeded. The input is scaled inside the
network, so that the coefficients reach it as the front end makes them.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, BLOCKS, CLASSES = 32, 4, 10
# Mean and deviation of the coefficients over the training voices.
MEAN = [-71.4, 1.2, 0.4, -1.2, -0.3, -0.2, -0.3, 0.2, -0.2, -0.1]
DEVIATION = [59.6, 2.9, 2.6, 2.5, 1.9, 1.7, 1.4, 1.1, 1.1, 1.0]

random = np.random.default_rng(1)
nodes, initializers = [], []


def parameter(name, shape, fan_in):
    values = random.normal(0, np.sqrt(2 / fan_in), shape) if fan_in else np.zeros(shape)
    initializers.append(numpy_helper.from_array(values.astype(np.float32), name))
    return name


def constant(name, values):
    tensor = numpy_helper.from_array(np.array(values, np.float32).reshape(1, 1, 1, -1), name)
    nodes.append(helper.make_node("Constant", [], [name], name=name, value=tensor))
    return name


def convolution(name, x, inputs, outputs, kernel, stride=(1, 1), groups=1):
    shape = (outputs, inputs // groups, *kernel)
    pads = [(k - 1) // 2 for k in kernel] + [k // 2 for k in kernel]
    weight = parameter(f"{name}.weight", shape, int(np.prod(shape[1:])))
    bias = parameter(f"{name}.bias", (outputs,), 0)
    nodes.append(helper.make_node("Conv", [x, weight, bias], [name], name=name, kernel_shape=kernel,
                                  strides=stride, pads=pads, group=groups))
    nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"], name=f"{name}.relu"))
    return f"{name}.relu"


nodes.append(helper.make_node("Sub", ["mfcc", constant("mean", MEAN)], ["centred"], name="centre"))
nodes.append(helper.make_node("Div", ["centred", constant("deviation", DEVIATION)], ["scaled"],
                              name="scale"))
x = convolution("stem", "scaled", 1, CHANNELS, (10, 4), (2, 2))
for block in range(BLOCKS):
    x = convolution(f"block{block}.depthwise", x, CHANNELS, CHANNELS, (3, 3), groups=CHANNELS)
    x = convolution(f"block{block}.pointwise", x, CHANNELS, CHANNELS, (1, 1))
nodes.append(helper.make_node("GlobalAveragePool", [x], ["pool"], name="pool"))
nodes.append(helper.make_node("Flatten", ["pool"], ["features"], name="flatten"))
weight = parameter("classifier.weight", (CLASSES, CHANNELS), CHANNELS)
bias = parameter("classifier.bias", (CLASSES,), 0)
nodes.append(helper.make_node("Gemm", ["features", weight, bias], ["logits"], name="classifier",
                              transB=1))

graph = helper.make_graph(
    nodes, "keyword_spotting",
    [helper.make_tensor_value_info("mfcc", TensorProto.FLOAT, ["N", 1, 49, 10])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])], initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8,
                          producer_name="attune")
onnx.checker.check_model(model)
onnx.save(model, sys.argv[1])
