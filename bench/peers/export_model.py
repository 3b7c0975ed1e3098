"""export_model.py FOLDER: model.onnx, MobileNetV2 with BatchNorm folded, and sparse.json, the scheme of Attune."""
import json
import os
import sys

import onnx
import torch
import torchvision

import network

folder = sys.argv[1]
torch.manual_seed(0)
path = os.path.join(folder, "model.onnx")
model = torchvision.models.mobilenet_v2(weights=None).eval()
# Biases that are all zero would be exported once and shared.
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        torch.nn.init.normal_(module.bias, 0, 0.01)
torch.onnx.export(model,
                  torch.randn(1, 3, network.IMAGE, network.IMAGE), path, opset_version=13,
                  do_constant_folding=True, input_names=["x"], output_names=["scores"],
                  dynamic_axes={"x": {0: "N"}, "scores": {0: "N"}})
weights, biases = network.trained_names(onnx.load(path).graph, "sparse")
with open(os.path.join(folder, "sparse.json"), "w") as file:
    json.dump({"head": False, "parameters": [{"name": n} for n in weights + biases]}, file)
