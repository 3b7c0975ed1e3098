"""Writes layers_reference.inc: what PyTorch, in double, makes of the layers of layers_test.cpp, and their gradients.

    python3 layers_reference.py > layers_reference.inc

PyTorch 2.5 or newer. Tensor k of a case is a wave, rounded to single precision. Of each tensor two numbers: its dot
products with cos(1), cos(2), .. and with sin(1), sin(2), .. The loss is the dot product of y with sin(0.9), sin(1.8), ..
"""

import numpy
import torch
import torch.nn.functional as F


def wave(k, shape):
    values = 0.6 * numpy.sin((0.7 + 0.1 * k) * numpy.arange(1, numpy.prod(shape) + 1)) + 0.05
    return torch.tensor(values.astype(numpy.float32).astype(numpy.float64).reshape(shape), requires_grad=True)


def standardised(x, w, b, epsilon=float(numpy.float32(1e-3))):
    centred = w - w.mean((1, 2, 3), keepdim=True)
    return F.conv2d(x, centred / ((centred * centred).mean((1, 2, 3), keepdim=True) + epsilon).sqrt(), b)


def joined(x, w, small, b, c):
    return F.conv2d(x, w + F.pad(small, (1, 1, 1, 1)), b + c, padding=1)


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


MASK = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]], dtype=torch.bool)


def masked(q, k, v):
    y = F.scaled_dot_product_attention(*(t.unflatten(2, (2, -1)).transpose(1, 2) for t in (q, k, v)), attn_mask=MASK,
                                       scale=0.3)
    return y.transpose(1, 2).flatten(2)


def biased(q, k, v, bias):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def rotated(x, interleaved):
    angles = torch.arange(3, dtype=torch.float64)[:, None] * torch.tensor([1, 0.25], dtype=torch.float64)
    cos, sin = (f(angles).float().double() for f in (torch.cos, torch.sin))
    turned, rest = x[..., :4], x[..., 4:]
    a, b = (turned[..., 0::2], turned[..., 1::2]) if interleaved else turned.chunk(2, -1)
    both = a * cos - b * sin, a * sin + b * cos
    return torch.cat([torch.stack(both, -1).flatten(3) if interleaved else torch.cat(both, -1), rest], -1)


WINDOW = torch.tensor([0.25, 0.75, 1, 0.5], dtype=torch.float64)

