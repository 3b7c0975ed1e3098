"""A training step in ONNX Runtime. Its SGD has no momentum, which is less work than the others do."""
import os

import numpy
import onnx
import onnxruntime
from onnxruntime.training import api, artifacts

import network
import worker

args = worker.arguments()
folder = os.path.join(args.folder, f"onnxruntime-{args.scheme}")
if not os.path.exists(os.path.join(folder, "complete")):
    model = onnx.load(args.model)
    weights, biases = network.trained_names(model.graph, args.scheme)
    learn = set(weights + biases)
    every = [t.name for t in model.graph.initializer]
    os.makedirs(folder, exist_ok=True)
    artifacts.generate_artifacts(
        model, requires_grad=[n for n in every if n in learn],
        frozen_params=[n for n in every if n not in learn],
        loss=artifacts.LossType.CrossEntropyLoss, optimizer=artifacts.OptimType.SGD,
        artifact_directory=folder)
    open(os.path.join(folder, "complete"), "w").close()
    raise SystemExit(75)  # come again: making them takes memory that training does not

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = args.threads
options.inter_op_num_threads = 1
state = api.CheckpointState.load_checkpoint(os.path.join(folder, "checkpoint"))
module = api.Module(os.path.join(folder, "training_model.onnx"), state,
                    os.path.join(folder, "eval_model.onnx"), session_options=options)
optimizer = api.Optimizer(os.path.join(folder, "optimizer_model.onnx"), module)
optimizer.set_learning_rate(network.LEARNING_RATE)
random = numpy.random.default_rng(0)
x = random.standard_normal((args.batch, 3, network.IMAGE, network.IMAGE), dtype=numpy.float32)
y = random.integers(network.CLASSES, size=args.batch)
module.train()


def step():
    loss = module(x, y)
    optimizer.step()
    module.lazy_reset_grad()
    return float(loss)


worker.measure(step, args.steps, onnxruntime.__version__)
