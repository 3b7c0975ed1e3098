#include "sparse_update/pipeline/plan_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"
#include "sparse_update/json_file.h"

namespace attune {

int micro_batch_of_plan(const Plan& plan) {
  const nlohmann::json json = parse_plan_json(text_of(plan.table().options()));
  const format::Program* train = plan.program(ProgramKind::train_step);
  if (!json.is_object() || !json.contains("micro_batch") || !train) return 0;
  const auto& stated = json["micro_batch"];
  const int64_t size = stated.is_number_integer() ? stated.get<int64_t>() : 0;
  return size > 0 && size < train->batch() ? static_cast<int>(size) : 0;
}

int32_t ignored_label_of_plan(const Plan& plan) {
  const nlohmann::json json = parse_plan_json(text_of(plan.table().options()));
  if (!json.is_object() || !json.contains("ignore_label") ||
      !json["ignore_label"].is_number_integer())
    return kIgnoredLabel;
  return json["ignore_label"].get<int32_t>();
}

PlannedBackend backend_of_plan(const Plan& plan) {
  const nlohmann::json json = parse_plan_json(text_of(plan.table().options()));
  PlannedBackend planned;
  if (!json.is_object() || !json.contains("backend") || !json["backend"].is_string())
    return planned;
  for (int i = 0; i < kBackendCount; ++i)
    if (json["backend"] == backend_name(static_cast<Backend>(i)))
      planned.name = backend_name(static_cast<Backend>(i));
  if (!planned.name.empty() && json.contains("memory_budget") &&
      json["memory_budget"].is_number_unsigned())
    planned.memory_budget = json["memory_budget"].get<uint64_t>();
  return planned;
}

void check_compiled_from(const Plan& plan, const Model& model) {
  if (plan.table().model_hash() != model.hash())
    throw_error(
        "{}: the plan was compiled from another model ({}), or the model has changed since; give "
        "the model that {} was compiled from",
        model.path(), text_of(plan.table().model_name()), plan.name());
}

namespace {

// The elements of the largest tensor that a plan computes with: no size that it was compiled for is
// larger. Who believed others would make a classifier of them.
int64_t largest_tensor(const Plan& plan) {
  int64_t most = 1;
  for (const format::Program* program : *plan.table().programs())
    if (program->kind() < kProgramCount)
      for (const format::Tensor* tensor : *program->tensors())
        most = std::max(most, described_tensor(*tensor).shape.elements());
  return most;
}

// What is said of an input that became a constant, perhaps of a single number.
void check_size(const Plan& plan, const std::string& name, const std::vector<int64_t>& dims,
                int64_t most) {
  int64_t elements = 1;
  for (const int64_t dim : dims)
    if (dim < 0 || __builtin_mul_overflow(elements, std::max<int64_t>(dim, 1), &elements) ||
        elements > most)
      throw_error("{}: the plan was compiled for an input {} of another size; compile it again",
                  plan.name(), shown_name(name));
}

}  // namespace

CompileOptions options_of_plan(const Plan& plan) {
  const format::Plan& table = plan.table();
  const int64_t largest = largest_tensor(plan);
  constexpr int64_t kSmall = 1 << 20;  // elements that cost nothing
  CompileOptions options;
  try {
    const nlohmann::json json = parse_plan_json(text_of(table.options()));
    options.scheme = json.at("scheme").get<std::string>();
    // Conversion alone would take 1e300, too.
    const auto& stated = json.at("classes");
    const int64_t classes = stated.is_number_integer() ? stated.get<int64_t>() : -1;
    if (classes < 0 || classes > largest)
      throw_error("{}: the plan was compiled for {} classes, which cannot be; compile it again",
                  plan.name(), classes);
    options.classes = static_cast<int>(classes);
    options.seed = json.at("seed").get<uint64_t>();
    options.fuse = json.at("fuse").get<bool>();
    options.micro_batch = micro_batch_of_plan(plan);
    options.output = json.value("output", "");
    options.loss_settings.huber_delta = json.value("huber_delta", 1.0);
    options.loss_settings.label_smoothing = json.value("label_smoothing", 0.0);
    options.loss_settings.entropy_bonus = json.value("entropy_bonus", 0.0);
    options.loss_settings.class_axis = json.value("class_axis", 0);
    if (json.contains("batch_norm"))
      options.batch_norm = parse_batch_norm(json["batch_norm"].get<std::string>());
    options.dropout = json.value("dropout", false);
    if (json.contains("input_shapes"))
      options.input_shapes =
          json["input_shapes"].get<std::map<std::string, std::vector<int64_t>>>();
    if (json.contains("axes"))
      options.bound.axes = json["axes"].get<std::map<std::string, int64_t>>();
    for (const auto& [name, size] : options.bound.axes)
      check_size(plan, name, {size}, std::max(largest, kSmall));
    if (json.contains("batch_axes"))
      options.bound.batch_axes = json["batch_axes"].get<std::map<std::string, int>>();
    if (json.contains("bound_inputs"))
      for (const auto& [name, given] : json["bound_inputs"].items()) {
        BoundInput& bound = options.bound.inputs[name];
        bound = {given.at("dims").get<std::vector<int64_t>>(),
                 given.at("elements").get<std::vector<double>>()};
        check_size(plan, name, bound.dims,
                   std::max({largest, kSmall, std::ssize(bound.elements)}));
      }
  } catch (const nlohmann::json::exception& error) {
    throw_error("{}: the plan does not tell how it was compiled ({}); compile it again",
                plan.name(), error.what());
  }
  const auto batch_of = [&](ProgramKind kind) {
    const format::Program* program = plan.program(kind);
    return program ? program->batch() : 1;
  };
  options.loss_settings.ignore_label = ignored_label_of_plan(plan);
  options.batch = batch_of(ProgramKind::train_step);
  options.evaluate_batch = batch_of(ProgramKind::evaluate);
  options.predict_batch = batch_of(ProgramKind::predict);
  options.loss = parse_loss(text_of(table.loss()));
  options.real = static_cast<DType>(table.real());
  options.preprocess = plan.preprocess();
  for (const auto* names : {table.classes(), table.labels()})
    for (unsigned i = 0; names && i < names->size(); ++i)
      options.class_names.push_back(names->Get(i)->str());
  return options;
}

}  // namespace attune