CASES = [
    ("conv 3-D", [(2, 4, 5, 6, 4), (6, 2, 3, 2, 2), (6,)],
     lambda x, w, b: F.conv3d(x, w, b, (2, 1, 2), (1, 0, 1), (1, 2, 1), 2)),
    ("depthwise conv 3-D", [(2, 3, 4, 3, 3), (3, 1, 2, 2, 2)], lambda x, w: F.conv3d(x, w, groups=3)),
    ("transposed conv 1-D", [(2, 4, 5), (4, 3, 4), (3,)],
     lambda x, w, b: F.conv_transpose1d(x, w, b, 3, 1, 2, 1, 2)),
    ("transposed conv 2-D", [(2, 4, 3, 4), (4, 3, 3, 2), (6,)],
     lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2), 2)),
    ("transposed conv without a bias", [(2, 4, 3, 4), (4, 3, 3, 2)], lambda x, w: F.conv_transpose2d(x, w)),
    ("transposed conv and batch norm", [(2, 4, 3, 4), (4, 3, 3, 2), (3,), (3,)],
     lambda x, w, g, b: F.batch_norm(F.conv_transpose2d(x, w, None, 2), torch.full((3,), 0.5).double(),
                                     torch.full((3,), 2.).double(), g, b, False, 0, 1e-3)),
    ("transposed conv 3-D", [(2, 3, 2, 3, 2), (3, 2, 3, 2, 2), (2,)],
     lambda x, w, b: F.conv_transpose3d(x, w, b, (2, 1, 2), (1, 0, 0), (1, 0, 1))),
    ("max pool 3-D", [(2, 3, 5, 6, 7)], lambda x: F.max_pool3d(x, (2, 3, 2), 2, 1, ceil_mode=True)),
    ("average pool 3-D", [(2, 3, 5, 6, 7)],
     lambda x: F.avg_pool3d(x, (2, 3, 2), 2, 1, ceil_mode=True, count_include_pad=False)),
    ("average pool 3-D with padding", [(2, 3, 5, 6, 7)], lambda x: F.avg_pool3d(x, (2, 3, 2), 2, 1, ceil_mode=True)),
    ("average pool 2-D with padding", [(2, 3, 6, 7)], lambda x: F.avg_pool2d(x, (3, 2), 2, 1, ceil_mode=True)),
    ("lp pool", [(2, 3, 5, 6)], lambda x: F.lp_pool2d(x.abs(), 3, (2, 3), 2)),
    ("group norm", [(2, 6, 3, 2), (6,), (6,)], lambda x, w, b: F.group_norm(x, 3, w, b, 1e-3)),
    ("group norm, a scale a group", [(2, 6, 3, 2), (3,), (3,)],
     lambda x, w, b: F.group_norm(x, 3, w.repeat_interleave(2), b.repeat_interleave(2), 1e-3)),
    ("instance norm", [(2, 3, 4, 2), (3,), (3,)], lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=1e-3)),
    ("rms norm", [(2, 3, 5), (5,)], lambda x, w: F.rms_norm(x, (5,), w, 1e-3)),
    ("lrn", [(2, 5, 3, 2)], lambda x: F.local_response_norm(x, 3, 0.3, 0.6, 1.5)),
    ("l2 norm", [(2, 3, 4)], lambda x: F.normalize(x, 2, 1)),
    ("l1 norm", [(2, 3, 4)], lambda x: F.normalize(x, 1, 2)),
    ("fourier transform", [(2, 3, 5, 2)],
     lambda x: torch.view_as_real(torch.fft.fft(torch.view_as_complex(x), n=4, dim=1))),
    ("fourier transform back", [(2, 3, 5, 2)],
     lambda x: torch.view_as_real(torch.fft.ifft(torch.view_as_complex(x), dim=2))),
    ("frames of a signal", [(2, 11, 1)],
     lambda x: torch.view_as_real(torch.stft(x[..., 0], 4, 3, window=WINDOW, center=False, return_complex=True)).transpose(1, 2)),
    ("standardised weight", [(2, 2, 4, 5), (3, 2, 2, 3), (3,)], standardised),
    ("weight of a batch norm in training", [(2, 2, 4, 5), (3, 2, 2, 3), (3,)], lambda *t: standardised(*t, 1e-3)),
    ("weight of a batch norm by computed statistics", [(2, 2, 4, 5), (3, 2, 2, 3), (3,)], lambda *t: standardised(*t, 1e-3)),
    ("weight of two", [(2, 2, 4, 5), (3, 2, 3, 3), (3, 2, 1, 1), (3,), (3,)], joined),
    ("attention", [(2, 4, 3, 5), (2, 2, 3, 5), (2, 2, 3, 4)], attention),
    ("attention that sees nothing", [(2, 3, 8), (2, 4, 8), (2, 4, 6)], masked),
    ("attention with a bias", [(2, 2, 3, 5), (2, 2, 4, 5), (2, 2, 4, 4), (2, 3, 4)], biased),
    ("rotary, halves", [(2, 2, 3, 6)], lambda x: rotated(x, False)),
    ("rotary, pairs", [(2, 2, 3, 6)], lambda x: rotated(x, True)),
]


def show(name, what, tensor):
    i = torch.arange(1, tensor.numel() + 1, dtype=torch.float64)
    flat = tensor.detach().flatten()
    print(f'{{"{name}", {what}, {(flat * torch.cos(i)).sum().item()!r}, {(flat * torch.sin(i)).sum().item()!r}}},')


def main():
    for name, shapes, layer in CASES:
        tensors = [wave(k, shape) for k, shape in enumerate(shapes)]
        y = layer(*tensors)
        show(name, -1, y)
        loss = (y.flatten() * torch.sin(0.9 * torch.arange(1, y.numel() + 1, dtype=torch.float64))).sum()
        for k, gradient in enumerate(torch.autograd.grad(loss, tensors)):
            show(name, k, gradient)


main()
