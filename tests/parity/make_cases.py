"""Trains exported networks in PyTorch, for parity_test.cpp to compare with.

make_cases.py DIRECTORY writes a folder for each case and prints its name as soon as it is complete:

  model.onnx     the network, exported from f32
  scheme.json    the scheme, where it is not one of the named ones
  case.json      the batch, the trained slices with the error of PyTorch's own f32 gradients, the optimizers
  data.npz       x [steps * batch, ...], y [steps * batch], weights [steps * batch]
  expected.npz   in double: loss, grad.I at the start, OPTIMIZER.STEP.I after 1 and 5 steps; I is the number
                 of the slice in case.json, its elements in the model's order

PyTorch starts from the numbers in the ONNX file, in double. Statistics of batch norm stay frozen; gamma
and beta are trained where the scheme says so. A slice of a weight is a parameter of its own that is put
into the frozen weight in every forward pass, so that optimizers know nothing of the rest.
"""

import json
import os
import sys

import numpy
import onnx
import onnx.numpy_helper
import torch
import torch.fx.experimental.optimization
import torch.nn.utils.stateless
import torchvision

BATCH = 4
STEPS = 5
SNAPSHOTS = (1, 5)
CLASSES = 10
CANDIDATES = 48
LAYERS = {"Conv": torch.nn.Conv2d, "Gemm": torch.nn.Linear,
          "BatchNormalization": torch.nn.modules.batchnorm._BatchNorm}

OPTIMIZERS = {
    "sgd": dict(kind="sgd", learning_rate=0.002),
    "momentum": dict(kind="momentum", learning_rate=0.001, momentum=0.9),
    "nesterov": dict(kind="momentum", learning_rate=0.001, momentum=0.8, nesterov=True,
                     weight_decay=0.01),
    "adam": dict(kind="adam", learning_rate=0.0002),
    "adam_decay": dict(kind="adam", learning_rate=0.0002, weight_decay=0.02),
    "adamw": dict(kind="adamw", learning_rate=0.0002, weight_decay=0.05),
}


# ---- Networks ----------------------------------------------------------------------------------


def mlp(with_norm):
    def block(inputs, outputs):
        norm = [torch.nn.BatchNorm1d(outputs)] if with_norm else []
        return [torch.nn.Linear(inputs, outputs), *norm, torch.nn.ReLU()]

    return torch.nn.Sequential(torch.nn.Flatten(), *block(3 * 7 * 7, 61), *block(61, 37),
                               torch.nn.Linear(37, CLASSES))


