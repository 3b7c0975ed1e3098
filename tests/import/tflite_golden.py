#!/usr/bin/env python3
"""Prints what TFLite's interpreter computes of generated inputs, which tflite_models_test.cpp expects.
It wants ai-edge-litert of the package index.

    tflite_golden.py ../shared/models > tflite_golden.inc
    tflite_golden.py ../shared/models anomalies > tflite_anomalies.inc
"""
import pathlib
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

# The range of each model's input, in reals.
MODELS = {
    'mlperf_tiny/pretrainedResnet.tflite': (0, 255),
    'mlperf_tiny/pretrainedResnet_quant.tflite': (0, 255),
    'mlperf_tiny/vww_96_float.tflite': (0, 1),
    'mlperf_tiny/vww_96_int8.tflite': (0, 1),
    'mlperf_tiny/kws_ref_model.tflite': (-60, 25),
    'mlperf_tiny/ad01_fp32.tflite': (-80, 10),
    'mlperf_tiny/ad01_int8.tflite': (-80, 10),
    'kwt1/non_stream.tflite': (-1, 1),
}
INPUTS = 4


def given(shape, low, high, number):
    """Waves along the last axes and some noise: not the same everywhere, and none is noise alone."""
    i = np.arange(np.prod(shape), dtype=np.int64) + number * 100003
    noise = ((i * 7919 + 1009) % 10007) / 5003.5 - 1
    wave = np.sin((0.02 + 0.013 * number) * i)
    return (low + (high - low) * (0.5 + 0.35 * wave + 0.1 * noise)).reshape(shape)


def quantized(x, detail):
    scale, zero = detail['quantization']
    if not np.issubdtype(detail['dtype'], np.integer):
        return x.astype(detail['dtype'])
    info = np.iinfo(detail['dtype'])
    return np.clip(np.round(x / scale) + zero, info.min, info.max).astype(detail['dtype'])


def outputs(interpreter, x):
    detail, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(detail['index'], quantized(x, detail))
    interpreter.invoke()
    y = interpreter.get_tensor(out['index']).astype(np.float64).flatten()
    scale, zero = out['quantization']
    return (y - zero) * scale if scale else y


def open_model(path):
    # The reference kernels: what the others are meant to compute.
    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    return interpreter


def anomalies(folder):
    """The errors of the int8 auto-encoder on every 14th window of a machine's recording."""
    sound = np.fromfile(next(folder.glob('mlperf_tiny/ad01_normal*.bin')), np.float32).reshape(-1, 128)
    interpreter = open_model(folder / 'mlperf_tiny/ad01_int8.tflite')
    windows = [sound[i:i + 5].reshape(1, 640) for i in range(0, len(sound) - 4, 14)]
    print(', '.join('%.9g' % ((x[0] - outputs(interpreter, x)) ** 2).mean() for x in windows))


def main():
    folder = pathlib.Path(sys.argv[1])
    if 'anomalies' in sys.argv:
        return anomalies(folder)
    for name, (low, high) in MODELS.items():
        interpreter = open_model(folder / name)
        shape = interpreter.get_input_details()[0]['shape']
        rows = [outputs(interpreter, given(shape, low, high, k)) for k in range(INPUTS)]
        text = ',\n  '.join('{' + ', '.join('%.9g' % v for v in row[:16]) + '}' for row in rows)
        sums = ', '.join('%.9g' % row.sum() for row in rows)
        print(f'{{"{name}", {low}, {high}, {rows[0].size},\n {{{text}}},\n {{{sums}}}}},')


if __name__ == '__main__':
    main()
