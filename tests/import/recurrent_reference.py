"""Writes recurrent_reference.inc: what PyTorch, in double, makes of LSTM, GRU and RNN nodes, and of their gradients.

    python3 recurrent_reference.py > recurrent_reference.inc

The steps are written out here, for all that the nodes have; onnxruntime has to agree with their outputs, in single
precision, and torch.nn where it has such a layer. Of each tensor two numbers: its dot products with cos(1), cos(2), ..
and with sin(1), sin(2), .. The loss is the sum of the outputs times cos(1), cos(2), ..
"""

import math

import numpy
import onnx
import onnxruntime
import torch

STEPS, EXAMPLES, INPUTS, HIDDEN = 4, 3, 3, 2
LENGTHS = [2, 4, 1]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
BOTH = "bidirectional"

# name, operator, and what is not its default
CASES = [
    ("lstm", "LSTM", {}),
    ("lstm, bare", "LSTM", {"bare": True}),
    ("lstm, reverse, lengths", "LSTM", {"direction": "reverse", "lengths": True}),
    ("lstm, both, lengths, batch first", "LSTM", {"direction": BOTH, "lengths": True, "layout": 1}),
    ("lstm, all lengths whole", "LSTM", {"lengths": [4, 4, 4]}),
    ("lstm, peepholes", "LSTM", {"direction": BOTH, "peepholes": True}),
    ("lstm, input_forget, clip", "LSTM", {"input_forget": 1, "clip": 0.3, "lengths": True}),
    ("lstm, activations", "LSTM", {"activations": ["HardSigmoid", "ScaledTanh", "Softsign"], "alpha": [0.3, 1.5],
                                   "beta": [0.4, 0.7], "peepholes": True, "direction": "reverse"}),
    ("gru", "GRU", {}),
    ("gru, both, lengths, batch first", "GRU", {"direction": BOTH, "lengths": True, "layout": 1}),
    ("gru, reset after", "GRU", {"linear_before_reset": 1, "direction": BOTH, "lengths": True}),
    ("gru, reset after, bare", "GRU", {"linear_before_reset": 1, "bare": True}),
    ("gru, clip", "GRU", {"clip": 0.4, "lengths": True, "direction": "reverse"}),
    ("gru, activations, reset after", "GRU", {"activations": ["Sigmoid", "Softplus", "HardSigmoid", "Elu"],
                                              "alpha": [0.25, 0.8], "beta": [0.45], "linear_before_reset": 1,
                                              "direction": BOTH}),
    ("rnn", "RNN", {}),
    ("rnn, relu, both, lengths", "RNN", {"activations": ["Relu", "Relu"], "direction": BOTH, "lengths": True}),
    ("rnn, another one each way", "RNN", {"activations": ["LeakyRelu", "Affine"], "alpha": [0.2, 0.7], "beta": [0.1],
                                          "direction": BOTH, "lengths": True}),
    ("rnn, thresholded", "RNN", {"activations": ["ThresholdedRelu"], "alpha": [0.2]}),
]


def wave(frequency, scale, shape):
    i = numpy.arange(1, numpy.prod(shape) + 1)
    values = (scale * numpy.sin(frequency * i)).astype(numpy.float32)
    return torch.tensor(values.astype(numpy.float64).reshape(shape), requires_grad=True)


def activations(op, options, directions):
    """A function of each name, with the numbers that it takes from the lists in order."""
    alphas, betas = list(options.get("alpha", [])), list(options.get("beta", []))
    made = []
    for name in options.get("activations", DEFAULTS[op] * directions):
        a = alphas.pop(0) if name in ("HardSigmoid", "ScaledTanh", "LeakyRelu", "Affine", "Elu",
                                      "ThresholdedRelu") else None
        b = betas.pop(0) if name in ("HardSigmoid", "ScaledTanh", "Affine") else None
        made.append({
            "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": torch.relu,
            "HardSigmoid": lambda x, a=a, b=b: torch.clamp(a * x + b, 0, 1),
            "ScaledTanh": lambda x, a=a, b=b: a * torch.tanh(b * x),
            "Affine": lambda x, a=a, b=b: a * x + b,
            "LeakyRelu": lambda x, a=a: torch.where(x < 0, a * x, x),
            "Elu": lambda x, a=a: torch.where(x < 0, a * (torch.exp(x) - 1), x),
            "ThresholdedRelu": lambda x, a=a: torch.where(x > a, x, torch.zeros_like(x)),
            "Softsign": lambda x: x / (1 + x.abs()),
            "Softplus": lambda x: torch.log(1 + torch.exp(x)),
        }[name])
    return made


