#!/usr/bin/env python3
"""Prints what TFLite's interpreter computes of the models of tflite_ops_test.cpp, in their order there.
It wants ai-edge-litert of the package index.

    ATTUNE_WRITE_TFLITE=FOLDER build/bin/test_import --test-case='operators of TFLite*'
    tflite_ops.py FOLDER > tflite_ops.inc
"""
import pathlib
import re
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def element(i):
    return ((i * 7919 + 1009) % 10007) / 5003.5 - 1


def run(path):
    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    i = np.arange(np.prod(detail['shape']), dtype=np.int64)
    x = (i * 5 + 2) % 9 if np.issubdtype(detail['dtype'], np.integer) else element(i)
    interpreter.set_tensor(detail['index'], x.astype(detail['dtype']).reshape(detail['shape']))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]['index']).flatten()


def main():
    source = pathlib.Path(__file__).with_name('tflite_ops_test.cpp').read_text()
    for name in re.findall(r'^      (?:\{|unary\()"(\w+)"', source, re.M):
        y = run(pathlib.Path(sys.argv[1]) / f'{name}.tflite').astype(np.float64)
        weighted = (y * element(np.arange(y.size))).sum()
        first = ', '.join('%.9g' % v for v in y[:6])
        print(f'{{"{name}", {y.sum():.9g}, {weighted:.9g}, {{{first}}}}},')


if __name__ == '__main__':
    main()
