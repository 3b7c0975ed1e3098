"""What the faults are tried on: a small model and its data, without any library."""
import math
import struct


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One field of a protocol buffer: a number, or text and messages."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, start, step):
    count = math.prod(dims)
    values = struct.pack(f"<{count}f", *(start + step * math.sin(1 + i) for i in range(count)))
    return b"".join(field(1, d) for d in dims) + field(2, 1) + field(8, name) + field(9, values)


def node(operator, inputs, output, **integers):
    out = b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, operator)
    for name, value in integers.items():
        out += field(5, field(1, name) + field(3, value) + field(20, 2))
    return out


def value(name, width):
    dims = field(1, field(2, "N")) + field(1, field(1, width))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def model():
    """x[N,4] -> 6 hidden -> logits[N,3]"""
    graph = b"".join(field(1, n) for n in (
        node("Gemm", ["x", "w1", "b1"], "h", transB=1), node("Relu", ["h"], "a"),
        node("Gemm", ["a", "w2", "b2"], "logits", transB=1)))
    graph += field(2, "net")
    for initializer in (tensor("w1", [6, 4], 0.1, 0.5), tensor("b1", [6], 0, 0.1),
                        tensor("w2", [3, 6], 0, 0.5), tensor("b2", [3], 0, 0.1)):
        graph += field(5, initializer)
    graph += field(11, value("x", 4)) + field(12, value("logits", 3))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


def table(examples=26):
    """Rows of four numbers and their class, which can be learned."""
    lines = ["a,b,c,d,label"]
    for i in range(examples):
        label = i * 5 % 3
        row = [0.4 * math.sin(1.7 * i + k) + (1.5 if k == label else 0) for k in range(4)]
        lines.append(",".join(f"{x:.6f}" for x in row) + f",{label}")
    return "\n".join(lines) + "\n"
