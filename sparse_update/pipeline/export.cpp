#include "sparse_update/pipeline/export.h"

#include <algorithm>
#include <filesystem>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/model_tensors.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/write_file.h"

namespace attune {
namespace {

// A fresh classifier that the scheme trains in part only, or not at all, is in no table: its other
// parameters are what `compile` made of the seed.
void add_frozen_head(const Model& model, const CompileOptions& options,
                     std::vector<ModelTensor>* tensors) {
  if (options.classes <= 0) return;
  const Graph graph = forward_graph(model, options, options.predict_batch);
  for (const Value& value : graph.values) {
    if (value.role != Role::parameter || !value.fresh) continue;
    const bool listed = std::any_of(tensors->begin(), tensors->end(), [&](const ModelTensor& t) {
      return t.name == value.origin.tensor;
    });
    if (listed) continue;
    tensors->push_back(model_tensor(value));
    if (options.real == DType::f32)
      for (double& x : tensors->back().reals) x = static_cast<float>(x);
  }
}

}  // namespace

void check_format(const Model& model, const std::string& out_path) {
  if (out_path.ends_with(".tflite") && model.own_format() != "tflite")
    throw_error("{}: {} is no TFLite model, so it is adapted as ONNX; name the output .onnx",
                out_path, model.path());
}

std::string exported_model(const Model& model, const Plan& plan, std::span<const std::byte> state,
                           const std::string& out_path) {
  check_compiled_from(plan, model);
  check_format(model, out_path);
  const CompileOptions options = options_of_plan(plan);
  std::vector<ModelTensor> tensors = trained_tensors(plan, state);
  add_frozen_head(model, options, &tensors);
  const ImportOptions imported = import_options(options, options.predict_batch, false);
  return out_path.ends_with("." + model.own_format()) ? model.in_own_format(tensors, imported)
                                                      : model.with_tensors(tensors, imported);
}

void export_model(const Model& model, const Session& session, const std::string& out_path) {
  std::error_code code;
  if (out_path == model.path() || std::filesystem::equivalent(out_path, model.path(), code))
    throw_error("{}: this is the original model; write the adapted one to another file", out_path);
  const std::string bytes = exported_model(model, session.plan(), session.state(), out_path);
  write_file(out_path, std::as_bytes(std::span(bytes)));
}

}  // namespace attune