def run(op, options, lengths, tensors):
    directions = 2 if options.get("direction") == BOTH else 1
    x, w, r = tensors["X"], tensors["W"], tensors["R"]
    initial, cell = tensors.get("initial_h"), tensors.get("initial_c")
    if options.get("layout"):
        x = x.transpose(0, 1)
        initial = None if initial is None else initial.transpose(0, 1)
        cell = None if cell is None else cell.transpose(0, 1)
    functions = activations(op, options, directions)
    each = len(functions) // directions
    clip = options.get("clip", math.inf)
    ys, hs, cs = [], [], []
    for d in range(directions):
        f = [lambda v, g=g: g(torch.clamp(v, -clip, clip)) for g in functions[d * each:(d + 1) * each]]
        out = functions[(d + 1) * each - 1]  # of a cell, which is not clipped
        wb, rb = (tensors["B"][d] if "B" in tensors else x.new_zeros(2 * r.shape[1])).chunk(2)
        h = x.new_zeros(EXAMPLES, HIDDEN) if initial is None else initial[d]
        c = x.new_zeros(EXAMPLES, HIDDEN) if cell is None else cell[d]
        p = tensors["P"][d].chunk(3) if "P" in tensors else [x.new_zeros(HIDDEN)] * 3
        y = [None] * STEPS
        for s in range(STEPS):
            t = STEPS - 1 - s if d == 1 or options.get("direction") == "reverse" else s
            xs, hh = (x[t] @ w[d].T + wb).split(HIDDEN, 1), (h @ r[d].T + rb).split(HIDDEN, 1)
            if op == "LSTM":
                i = f[0](xs[0] + hh[0] + p[0] * c)
                forget = 1 - i if options.get("input_forget") else f[0](xs[2] + hh[2] + p[2] * c)
                c_next = forget * c + i * f[1](xs[3] + hh[3])
                h_next = f[0](xs[1] + hh[1] + p[1] * c_next) * out(c_next)
            elif op == "GRU":
                z, q = f[0](xs[0] + hh[0]), f[0](xs[1] + hh[1])
                last = q * hh[2] if options.get("linear_before_reset") else (
                    (q * h) @ r[d][2 * HIDDEN:].T + rb[2 * HIDDEN:])
                c_next, h_next = c, (1 - z) * f[1](xs[2] + last) + z * h
            else:
                c_next, h_next = c, f[0](xs[0] + hh[0])
            running = torch.tensor([[t < length] for length in lengths])
            y[t] = torch.where(running, h_next, torch.zeros_like(h))
            h, c = torch.where(running, h_next, h), torch.where(running, c_next, c)
        ys.append(torch.stack(y)), hs.append(h), cs.append(c)
    y, h, c = torch.stack(ys, 1), torch.stack(hs), torch.stack(cs)
    if options.get("layout"):
        y, h, c = y.permute(2, 0, 1, 3), h.transpose(0, 1), c.transpose(0, 1)
    return {"Y": y, "Y_h": h, "Y_c": c} if op == "LSTM" else {"Y": y, "Y_h": h}


def attributes(options):
    names = {"alpha": "activation_alpha", "beta": "activation_beta"}
    return {names.get(key, key): value for key, value in options.items()
            if key not in ("bare", "lengths", "peepholes")}


