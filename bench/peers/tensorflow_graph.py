"""A training step in TensorFlow, as one tf.function, in NHWC; the network is written out here."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy
import tensorflow as tf

import network
import worker

args = worker.arguments()
tf.config.threading.set_intra_op_parallelism_threads(args.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
random = numpy.random.default_rng(0)
weights, biases = network.trained(args.scheme)
layers = []


def layer(*shape, fan_in):
    i = len(layers)
    initial = random.standard_normal(shape, dtype=numpy.float32) * (2 / fan_in) ** 0.5
    channels = shape[-1] * (shape[-2] if shape[-1] == 1 and len(shape) == 4 else 1)
    layers.append((tf.Variable(initial, trainable=i in weights),
                   tf.Variable(tf.zeros(channels), trainable=i in biases)))
    return layers[-1]


def conv(kernel, inputs, outputs, stride, clamps):
    w, b = layer(kernel, kernel, inputs, outputs, fan_in=kernel * kernel * inputs)
    padding = [[0, 0], [kernel // 2] * 2, [kernel // 2] * 2, [0, 0]]

    def run(x):
        y = tf.nn.bias_add(tf.nn.conv2d(x, w, stride, padding), b)
        return tf.nn.relu6(y) if clamps else y
    return run


def depthwise(channels, stride):
    w, b = layer(3, 3, channels, 1, fan_in=9)

    def run(x):
        # Padding of one on each side, as in PyTorch; SAME would be another one where the stride is 2.
        padding = "SAME"
        if stride == 2:
            x, padding = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "VALID"
        y = tf.nn.depthwise_conv2d(x, w, [1, stride, stride, 1], padding)
        return tf.nn.relu6(tf.nn.bias_add(y, b))
    return run


def block(inputs, outputs, stride, expand):
    wide = inputs * expand
    parts = [conv(1, inputs, wide, 1, True)] if expand > 1 else []
    parts += [depthwise(wide, stride), conv(1, wide, outputs, 1, False)]

    def run(x):
        y = x
        for part in parts:
            y = part(y)
        return x + y if stride == 1 and inputs == outputs else y
    return run


parts, channels = [conv(3, 3, 32, 2, True)], 32
for expand, outputs, count, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                       (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
    for i in range(count):
        parts.append(block(channels, outputs, stride if i == 0 else 1, expand))
        channels = outputs
parts.append(conv(1, 320, 1280, 1, True))
head = layer(1280, network.CLASSES, fan_in=1280)
assert len(layers) == network.LAYERS
learn = [v for pair in layers for v in pair if v.trainable]
velocity = [tf.Variable(tf.zeros_like(v), trainable=False) for v in learn]
x = tf.constant(random.standard_normal((args.batch, network.IMAGE, network.IMAGE, 3),
                                       dtype=numpy.float32))
y = tf.constant(random.integers(network.CLASSES, size=args.batch))


@tf.function
def train(x, y):
    with tf.GradientTape() as tape:
        h = x
        for part in parts:
            h = part(h)
        scores = tf.reduce_mean(h, [1, 2]) @ head[0] + head[1]
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=scores))
    for v, g, m in zip(learn, tape.gradient(loss, learn), velocity):
        m.assign(network.MOMENTUM * m + g)
        v.assign_sub(network.LEARNING_RATE * m)
    return loss


worker.measure(lambda: float(train(x, y)), args.steps, tf.__version__)