def randomize_norms(model, shape):
    """Gives batch norm statistics that suit the activations, without being theirs exactly."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.6, 1.4)
        torch.nn.init.normal_(norm.bias, 0.0, 0.2)
        norm.momentum = None  # the mean over all batches
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    with torch.no_grad():
        model(torch.randn(16, *shape))
        for norm in norms:
            norm.running_mean += 0.2 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)
    return model.eval()


def export(model, shape, path, folded):
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(model, torch.randn(BATCH, *shape), path, training=mode, opset_version=17,
                      do_constant_folding=folded, input_names=["x"], output_names=["scores"],
                      dynamic_axes={"x": {0: "N"}, "scores": {0: "N"}})


# ---- The ONNX file and the module that computes the same --------------------------------------


class Network:
    """A module whose tensors are named and valued as the initializers of an ONNX file."""

    def __init__(self, module, path):
        self.graph = onnx.load(path).graph
        self.module = module
        values = {t.name: onnx.numpy_helper.to_array(t) for t in self.graph.initializer}
        for node in self.graph.node:  # without constant folding, shared initializers are identities
            if node.op_type == "Identity" and node.input[0] in values:
                values[node.output[0]] = values[node.input[0]]
        self.nodes = [n for n in self.graph.node if n.op_type in LAYERS]
        self.parameters = {}  # ONNX name -> f32 array
        self.places = {}      # ONNX name -> name in the module
        names = {m: n for n, m in module.named_modules()}
        modules = self.layers_in_order()
        assert len(modules) == len(self.nodes), (len(modules), len(self.nodes))
        for node, layer in zip(self.nodes, modules):
            assert isinstance(layer, LAYERS[node.op_type]), node
            for name, attribute in zip(node.input[1:], ("weight", "bias", "running_mean",
                                                        "running_var")):
                with torch.no_grad():
                    tensor = getattr(layer, attribute)
                    assert tensor.shape == values[name].shape, (name, tensor.shape)
                    tensor.copy_(torch.from_numpy(values[name].copy()))
                if not attribute.startswith("running"):
                    self.parameters[name] = values[name]
                    self.places[name] = f"{names[layer]}.{attribute}"

    def layers_in_order(self):
        order = []
        hooks = [m.register_forward_hook(lambda m, *_: order.append(m))
                 for m in self.module.modules() if isinstance(m, tuple(LAYERS.values()))]
        with torch.no_grad():
            self.module(torch.zeros(1, *input_shape(self.graph)))
        for hook in hooks:
            hook.remove()
        return order

    def layers(self):
        """Weight, bias (its own, else the beta after it) and everything, layer by layer."""
        result = []
        for node in self.nodes:
            if node.op_type == "BatchNormalization":
                continue
            norm = [n for n in self.nodes
                    if n.op_type == "BatchNormalization" and n.input[0] == node.output[0]]
            own = list(node.input[1:])
            affine = list(norm[0].input[1:3]) if norm else []
            bias = own[1] if len(own) > 1 else affine[1] if affine else None
            grouped = next((a.i for a in node.attribute if a.name == "group"), 1) > 1
            result.append(dict(weight=own[0], bias=bias, all=own + affine, depthwise=grouped))
        return result


def input_shape(graph):
    return [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[1:]]


def far_from_kinks(module, x):
    """The examples, those first that keep furthest from where ReLU and ReLU6 have no derivative.

    Nearby, a rounding error of f32 turns a gradient on or off, and the error of the whole gradient
    says nothing about the kernels.
    """
    module.double()
    margins = torch.full((len(x),), float("inf"), dtype=torch.float64)

    def watch(layer, inputs):
        values = inputs[0].detach().flatten(1)
        distance = values.abs()
        if isinstance(layer, torch.nn.ReLU6):
            distance = torch.minimum(distance, (values - 6).abs())
        torch.minimum(margins, distance.amin(1) / values.pow(2).mean().sqrt(), out=margins)

    # Before an activation in place overwrites its input.
    hooks = [m.register_forward_pre_hook(watch)
             for m in module.modules() if isinstance(m, (torch.nn.ReLU, torch.nn.ReLU6))]
    with torch.no_grad():
        module(x.double())
    for hook in hooks:
        hook.remove()
    return x[margins.argsort(descending=True)]


# ---- Schemes -------------------------------------------------------------------------------------


def strongest(values, axis, ratio):
    norms = (values.astype(numpy.float64) ** 2).sum(
        axis=tuple(i for i in range(values.ndim) if i != axis))
    keep = min(max(int(len(norms) * ratio + 0.5), 1), len(norms))
    return sorted(numpy.argsort(-norms, kind="stable")[:keep].tolist())


def sliced_scheme(network):
    """A scheme file, and the slices it means: weights by ratio and by list, along both axes."""
    layers = network.layers()
    body = range(len(layers) - 1)
    dense = [i for i in body if not layers[i]["depthwise"]]
    depthwise = [i for i in body if layers[i]["depthwise"]]
    json_layers, slices = [], {}

    def choose(layer, kind, channels):
        name = layers[layer]["weight"]
        values = network.parameters[name]
        axis = 1 if kind == "input_channels" and not layers[layer]["depthwise"] else 0
        # A small network has few layers: one that is chosen again counts as chosen last.
        json_layers[:] = [entry for entry in json_layers if entry["layer"] != layer]
        json_layers.append({"layer": layer, kind: channels})
        if isinstance(channels, float):
            channels = strongest(values, axis, channels)
        slices[name] = (axis, channels)

    choose(dense[-1], "input_channels", 0.25)
    choose(dense[len(dense) // 2], "output_channels", 0.4)
    if len(dense) > 4:
        choose(dense[-3], "input_channels", [0, 3, 4, 7])
        choose(dense[1], "output_channels", [1, 5])
    if depthwise:
        choose(depthwise[-1], "output_channels", 0.5)
        choose(depthwise[len(depthwise) // 3], "input_channels", [0, 2, 3, 9])
    count = min(3, len(layers) - 1)
    for name in layers[-1]["all"] + [layers[i]["bias"] for i in body[-count:]]:
        slices[name] = None
    return {"head": True, "bias_last": count, "layers": json_layers}, slices


def scheme_slices(network, scheme):
    layers = network.layers()
    if scheme == "full":
        return scheme, {name: None for name in network.parameters}
    if scheme.startswith("bias:"):
        count = int(scheme[5:])
        names = layers[-1]["all"] + [l["bias"] for l in layers[-1 - count:-1]]
        return scheme, {name: None for name in names if name}
    return sliced_scheme(network)


# ---- Training ------------------------------------------------------------------------------------


class Training:
    """Leaves for the trained slices of a network, in one precision."""

    def __init__(self, network, slices, dtype):
        self.network, self.slices, self.dtype = network, slices, dtype
        self.module = network.module.to(dtype)
        self.base = {name: torch.from_numpy(values.copy()).to(dtype)
                     for name, values in network.parameters.items()}
        self.leaves = []
        for name, part in slices.items():
            whole = self.base[name]
            leaf = whole if part is None else whole.index_select(part[0], torch.tensor(part[1]))
            self.leaves.append(leaf.clone().requires_grad_(True))

    def loss(self, x, y, weights):
        tensors = dict(self.base)
        for leaf, (name, part) in zip(self.leaves, self.slices.items()):
            tensors[name] = leaf if part is None else self.base[name].index_copy(
                part[0], torch.tensor(part[1]), leaf)
        scores = torch.nn.utils.stateless.functional_call(
            self.module, {self.network.places[n]: t for n, t in tensors.items()},
            (x.to(self.dtype),))
        losses = torch.nn.functional.cross_entropy(scores, y, reduction="none")
        weights = weights.to(self.dtype)
        return (losses * weights).sum() / weights.sum()

    def gradients(self, data):
        loss = self.loss(*data)
        return loss.item(), torch.autograd.grad(loss, self.leaves)

    def optimizer(self, kind, learning_rate, **options):
        make = {"sgd": torch.optim.SGD, "momentum": torch.optim.SGD, "adam": torch.optim.Adam,
                "adamw": torch.optim.AdamW}[kind]
        if kind == "adamw":
            options.setdefault("weight_decay", 0.0)
        return make(self.leaves, lr=learning_rate, **options)


def write_case(directory, name, network, scheme, optimizers, seed, partial):
    folder = os.path.join(directory, name)
    torch.manual_seed(seed)
    shape = input_shape(network.graph)
    x = torch.cat([far_from_kinks(network.module, torch.randn(CANDIDATES, *shape))[:BATCH],
                   torch.randn((STEPS - 1) * BATCH, *shape)])
    y = torch.randint(0, CLASSES, (STEPS * BATCH,))
    weights = torch.ones(STEPS * BATCH)
    if partial:  # the first batch lacks an example, the last two
        weights[[BATCH - 1, -2, -1]] = 0
    batches = [(x[i:i + BATCH], y[i:i + BATCH], weights[i:i + BATCH])
               for i in range(0, len(x), BATCH)]

    spec, slices = scheme_slices(network, scheme)
    if not isinstance(spec, str):
        with open(os.path.join(folder, "scheme.json"), "w") as file:
            json.dump(spec, file)
        spec = "scheme.json"

    _, single = Training(network, slices, torch.float32).gradients(batches[0])
    loss, exact = Training(network, slices, torch.float64).gradients(batches[0])
    expected = {"loss": numpy.array([loss])}
    trained = []
    for i, ((tensor, part), g32, g64) in enumerate(zip(slices.items(), single, exact)):
        expected[f"grad.{i}"] = g64.numpy()
        axis, channels = part if part else (-1, [])
        error = ((g32.double() - g64).norm() / g64.norm()).item()
        trained.append(dict(name=tensor, axis=axis, channels=channels, f32_error=error))

    for key in optimizers:
        training = Training(network, slices, torch.float64)
        optimizer = training.optimizer(**OPTIMIZERS[key])
        for step, batch in enumerate(batches, 1):
            optimizer.zero_grad()
            loss = training.loss(*batch)
            assert loss.item() < 100, f"{name}: {key} diverges"
            loss.backward()
            optimizer.step()
            if step in SNAPSHOTS:
                for i, leaf in enumerate(training.leaves):
                    expected[f"{key}.{step}.{i}"] = leaf.detach().clone().numpy()

    numpy.savez(os.path.join(folder, "data.npz"), x=x.numpy(), y=y.numpy().astype(numpy.int32),
                weights=weights.numpy())
    numpy.savez(os.path.join(folder, "expected.npz"), **expected)
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump(dict(batch=BATCH, steps=STEPS, snapshots=SNAPSHOTS, scheme=spec, trained=trained,
                       optimizers={key: OPTIMIZERS[key] for key in optimizers}), file)
    print(name, flush=True)


def main(directory):
    nets = {
        "mlp": ([3, 7, 7], lambda: None),
        "mobilenet_v2": ([3, 64, 64], lambda: torchvision.models.mobilenet_v2(
            weights=None, width_mult=0.35, num_classes=CLASSES)),
        "resnet18": ([3, 48, 48], lambda: torchvision.models.resnet18(
            weights=None, num_classes=CLASSES)),
    }
    plans = [  # network, folded by the exporter, scheme, optimizers, partial batches
        ("mlp", False, "full", ["sgd", "momentum", "nesterov", "adam", "adam_decay", "adamw"], True),
        ("mlp", False, "bias:2", ["sgd", "momentum", "adam"], False),
        ("mlp", False, "sliced", ["sgd", "nesterov", "adam_decay"], False),
        ("mlp", True, "full", ["sgd", "momentum", "adam"], False),
        ("mlp", True, "bias:1", ["sgd", "momentum", "adam"], False),
        ("mlp", True, "sliced", ["sgd", "momentum", "adamw"], True),
        ("mobilenet_v2", False, "full", ["sgd", "nesterov", "adam"], False),
        ("mobilenet_v2", False, "bias:20", ["sgd", "momentum", "adam"], True),
        ("mobilenet_v2", False, "sliced", ["sgd", "nesterov", "adam_decay"], False),
        ("mobilenet_v2", True, "full", ["sgd", "momentum", "adam"], True),
        ("mobilenet_v2", True, "bias:20", ["sgd", "momentum", "adam"], False),
        ("mobilenet_v2", True, "sliced", ["sgd", "nesterov", "adamw"], False),
        ("resnet18", False, "full", ["momentum", "adam"], False),
        ("resnet18", False, "bias:9", ["momentum", "adam"], False),
        ("resnet18", False, "sliced", ["sgd", "adam_decay"], True),
        ("resnet18", True, "full", ["sgd", "adam"], False),
        ("resnet18", True, "bias:9", ["sgd", "momentum"], False),
        ("resnet18", True, "sliced", ["nesterov", "adam"], False),
    ]
    for number, (net, folded, scheme, optimizers, partial) in enumerate(plans):
        shape, make = nets[net]
        torch.manual_seed(7)
        model = randomize_norms(mlp(not folded) if net == "mlp" else make(), shape)
        name = f"{net}-{'folded' if folded else 'kept'}-{scheme.replace(':', '')}"
        os.makedirs(os.path.join(directory, name))
        path = os.path.join(directory, name, "model.onnx")
        export(model, shape, path, folded)
        norms = sum(n.op_type == "BatchNormalization" for n in onnx.load(path).graph.node)
        assert (norms == 0) == folded, f"{name}: {norms} batch norms"
        if folded:
            model = torch.fx.experimental.optimization.fuse(model)
        write_case(directory, name, Network(model.eval(), path), scheme, optimizers, 100 + number,
                   partial)


main(sys.argv[1])
