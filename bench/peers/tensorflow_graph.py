"""A training step in TensorFlow, as one tf.function, in NHWC, the only layout that it trains in on a processor."""
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
net = network.Network(args.folder, args.model, args.batch)


def is_depthwise(node):
    return node["op"] == "conv" and node["groups"] > 1 and node["groups"] == node["weight"][0]


def order(node):
    """The axes of ours that are TensorFlow's."""
    if node["op"] == "linear":
        return (1, 0)
    return (2, 3, 0, 1) if is_depthwise(node) else (2, 3, 1, 0)


layers = []
of_layers = list(filter(network.is_layer, net.nodes))
for node, (weight, bias), (learns, bias_learns) in zip(of_layers, net.parameters,
                                                       net.is_trained(args.scheme)):
    layers.append((tf.Variable(weight.transpose(order(node)), trainable=learns),
                   tf.Variable(bias, trainable=bias_learns)))
learn = [v for pair in layers for v in pair if v.trainable]
velocity = [tf.Variable(tf.zeros_like(v), trainable=False) for v in learn]
x = tf.constant(net.x.transpose(0, 2, 3, 1))
y = tf.constant(net.y)


def window(x, node, kernel, fill):
    """x, padded by us where SAME would pad otherwise, and what is left to pad."""
    size, stride = x.shape[1:3], node["stride"]
    top, left, bottom, right = node["pads"]
    if (top, left, bottom, right) == (0, 0, 0, 0):
        return x, "VALID"
    whole = [max((-(-size[i] // stride[i]) - 1) * stride[i] + kernel[i] - size[i], 0) for i in (0, 1)]
    if [top, left, bottom, right] == [whole[0] // 2, whole[1] // 2, -(-whole[0] // 2), -(-whole[1] // 2)]:
        return x, "SAME"
    return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], constant_values=fill), "VALID"


def run(node, layer, values):
    x = values[node["inputs"][0]]
    if node["op"] == "conv":
        weight, bias = layer
        x, padding = window(x, node, node["weight"][2:], 0)
        if is_depthwise(node):
            x = tf.nn.depthwise_conv2d(x, weight, [1, *node["stride"], 1], padding)
        else:
            x = tf.nn.conv2d(x, weight, node["stride"], padding)
        return tf.nn.bias_add(x, bias)
    if node["op"] == "linear":
        return tf.reshape(x, [args.batch, -1]) @ layer[0] + layer[1]
    if node["op"] == "add":
        return x + values[node["inputs"][1]]
    if node["op"] == "max_pool":
        x, padding = window(x, node, node["kernel"], x.dtype.min)
        return tf.nn.max_pool2d(x, node["kernel"], node["stride"], padding)
    assert node["op"] == "mean", node
    return tf.reduce_mean(x, [1, 2], keepdims=True)


def clamped(x, clamp):
    if clamp is None:
        return x
    low, high = clamp
    if high is None:
        return tf.nn.relu(x)
    return tf.nn.relu6(x) if (low, high) == (0, 6) else tf.clip_by_value(x, low, high)


def forward(x):
    values, rest = [x], iter(layers)
    for node in net.nodes:
        layer = next(rest) if network.is_layer(node) else None
        values.append(clamped(run(node, layer, values), node["clamp"]))
    return tf.reshape(values[-1], [args.batch, -1])


def loss_of(x, y):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=forward(x)))


@tf.function
def train(x, y):
    with tf.GradientTape() as tape:
        loss = loss_of(x, y)
    for v, g, m in zip(learn, tape.gradient(loss, learn), velocity):
        m.assign(network.MOMENTUM * m + g)
        v.assign_sub(network.LEARNING_RATE * m)
    return loss


worker.measure(lambda: float(train(x, y)), args, tf.__version__)
