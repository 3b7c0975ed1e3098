#!/usr/bin/env python3
"""Writes an untrained policy as ONNX: make_policy.py OUT.onnx

Input `observation` [N,4], output `logits` [N,2]: two layers with a tanh between them, weights by
Glorot, seeded; the last layer's are a tenth of that, so that at first both actions are likely. What
`torch.onnx.export` writes of nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2)) does as
well.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(1)


def layer(name, inputs, outputs, scale=1.0):
    limit = scale * np.sqrt(6 / (inputs + outputs))
    weight = random.uniform(-limit, limit, (outputs, inputs)).astype(np.float32)
    return [numpy_helper.from_array(weight, f"{name}.weight"),
            numpy_helper.from_array(np.zeros(outputs, np.float32), f"{name}.bias")]


nodes = [
    helper.make_node("Gemm", ["observation", "hidden.weight", "hidden.bias"], ["h"], "hidden", transB=1),
    helper.make_node("Tanh", ["h"], ["a"], "tanh"),
    helper.make_node("Gemm", ["a", "action.weight", "action.bias"], ["logits"], "action", transB=1),
]
graph = helper.make_graph(
    nodes, "policy",
    [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["N", 4])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
    layer("hidden", 4, 32) + layer("action", 32, 2, 0.1))
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, sys.argv[1])
