"""A training step in ONNX Runtime. Its SGD has no momentum, which is less work than the others do."""
import os

import onnx
import onnxruntime
from onnxruntime.training import api, artifacts

import network
import worker

args = worker.arguments()
net = network.Network(args.folder, args.model, args.batch)
folder = os.path.join(args.folder, f"onnxruntime-{args.model}-{args.scheme}")
if not os.path.exists(os.path.join(folder, "complete")):
    model = onnx.load(os.path.join(args.folder, args.model + ".onnx"))
    learn = [name for i, pair in enumerate(net.is_trained(args.scheme))
             for name, learns in zip(network.names_of(i), pair) if learns]
    # Of the rest only parameters are frozen; a clamp's bounds stay constants.
    frozen = [t.name for t in model.graph.initializer if t.name.startswith("layer") and t.name not in learn]
    os.makedirs(folder, exist_ok=True)
    artifacts.generate_artifacts(
        model, requires_grad=learn, frozen_params=frozen, loss=artifacts.LossType.CrossEntropyLoss,
        optimizer=artifacts.OptimType.SGD, artifact_directory=folder)
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
module.train()


def step():
    loss = module(net.x, net.y)
    optimizer.step()
    module.lazy_reset_grad()
    return float(loss)


worker.measure(step, args, onnxruntime.__version__)