def check_onnxruntime(name, op, options, lengths, tensors, outputs):
    if options.get("layout"):  # which onnxruntime does not have
        return
    inputs = ["X", "W", "R", "B", "lengths", "initial_h"] + (["initial_c", "P"] if op == "LSTM" else [])
    given = {key: value.detach().numpy().astype(numpy.float32) for key, value in tensors.items()}
    if lengths != [STEPS] * EXAMPLES:
        given["lengths"] = numpy.array(lengths, numpy.int32)
    node = onnx.helper.make_node(op, [key if key in given else "" for key in inputs], list(outputs),
                                 hidden_size=HIDDEN, **attributes(options))
    infos = [onnx.helper.make_tensor_value_info(key, 6 if key == "lengths" else 1, value.shape)
             for key, value in given.items()]
    results = [onnx.helper.make_tensor_value_info(key, 1, None) for key in outputs]
    graph = onnx.helper.make_graph([node], "g", infos, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for want, got in zip(outputs.values(), session.run(None, given)):
        difference = numpy.abs(want.detach().numpy() - got).max()
        assert difference < 1e-5, (name, difference)


def check_torch(name, op, options, tensors, outputs):
    """One direction of torch.nn, whose gates are i f g o, and r z n."""
    if op == "GRU" and not options.get("linear_before_reset"):
        return
    order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}[op]
    turned = lambda m: torch.cat([m.split(HIDDEN)[k] for k in order])
    layer = getattr(torch.nn, op)(INPUTS, HIDDEN).double()
    wb, rb = (tensors["B"][0] if "B" in tensors else torch.zeros(2 * GATES[op] * HIDDEN)).chunk(2)
    with torch.no_grad():
        for to, value in (("weight_ih_l0", tensors["W"][0]), ("weight_hh_l0", tensors["R"][0]),
                          ("bias_ih_l0", wb), ("bias_hh_l0", rb)):
            getattr(layer, to).copy_(turned(value))
    h = tensors.get("initial_h")
    state = h if h is None or op != "LSTM" else (h, tensors["initial_c"])
    y = layer(tensors["X"], state)[0]
    assert (y - outputs["Y"].squeeze(1)).abs().max() < 1e-12, name


def dots(tensor):
    i = torch.arange(1, tensor.numel() + 1, dtype=torch.float64)
    flat = tensor.detach().flatten()
    return (flat * torch.cos(i)).sum().item(), (flat * torch.sin(i)).sum().item()


def text(value):
    if isinstance(value, list):
        return "{" + ", ".join(map(text, value)) + "}"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main():
    print("// Written by recurrent_reference.py.")
    for name, op, options in CASES:
        directions, rows = 2 if options.get("direction") == BOTH else 1, GATES[op] * HIDDEN
        batch_first = options.get("layout", 0) == 1
        state = [EXAMPLES, directions, HIDDEN] if batch_first else [directions, EXAMPLES, HIDDEN]
        lengths = options.get("lengths", False)
        lengths = LENGTHS if lengths is True else lengths or [STEPS] * EXAMPLES
        shapes = {"X": [EXAMPLES, STEPS, INPUTS] if batch_first else [STEPS, EXAMPLES, INPUTS],
                  "W": [directions, rows, INPUTS], "R": [directions, rows, HIDDEN]}
        if not options.get("bare"):
            shapes.update({"B": [directions, 2 * rows], "initial_h": state})
            if op == "LSTM":
                shapes["initial_c"] = state
        if options.get("peepholes"):
            shapes["P"] = [directions, 3 * HIDDEN]
        tensors = {key: wave(0.7 + 0.3 * k, 0.8, shape) for k, (key, shape) in enumerate(shapes.items())}
        outputs = run(op, options, lengths, tensors)
        check_onnxruntime(name, op, options, lengths, tensors, outputs)
        if not set(options) - {"bare", "linear_before_reset"}:
            check_torch(name, op, options, tensors, outputs)
        loss = sum(dot for dot in (
            (y.flatten() * torch.cos(torch.arange(1, y.numel() + 1, dtype=torch.float64))).sum()
            for y in outputs.values()))
        loss.backward()
        found = {**outputs, **{"grad " + key: value.grad for key, value in tensors.items()}}
        ints = {key: value for key, value in attributes(options).items() if isinstance(value, int)}
        print(f'{{"{name}", "{op}", "{options.get("direction", "forward")}", '
              f'{text([[k, v] for k, v in ints.items()])}, {options.get("clip", 0)},\n '
              f'{text(options.get("activations", []))}, {text(options.get("alpha", []))}, '
              f'{text(options.get("beta", []))}, {text(lengths if options.get("lengths") else [])},\n '
              f'{text([[k, list(v)] for k, v in shapes.items()])},\n {{')
        for key, tensor in found.items():
            cosines, sines = dots(tensor)
            print(f'  {{"{key}", {cosines!r}, {sines!r}}},')
        print(" }},")


main()
