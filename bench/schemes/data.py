"""Parts of an IDX data set, as IDX files of their own."""

import gzip
import struct


def read_idx(path):
    """The dimensions and the bytes of a gzipped IDX file of bytes."""
    with gzip.open(path) as file:
        zero, kind, rank = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind != 8:
            raise SystemExit(f"{path}: is no IDX file of bytes")
        dims = struct.unpack(f">{rank}I", file.read(4 * rank))
        return dims, file.read()


def write_idx(path, dims, content):
    with open(path, "wb") as file:
        file.write(struct.pack(">HBB", 0, 8, len(dims)))
        file.write(struct.pack(f">{len(dims)}I", *dims))
        file.write(content)


def write_part(folder, name, source, prefix, first, count):
    """Examples first .. first + count - 1 of MNIST's files `prefix` in the folder `source`. Returns the images' path."""
    images = folder / f"{name}-images-idx3-ubyte"
    labels = folder / f"{name}-labels-idx1-ubyte"
    for path, kind in ((images, "images-idx3"), (labels, "labels-idx1")):
        dims, content = read_idx(source / f"{prefix}-{kind}-ubyte.gz")
        if first + count > dims[0]:
            raise SystemExit(f"{source}: {prefix} has {dims[0]} examples, {first + count} are wanted")
        size = len(content) // dims[0]
        write_idx(path, (count, *dims[1:]), content[first * size : (first + count) * size])
    return images
