"""The tasks: a pretrained model, data that it has not seen, and the budgets of memory that schemes are compared at."""

import dataclasses
import json
import pathlib
import typing

import data

SHARED = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared"


@dataclasses.dataclass
class Task:
    title: str
    model: str  # below `models` of the folder of models and data
    data: str  # below its `data`
    parts: typing.Callable  # (folder, source, **sizes): the data to train with, to tune rates on, to test with
    sizes: dict  # of `parts`
    trial: dict  # sizes of a trial
    sizes_text: str
    compile: list  # options of `attune compile` and `attune search`
    epochs: int
    seeds: int
    tune_epochs: int  # of the runs that decide a scheme's rate
    tune_seeds: int  # whose accuracy is averaged for that
    layers: int  # before the classifier: the largest K
    budgets: list  # bytes of RAM, or the name of a published scheme: as much as that takes
    last: list  # K of last:K that is tried beside the largest that fits
    bias: list
    search: dict  # name: options of `attune search`
    published: dict = dataclasses.field(default_factory=dict)  # name: scheme


def published(biases, weights):
    """A scheme of Lin et al.: so many of the last biases, and of convolutions a share of the input channels."""
    layers = [{"layer": layer, "input_channels": share} for layer, share in sorted(weights.items())]
    return json.dumps({"bias_last": biases, "layers": layers})


# Of every task: the smallest device's way, one example at a time and no memory of the optimizer's.
ON_DEVICE = ["--batch-size", "1", "--optimizer", "sgd"]

TASKS = {
    "fashion": Task(
        title="MCUNet-5fps, pretrained on ImageNet, learns Fashion-MNIST",
        model="mcunet-5fps-f32.onnx", data="fashion_mnist", parts=data.mnist_parts,
        sizes={"train": 5000, "tune": 2000, "test": 10000}, trial={"train": 64, "tune": 32, "test": 64},
        sizes_text="{train:,} training images, {test:,} test images, {tune:,} others to choose rates on",
        compile=["--classes", "10", "--preprocess", "signed:128x128", *ON_DEVICE],
        epochs=4, seeds=3, tune_epochs=1, tune_seeds=1, layers=42, budgets=["49 KB", "99 KB"], last=[1], bias=[22, 28],
        search={"finals": ["--examples", "4000", "--learning-rate", "0.004", "--evaluations", "0", "--finalists", "9",
                           "--finalist-steps", "4000", "--estimator", "fisher"],
                "fisher": ["--learning-rate", "0.001", "--evaluations", "0", "--estimator", "fisher"]},
        # On-Device Training Under 256KB Memory (Lin et al., NeurIPS 2022), MCUNet-5fps: the number of the last biases, and
        # of convolutions the share of input channels. The name is the authors' extra memory.
        published={"49 KB": published(20, {24: 1 / 4, 27: 1 / 2, 30: 1 / 2}),
                   "99 KB": published(22, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1 / 8, 39: 1 / 4})}),
    "digits": Task(
        title="DS-CNN, pretrained on Speech Commands, learns the Free Spoken Digit Dataset",
        model="ds_cnn_kws-f32.onnx", data="fsdd", parts=data.spoken_digit_parts,
        sizes={"train": 10, "tune": 10, "test": 30}, trial={"train": 1, "tune": 1, "test": 1},
        sizes_text="{train} takes of each of 10 digits by 6 speakers to train with, {test} to test with, {tune} others to "
                   "choose rates on; which takes, by chance",
        compile=["--classes", "10", "--preprocess", "mfcc", *ON_DEVICE],
        epochs=15, seeds=10, tune_epochs=15, tune_seeds=5, layers=9, budgets=[112 * 1024, 192 * 1024, 336 * 1024],
        last=[1, 2, 3], bias=[3, 6],
        search={"finals": ["--head-epochs", "20", "--steps", "1500", "--learning-rate", "0.004", "--evaluations", "64",
                           "--finalists", "16", "--finalist-steps", "3000", "--estimator", "measured"],
                "measured": ["--head-epochs", "20", "--steps", "1500", "--learning-rate", "0.003", "--evaluations", "64",
                             "--estimator", "measured"]}),
}
