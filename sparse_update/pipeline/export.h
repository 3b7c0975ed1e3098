#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "attune/session.h"
#include "graph/import/model.h"

namespace attune {

// Writes the adapted model: `model` with the initializers that the session's plan trains replaced
// by the session's values, back in the model's layout and element type. Everything else, and every
// element that training left alone, stays as it is, bit for bit; external data moves into the file.
// Where the plan replaced the classifier, its initializers get their new size, and the outputs
// their new number of classes. The model is written as ONNX, or in its own format where `out_path`
// ends in that: ".tflite". Throws Error, having written nothing, where
// - the plan was compiled from another model,
// - `out_path` is the model itself, or asks for a format that the model does not have,
// - the model fixes the old number of classes in a way that an export cannot follow.
void export_model(const Model& model, const Session& session, const std::string& out_path);

// The same as the bytes of the file. `state` is a session's state, or a plan's initial one.
std::string exported_model(const Model& model, const Plan& plan, std::span<const std::byte> state,
                           const std::string& out_path = "");
// Throws Error where a file of this name cannot be the model's: a .tflite of an ONNX model.
void check_format(const Model& model, const std::string& out_path);

}  // namespace attune
