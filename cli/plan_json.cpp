#include "cli/plan_json.h"

#include "cli/report/plan_layers.h"
#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/json_file.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::cli {
namespace {

Json parameters_json(const format::Plan& plan) {
  Json list = Json::array();
  for (const format::Parameter* p : *plan.parameters()) {
    Json json;
    json["name"] = p->name()->str();
    json["shape"] = list_of(p->model_shape());
    json["trained_elements"] = elements_trained(*p);
    json["elements"] = elements_of(*p);
    if (p->slice_axis() >= 0) {
      if (const int axis = model_slice_axis(*p); axis >= 0) json["axis"] = axis;
      json["channels"] = list_of(p->slice());
    }
    json["fresh"] = p->head();
    json["statistic"] = p->statistic();
    list.push_back(std::move(json));
  }
  return list;
}

// Of the first output of a step.
std::string output_shape(const format::Program& program, int step) {
  const auto outputs = list_of(program.steps()->Get(static_cast<unsigned>(step))->outputs());
  if (outputs.empty() || outputs[0] < 0) return "";
  const auto shape = list_of(program.tensors()->Get(static_cast<unsigned>(outputs[0]))->shape());
  return fmt::format("{}", fmt::join(shape.begin(), shape.end(), "x"));
}

Json port_json(const SessionPort& port) {
  const Shape& shape = port.tensor.shape;
  Json json{{"name", port.name},
            {"role", role_name(port.role)},
            {"type", dtype_name(port.tensor.dtype)},
            {"shape", std::vector<int32_t>(shape.dims, shape.dims + shape.rank)}};
  if (port.limit > 0) json["limit"] = port.limit;
  return json;
}

Json programs_json(const LoadedPlan& loaded, const std::vector<ProgramEstimate>& estimates) {
  Json list = Json::array();
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    const format::Program* program = loaded.plan.program(kind);
    if (!program) continue;
    Json json;
    json["name"] = program_name(kind);
    json["batch"] = program->batch();
    if (const int size = kind == ProgramKind::train_step ? micro_batch_of_plan(loaded.plan) : 0)
      json["micro_batch"] = size;
    json["macs"] = total_macs(*program);
    json["arena_bytes"] = program->arena_bytes();
    json["arena_lower_bound"] = program->arena_lower_bound();
    const ProgramEstimate* estimated = estimates.empty() ? nullptr : &estimates[list.size()];
    if (estimated) {
      json["estimated_ms"] = estimated->ms();
      json["measured_share"] = estimated->measured_share();
    }
    json["ports"] = Json::array();
    for (int i = 0; i < loaded.session->port_count(kind); ++i)
      json["ports"].push_back(port_json(loaded.session->port(kind, i)));
    json["steps"] = Json::array();
    const std::vector<StepWork> work = program_work(*loaded.session, kind);
    for (int i = 0; i < std::ssize(work); ++i) {
      const StepWork& step = work[static_cast<size_t>(i)];
      json["steps"].push_back(Json{{"op", op_name(step.op)},
                                   {"name", loaded.session->step_name(kind, i)},
                                   {"output", output_shape(*program, i)},
                                   {"macs", step.runs * step.macs},
                                   {"bytes", step.runs * step.bytes},
                                   {"backend", backend_name(step.backend)}});
      if (!estimated) continue;
      const StepTime& time = estimated->steps[static_cast<size_t>(i)];
      json["steps"].back().update(
          Json{{"estimated_ms", 1e-3 * time.us}, {"basis", basis_name(time.basis)}});
    }
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace

Json plan_json(const LoadedPlan& loaded, const std::string& name, const Rates* rates,
               const std::vector<ProgramEstimate>& estimates) {
  const format::Plan& plan = loaded.table();
  const MemoryReport memory = loaded.session->memory();
  Json json;
  json["plan"] = name;
  json["file_bytes"] = loaded.plan.file_bytes();
  json["producer"] = text_of(plan.producer());
  json["model"] = text_of(plan.model_name());
  json["model_hash"] = fmt::format("{:016x}", plan.model_hash());
  json["signature"] = fmt::format("{:016x}", plan.signature());
  json["real"] = dtype_name(static_cast<DType>(plan.real()));
  json["loss"] = text_of(plan.loss());
  json["optimizer"] = text_of(plan.optimizer());
  if (!loaded.backend.empty()) json["backend"] = loaded.backend;
  json["preprocess"] = preprocess_text(loaded.plan.preprocess());
  json["class_count"] = plan.class_count();
  json["classes"] = Json::array();
  if (plan.classes())
    for (const auto* name : *plan.classes()) json["classes"].push_back(name->str());
  if (plan.labels())
    for (const auto* name : *plan.labels()) json["labels"].push_back(name->str());
  const Json scheme = parse_plan_json(text_of(plan.scheme()));
  json["scheme"] = scheme.is_discarded() ? Json(text_of(plan.scheme())) : scheme;
  json["memory"] = Json{{"constants", memory.constants},
                        {"state", memory.state},
                        {"arena", memory.arena},
                        {"arena_lower_bound", memory.arena_lower_bound},
                        {"workspace", memory.workspace},
                        {"session", memory.session},
                        {"kept_gradients", memory.kept_gradients},
                        {"total", memory.total()}};
  json["parameters"] = parameters_json(plan);
  if (rates)
    json["target"] = Json{{"name", rates->target().name}, {"threads", rates->target().threads}};
  json["programs"] = programs_json(loaded, estimates);
  return json;
}

}  // namespace attune::cli
