"""MobileNetV2 1.0 as all peers train it, and what a scheme trains of it.

The network has 53 layers, counted in the order of execution: the stem, 17 blocks (expanding pointwise,
depthwise, projecting pointwise; the first without the expanding one), the last convolution, the classifier.
BatchNorm is folded into the convolutions, so that every layer has a weight and a bias.
"""

LAYERS = 53
IMAGE = 224
CLASSES = 1000
LEARNING_RATE = 1e-4  # small, so that random labels do not make the numbers diverge
MOMENTUM = 0.9
WARM_UPS = 2

FIRST_OF_LAST_BLOCKS = [30 + 3 * i for i in range(7)]  # expanding pointwise layers of the last 7 blocks


def trained(scheme):
    """Layers whose weight, and layers whose bias, a scheme trains."""
    if scheme == "full":
        return set(range(LAYERS)), set(range(LAYERS))
    assert scheme == "sparse", scheme
    # The classifier, all biases from the seventh-last block on, and the weights that expand.
    return {*FIRST_OF_LAST_BLOCKS, LAYERS - 1}, set(range(FIRST_OF_LAST_BLOCKS[0], LAYERS))


def onnx_layers(graph):
    """Names of weight and bias of every layer of the exported model."""
    layers = [(n.input[1], n.input[2]) for n in graph.node if n.op_type in ("Conv", "Gemm")]
    assert len(layers) == LAYERS, len(layers)
    return layers


def trained_names(graph, scheme):
    weights, biases = trained(scheme)
    layers = onnx_layers(graph)
    return ([layers[i][0] for i in sorted(weights)], [layers[i][1] for i in sorted(biases)])
