#!/usr/bin/env python3
"""Prints the logits that models_test.cpp expects: ONNX files run node by node with PyTorch in double.

    golden_logits.py model.onnx... > golden_logits.inc
"""
import os
import sys

import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper


def run(path):
    graph = onnx.load(path).graph
    t = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    t = {k: v.double() if v.is_floating_point() else v for k, v in t.items()}
    x = next(i for i in graph.input if i.name not in t)
    dims = [d.dim_value for d in x.type.tensor_type.shape.dim]
    dims[0] = 1
    n = torch.tensor(dims).prod().item()
    i = torch.arange(n, dtype=torch.int64)
    t[x.name] = (((i * 7919 + 1009) % 10007).double() / 5003.5 - 1).reshape(dims)
    y = None
    for node in graph.node:
        a = {at.name: helper.get_attribute_value(at) for at in node.attribute}
        x = [t[name] if name else None for name in node.input]
        if node.op_type == 'LogSoftmax':
            break
        if node.op_type == 'Conv':
            pads = a.get('pads', [0, 0, 0, 0])
            padded = F.pad(x[0], (pads[1], pads[3], pads[0], pads[2]))
            y = F.conv2d(padded, x[1], x[2] if len(x) > 2 else None, a.get('strides', 1), 0,
                         a.get('dilations', 1), a.get('group', 1))
        elif node.op_type == 'Clip':
            y = torch.clamp(x[0], x[1].item(), x[2].item())
        elif node.op_type == 'Relu':
            y = F.relu(x[0])
        elif node.op_type == 'Add':
            y = x[0] + x[1]
        elif node.op_type == 'GlobalAveragePool':
            y = x[0].mean(dim=(2, 3), keepdim=True)
        elif node.op_type == 'Flatten':
            y = x[0].flatten(1)
        elif node.op_type == 'Gemm':
            y = x[0] @ (x[1].T if a.get('transB', 0) else x[1]) + x[2]
        elif node.op_type == 'BatchNormalization':
            epsilon = float('%.7g' % a['epsilon'])
            y = F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=epsilon)
        else:
            raise ValueError(node.op_type)
        t[node.output[0]] = y
    return y.flatten().tolist()


for path in sys.argv[1:]:
    y = run(path)
    first = ', '.join('%.17g' % v for v in y[:8])
    total, squares = sum(y), sum(v * v for v in y)
    name = os.path.basename(path)
    print('{"%s", %d, %.17g, %.17g,\n {%s}},' % (name, len(y), total, squares, first))
