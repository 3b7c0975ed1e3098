"""export_model.py FOLDER MODEL [FILE.onnx]: writes MODEL.onnx, .json, .weights, .data and a scheme for Attune.

MobileNetV2 and ResNet-50 are torchvision's, with random weights; the other models are read from FILE.onnx. BatchNorm
is folded, so that every layer has a weight and a bias and all peers do the same arithmetic; `network.py` says
what is in the files.
"""
import io
import json
import os
import sys

import numpy
import onnx
from onnx import helper, numpy_helper

import network


def torchvision_model(name):
    import torch
    import torchvision
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    # As drawn, a norm adds nothing, and sums of many blocks grow: with these the loss begins near that of chance.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, 0, 0.01)
        if isinstance(module, torchvision.models.resnet.Bottleneck):
            torch.nn.init.constant_(module.bn3.weight, 0.2)
    file = io.BytesIO()
    torch.onnx.export(model, torch.randn(1, 3, 224, 224), file, opset_version=13,
                      do_constant_folding=True, input_names=["x"], output_names=["scores"])
    return onnx.load_from_string(file.getvalue())


def fold_norm(weight, bias, gamma, beta, mean, variance, epsilon):
    factor = gamma / numpy.sqrt(variance + epsilon)
    return (weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), (bias - mean) * factor + beta)


def nodes_of(graph):
    """The nodes of `network.py`, and weight and bias of every layer."""
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    values = {graph.input[0].name: 0}
    nodes, parameters = [], []
    for n in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        if n.op_type == "Constant":
            tensors[n.output[0]] = numpy_helper.to_array(attributes["value"])
            continue
        inputs = [values[i] for i in n.input if i in values]
        given = [tensors[i] for i in n.input if i in tensors]
        window = {"stride": list(attributes.get("strides", [1, 1])), "pads": list(attributes.get("pads", [0] * 4))}
        if n.op_type in ("Relu", "Clip", "BatchNormalization", "Flatten"):
            # These belong to the node before, which nothing else may read.
            node = nodes[inputs[0] - 1]
            assert inputs[0] == len(nodes) and node.get("clamp") is None, n
            if n.op_type == "Relu":
                node["clamp"] = [0, None]
            elif n.op_type == "Clip":
                node["clamp"] = [float(bound.reshape(())) for bound in given]
            elif n.op_type == "BatchNormalization":
                parameters[-1] = fold_norm(*parameters[-1], *given, attributes.get("epsilon", 1e-5))
            values[n.output[0]] = inputs[0]
            continue
        if n.op_type == "Conv":
            node = {"op": "conv", "groups": attributes.get("group", 1), **window}
        elif n.op_type == "Gemm":
            assert attributes.get("transB") == 1, n
            node = {"op": "linear"}
        elif n.op_type == "MaxPool":
            node = {"op": "max_pool", "kernel": list(attributes["kernel_shape"]), **window}
        else:
            node = {"op": {"Add": "add", "GlobalAveragePool": "mean"}[n.op_type]}
        if network.is_layer(node):
            node["weight"] = list(given[0].shape)
            parameters.append((given[0], given[1] if len(given) > 1 else numpy.zeros(len(given[0]))))
        nodes.append({**node, "inputs": inputs, "clamp": None})
        values[n.output[0]] = len(nodes)
    return nodes, [(w.astype(numpy.float32), b.astype(numpy.float32)) for w, b in parameters]


def onnx_of(nodes, parameters, shape, classes):
    """An ONNX model of the same nodes, with names that `network.names_of` knows."""
    made, tensors, layer = [], [], 0
    names = ["x"] + [f"value{i + 1}" for i in range(len(nodes))]

    def add(op, inputs, output, **attributes):
        made.append(helper.make_node(op, inputs, [output], **attributes))

    def tensor(name, array):
        tensors.append(numpy_helper.from_array(numpy.asarray(array, numpy.float32), name))
        return name

    for i, node in enumerate(nodes):
        inputs, output = [names[v] for v in node["inputs"]], names[i + 1]
        if node["clamp"]:
            output += ".unclamped"
        if network.is_layer(node):
            inputs += [tensor(n, p) for n, p in zip(network.names_of(layer), parameters[layer])]
            layer += 1
        if node["op"] == "conv":
            add("Conv", inputs, output, group=node["groups"], strides=node["stride"], pads=node["pads"],
                kernel_shape=node["weight"][2:])
        elif node["op"] == "linear":
            add("Flatten", inputs[:1], output + ".flat")
            add("Gemm", [output + ".flat", *inputs[1:]], output, transB=1)
        elif node["op"] == "max_pool":
            add("MaxPool", inputs, output, kernel_shape=node["kernel"], strides=node["stride"],
                pads=node["pads"])
        else:
            add({"add": "Add", "mean": "GlobalAveragePool"}[node["op"]], inputs, output)
        if node["clamp"]:
            low, high = node["clamp"]
            if (low, high) == (0, None):
                add("Relu", [output], names[i + 1])
            else:
                add("Clip", [output, tensor(f"low{i}", low), tensor(f"high{i}", high)], names[i + 1])
    add("Flatten", [names[-1]], "scores")
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(made, "network", [helper.make_tensor_value_info("x", kind, ["N", *shape])],
                              [helper.make_tensor_value_info("scores", kind, ["N", classes])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write_data(path, shape, classes):
    """The labels, then the images."""
    random = numpy.random.default_rng(0)
    images = random.standard_normal((network.EXAMPLES, *shape), dtype=numpy.float32)
    labels = random.integers(classes, size=network.EXAMPLES)
    with open(path, "wb") as file:
        file.write(labels.astype(numpy.float32).tobytes() + images.tobytes())


def main(folder, name, source=None):
    graph = (onnx.load(source) if source else torchvision_model(name)).graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim][1:]
    nodes, parameters = nodes_of(graph)
    classes = len(parameters[-1][1])
    schemes = {}
    for _, scheme in network.CONFIGURATIONS[name]:
        weights, biases = network.trained(name, len(parameters), scheme)
        schemes[scheme] = {"weights": weights, "biases": biases}
        names = [network.names_of(i)[0] for i in weights] + [network.names_of(i)[1] for i in biases]
        with open(os.path.join(folder, f"{name}-{scheme}.json"), "w") as file:
            json.dump({"head": False, "parameters": [{"name": n} for n in names]}, file)
    path = os.path.join(folder, name)
    onnx.save(onnx_of(nodes, parameters, shape, classes), path + ".onnx")
    with open(path + ".weights", "wb") as file:
        for weight, bias in parameters:
            file.write(weight.tobytes() + bias.tobytes())
    write_data(path + ".data", shape, classes)
    with open(path + ".json", "w") as file:
        json.dump({"input": shape, "classes": classes, "nodes": nodes, "trained": schemes}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
