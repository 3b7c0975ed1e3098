#!/usr/bin/env python3
"""Prints the results that indexing_test.cpp expects, as ONNX Runtime computes them in single precision.

    indexing_reference.py > indexing_reference.inc
"""
import numpy as np
import onnx
import onnxruntime
from onnx import helper

I, F = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def spread(*dims):
    """Numbers between -1 and 1."""
    i = np.arange(np.prod(dims))
    return ((i * 7919 + 1009) % 997 / 498.5 - 1).reshape(dims).round(3).astype(np.float32)


def ints(*values, shape=None):
    return np.array(values, np.int64).reshape(shape or (len(values),))


def floats(*values):
    return np.array(values, np.float32)


image = spread(1, 1, 5, 6)
grid = (spread(1, 4, 3, 2) * 1.6).round(3)
cases = []


def add(op, opset, inputs, **attributes):
    cases.append((op, opset, inputs, attributes))


for mode in ('half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'):
    for sizes in ((1, 1, 7, 4), (1, 1, 1, 9)):
        for kind in ('nearest', 'linear', 'cubic'):
            add('Resize', 19, [image, None, None, ints(*sizes)], mode=kind, coordinate_transformation_mode=mode)
for rounding in ('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'):
    add('Resize', 13, [image, None, floats(1, 1, 2, 0.5)], mode='nearest', nearest_mode=rounding)
    add('Resize', 13, [image, None, floats(1, 1, 1.3, 2)], mode='nearest', nearest_mode=rounding,
        coordinate_transformation_mode='asymmetric')
for kind in ('linear', 'cubic'):
    add('Resize', 18, [image, None, floats(0.6, 0.8)], mode=kind, axes=[2, 3])
    add('Resize', 18, [image, None, None, ints(3, 2)], mode=kind, axes=[2, 3], antialias=1, exclude_outside=1)
    add('Resize', 18, [image, None, None, ints(2, 11)], mode=kind, axes=[2, 3], antialias=1, exclude_outside=1)
for policy in ('not_larger', 'not_smaller'):
    add('Resize', 18, [image, None, None, ints(7, 8)], mode='linear', axes=[2, 3], keep_aspect_ratio_policy=policy)
add('Resize', 13, [image, None, floats(1, 1, 2, 2)], mode='cubic', cubic_coeff_a=-0.5, exclude_outside=1)
add('Resize', 13, [image, floats(0, 0, 0.4, -0.2, 1, 1, 0.9, 0.8), None, ints(1, 1, 3, 4)], mode='linear',
    coordinate_transformation_mode='tf_crop_and_resize', extrapolation_value=7.5)
add('Resize', 10, [image, floats(1, 1, 2, 1.5)], mode='linear')
add('Upsample', 9, [image, floats(1, 1, 2, 3)], mode='nearest')
add('Upsample', 9, [image, floats(1, 1, 2, 3)], mode='linear')
for opset, kinds in ((16, ('bilinear', 'nearest', 'bicubic')), (20, ('linear', 'nearest', 'cubic'))):
    for kind in kinds:
        for padding in ('zeros', 'border', 'reflection'):
            for aligned in (0, 1):
                if opset == 16 or padding == 'zeros':
                    add('GridSample', opset, [image, grid], mode=kind, padding_mode=padding, align_corners=aligned)
for kind in ('linear', 'nearest'):
    add('GridSample', 20, [spread(1, 1, 3, 2, 3), (spread(1, 2, 2, 1, 3) * 1.3).round(3)], mode=kind)
x = spread(4, 3)
for mode in ('reflect', 'edge', 'wrap'):
    add('Pad', 19, [x, ints(2, 1, 1, 2)], mode=mode)
    add('Pad', 19, [spread(2, 5), ints(2, -1), None, ints(1)], mode=mode)
add('Pad', 18, [x, ints(-1, 2), floats(3.5), ints(-2)])
for reduction in ('none', 'add', 'mul', 'min', 'max'):
    some = {} if reduction == 'none' else {'reduction': reduction}
    twice = (0, 2, 2) if some else (0, 2, 3)
    add('ScatterND', 18, [x, ints(*twice, shape=(3, 1)), spread(3, 3)], **some)
    add('ScatterND', 18, [x, ints(1, 2, 0, -1, -1, 0, shape=(3, 2)), spread(3)], **some)
    add('ScatterElements', 18, [x, ints(1, 0, -1, 2, 3, 1, shape=(2, 3)), spread(2, 3)], axis=0, **some)
add('GatherND', 13, [spread(2, 3, 4), ints(1, -1, 0, 0, shape=(2, 2, 1))], batch_dims=1)
add('GatherND', 13, [spread(2, 3, 4), ints(1, -1, 0, 2, shape=(2, 2))])
add('GatherElements', 13, [spread(3, 4), ints(2, 0, -1, 1, shape=(1, 4))])
add('Einsum', 13, [spread(2, 3, 4), spread(4, 5)], equation='bij,jk')
add('Einsum', 13, [spread(2, 3, 4), spread(2, 1, 4)], equation='...ij,...ij->i...')
add('Einsum', 13, [spread(2, 3), spread(4)], equation='ij,k->kji')
add('SpaceToDepth', 13, [spread(1, 2, 4, 6)], blocksize=2)
add('Col2Im', 18, [spread(1, 8, 6), ints(4, 5), ints(2, 2)], dilations=[2, 1], pads=[0, 1, 0, 0], strides=[1, 2])
add('CenterCropPad', 18, [spread(4, 3), ints(1, 6)])
add('Trilu', 14, [spread(2, 3, 4), ints(1, shape=())], upper=0)
add('TopK', 11, [spread(3, 5), ints(2)], axis=0, largest=0)
add('Slice', 13, [spread(5, 6), ints(-1, 0), ints(-6, 6), ints(0, 1), ints(-3, 4)])


def written(value):
    return f'{float(value):.7g}'


def operand(array):
    if array is None:
        return '{{}, 1, {}}'
    dims = ', '.join(map(str, array.shape))
    return f'{{{{{dims}}}, {I if array.dtype == np.int64 else F}, {{{", ".join(map(written, array.ravel()))}}}}}'


def attribute(value):
    if isinstance(value, str):
        return f'std::string("{value}")'
    if isinstance(value, list):
        return f'Dims{{{", ".join(map(str, value))}}}'
    return f'int64_t{{{value}}}' if isinstance(value, int) else f'double{{{value}}}'


print('// Made by indexing_reference.py.')
for op, opset, inputs, attributes in cases:
    names = ['' if v is None else f'x{i}' for i, v in enumerate(inputs)]
    outputs = ['y', 'places'] if op == 'TopK' else ['y']
    node = helper.make_node(op, names, outputs, **attributes)
    infos = [helper.make_tensor_value_info(n, I if v.dtype == np.int64 else F, v.shape)
             for n, v in zip(names, inputs) if n]
    graph = helper.make_graph([node], 'g', infos, [helper.make_tensor_value_info('y', F, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    y = session.run(['y'], {n: v for n, v in zip(names, inputs) if n})[0]
    listed = ', '.join(f'{{"{k}", {attribute(v)}}}' for k, v in attributes.items())
    print(f'{{"{op}", {opset}, {{{listed}}},\n {{{", ".join(map(operand, inputs))}}},')
    print(f' {{{", ".join(map(written, y.ravel()))}}}}},')
