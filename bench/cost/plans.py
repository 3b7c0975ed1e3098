"""The plans whose steps are estimated and measured: other networks than those that `attune profile` runs."""
import dataclasses
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "bench/memory"  # the largest published scheme of each network
EXPORT = ROOT / "bench/peers/export_model.py"

MODELS = {
    "mobilenet_v2": "MobileNetV2 1.0, 224x224",
    "resnet50": "ResNet-50, 224x224",
    "mcunet-5fps": "MCUNet-5fps, 128x128",
    "mbv2-w0.35": "MobileNetV2 0.35, 128x128",
    "proxyless-w0.3": "ProxylessNAS 0.3, 128x128",
    "ds_cnn_kws": "DS-CNN for keywords, MFCC of 49x10",
}
DRAWN = ("mobilenet_v2", "resnet50")  # torchvision's, with random weights; the others are files

TILED = ("--memory-tiling", "auto")
BYTES = ("--preprocess", "unit:128x128")
STRIPS = ("--gradient-strips", "auto")


@dataclasses.dataclass(frozen=True)
class PlanRow:
    model: str
    scheme: str  # "sparse": the published one of the model
    batch: int
    optimizer: str = "momentum"
    options: tuple = ()
    note: str = ""

    @property
    def name(self):
        parts = [self.model, self.scheme, f"batch {self.batch}", self.optimizer]
        return ", ".join(parts + [self.note] if self.note else parts)


PLANS = [
    PlanRow("mobilenet_v2", "full", 1),
    PlanRow("mobilenet_v2", "full", 8),
    PlanRow("mobilenet_v2", "sparse", 1),
    PlanRow("mobilenet_v2", "sparse", 8),
    PlanRow("resnet50", "full", 1),
    PlanRow("mcunet-5fps", "full", 1),
    PlanRow("mcunet-5fps", "full", 8),
    PlanRow("mcunet-5fps", "sparse", 1, "sgd"),
    PlanRow("mcunet-5fps", "sparse", 1, "sgd", TILED, "tiled"),
    PlanRow("mcunet-5fps", "sparse", 1, "sgd", TILED + BYTES, "tiled, bytes"),
    PlanRow("mcunet-5fps", "sparse", 1, "sgd", TILED + BYTES + STRIPS, "tiled, bytes, strips"),
    PlanRow("mcunet-5fps", "bias:10", 8, "adam"),
    PlanRow("mbv2-w0.35", "full", 8),
    PlanRow("mbv2-w0.35", "sparse", 1, "sgd"),
    PlanRow("proxyless-w0.3", "full", 1),
    PlanRow("proxyless-w0.3", "sparse", 8),
    PlanRow("ds_cnn_kws", "full", 1),
    PlanRow("ds_cnn_kws", "full", 32, "adam"),
]


class CannotCompile(Exception):
    pass


def run(command):
    child = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if child.returncode != 0:
        raise CannotCompile((child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1])


def model_file(model, folder, models_folder):
    if model not in DRAWN:
        path = models_folder / f"{model}-f32.onnx"
        if not path.exists():
            raise CannotCompile(f"no file {path.name} in the folder of --models-folder")
        return path
    path = folder / f"{model}.onnx"
    if not path.exists():
        run([sys.executable, EXPORT, folder, model])
    return path


def scheme_of(row, folder):
    if row.scheme != "sparse":
        return row.scheme
    return folder / f"{row.model}-sparse.json" if row.model in DRAWN else PUBLISHED / f"{row.model}.json"


def compile_plan(row, attune, folder, models_folder):
    """The plan's file. Raises CannotCompile with the reason."""
    plan = folder / (row.name.replace(", ", "-").replace(" ", "").replace(":", "") + ".att")
    # Keywords' classes stay as they are; a fresh classifier of ten stands for a device's own task.
    classes = [] if row.model in (*DRAWN, "ds_cnn_kws") else ["--classes", "10"]
    model = model_file(row.model, folder, models_folder)
    run([attune, "compile", model, "-o", plan, "--scheme", scheme_of(row, folder), "--batch-size", row.batch,
         "--optimizer", row.optimizer, "--quiet", *classes, *row.options])
    return plan
