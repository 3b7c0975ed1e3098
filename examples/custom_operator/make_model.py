#!/usr/bin/env python3
"""Writes an untrained network with an operator of its own domain as ONNX: make_model.py OUT.onnx

Input `x` [N,1], output `y` [N,1]: two layers of 24 with com.example.Snake behind each, weights by
Glorot, seeded.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(2)
nodes, tensors = [], []


def layer(name, x, inputs, outputs):
    limit = np.sqrt(6 / (inputs + outputs))
    weight = random.uniform(-limit, limit, (outputs, inputs)).astype(np.float32)
    tensors.append(numpy_helper.from_array(weight, f"{name}.weight"))
    tensors.append(numpy_helper.from_array(np.zeros(outputs, np.float32), f"{name}.bias"))
    out = "y" if name == "last" else name
    nodes.append(helper.make_node("Gemm", [x, f"{name}.weight", f"{name}.bias"], [out], name, transB=1))
    return out


def snake(name, x):
    nodes.append(helper.make_node("Snake", [x], [name], name, domain="com.example", frequency=2.0))
    return name


layer("last", snake("snake2", layer("second", snake("snake1", layer("first", "x", 1, 24)), 24, 24)),
      24, 1)
graph = helper.make_graph(
    nodes, "wave",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])], tensors)
model = helper.make_model(graph, ir_version=8, opset_imports=[
    helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)])
onnx.save(model, sys.argv[1])
