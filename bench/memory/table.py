"""Writes the table of docs/memory.md: table.py ATTUNE MODELS SCRATCH."""
import json
import pathlib
import subprocess
import sys

NETWORKS = {"MCUNet-5fps": "mcunet-5fps", "MobileNetV2-w0.35": "mbv2-w0.35",
            "ProxylessNAS-w0.3": "proxyless-w0.3"}
BYTES = ["--preprocess", "unit:128x128"]
TILED = ["--memory-tiling", "auto"]
MASKS = ["--remake-masks", "auto"]
STRIPS = ["--gradient-strips", "auto"]
# What a row is called, its scheme (None: the published one), its options, the figure it shows.
ROWS = [
    ("full update, a buffer for each tensor", "full", [], "arena_unplanned_bytes"),
    ("full update, planned", "full", [], "arena_bytes"),
    ("the same, masks made again", "full", MASKS, "arena_bytes"),
    ("sparse update, planned", None, [], "arena_bytes"),
    ("sparse update, tiled", None, TILED, "arena_bytes"),
    ("sparse update, tiled, input of bytes", None, TILED + BYTES, "arena_bytes"),
    ("the same, gradients in strips", None, TILED + BYTES + STRIPS, "arena_bytes"),
]

PAGE = """# Memory of a training step

Written by `bench/memory/run.sh`. KiB of arena (inputs, activations, gradients) of one training step with one image of
128x128x3 in single precision, plain SGD, a fresh classifier of ten classes. The sparse update is the largest scheme that
*On-Device Training Under 256KB Memory* (Lin et al., arXiv 2206.15472) publishes for each network. Every row
computes the same gradients, to the bit with the reference kernels.

{table}

- *A buffer for each tensor*: what the same step takes where nothing shares memory.
- *Planned*: nodes reordered, operators in place, tensors packed into one arena. Its least is the most bytes alive at once.
- *Masks made again*: which elements an activation let pass is not kept in bits, but seen from its output, which the next layer's
  gradient needs anyway.
- *Tiled*: the first layers run a few rows at a time; see `graph/slicing/README.md`. The steps are those of the training program:
  tiling costs steps and copies of rows, and no computation.
- *Input of bytes*: the image is kept as bytes, and scaled as its rows are read.
- *Gradients in strips*: the gradient of a large weight is computed some output channels at a time, each strip right before its update.

What sets the peak: in a full update the saved activations, at the first gradients; in a sparse one an early layer, until it is tiled;
then the widest halos of the strips, or the largest gradient of a weight, until that comes in strips. These are the operator and the layer:

{peaks}

The arena is shared with the programs that evaluate and predict. Parameters that are trained, and the frozen weights, are not
in it: `attune inspect` shows all parts.
"""


def compiled(attune, models, scratch, network, scheme, options):
    scheme = scheme or str(pathlib.Path(__file__).with_name(network + ".json"))
    command = [attune, "compile", f"{models}/{network}-f32.onnx", "-o", f"{scratch}/{network}.att",
               "--scheme", scheme, "--optimizer", "sgd", "--batch-size", "1", "--classes", "10",
               "--json"] + options
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    attune, models, scratch = sys.argv[1:]
    pathlib.Path(scratch).mkdir(parents=True, exist_ok=True)
    peaks = ["| the peak is at | " + " | ".join(NETWORKS) + " |", "| --- |" + " --- |" * len(NETWORKS)]
    lines = ["| arena, KiB (steps) | " + " | ".join(NETWORKS) + " |", "| --- |" + " --- |" * len(NETWORKS)]
    for name, scheme, options, figure in ROWS:
        cells, steps = [], []
        for network in NETWORKS.values():
            plan = compiled(attune, models, scratch, network, scheme, options)
            cells.append(f"{plan[figure] / 1024:,.1f} ({plan['train_steps']})")
            steps.append("`" + plan["peak"] + "`")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        if figure == "arena_bytes":
            peaks.append(f"| {name} | " + " | ".join(steps) + " |")
    print(PAGE.format(table="\n".join(lines), peaks="\n".join(peaks)), end="")


main()
