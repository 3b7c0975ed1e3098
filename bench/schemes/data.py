"""Parts of a data set: to train with, to tune rates on, to test with. Each returns the path that `attune --data` takes."""

import gzip
import random
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


def mnist_parts(folder, source, train, tune, test):
    """MNIST's files: the first training images, those after them, and the first test images."""
    return (write_part(folder, "train", source, "train", 0, train),
            write_part(folder, "tune", source, "train", train, tune),
            write_part(folder, "test", source, "t10k", 0, test))


def spoken_digit_parts(folder, source, train, tune, test):
    """The Free Spoken Digit Dataset by take, in one shuffled order of the 50: `train` takes of every word and speaker, then
    `tune` takes, then `test`. In the order of recording, later takes of a speaker sound unlike the earlier ones."""
    takes = list(range(50))
    random.Random(0).shuffle(takes)
    recordings = sorted((source / "recordings").glob("*.wav"))
    take = lambda path: int(path.stem.split("_")[2])

    def part(name, wanted):
        path = folder / f"{name}.csv"
        lines = [f"{recording.resolve()},{recording.stem[0]}\n" for recording in recordings if take(recording) in wanted]
        path.write_text("".join(lines))
        return path

    return (part("train", takes[:train]), part("tune", takes[train:train + tune]),
            part("test", takes[train + tune:train + tune + test]))
