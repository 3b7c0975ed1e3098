#include "attune/open_dataset.h"
#include "attune/session.h"
#include "engine/format/plan_generated.h"

namespace attune {
namespace {

Shape without_batch(const Shape& shape) {
  Shape result;
  for (int i = 1; i < shape.rank; ++i) result.dims[result.rank++] = shape[i];
  return result;
}

// Of one example; a single number where there are none.
Shape target_shape(const Session& session, ProgramKind kind) {
  for (PortRole role : {PortRole::label, PortRole::target})
    if (const SessionPort target = session.port(kind, role))
      return without_batch(target.tensor.shape);
  return {};
}

}  // namespace

Status data_request(const Session& session, ProgramKind kind, DatasetRequest* request) {
  const Plan& plan = session.plan();
  DatasetRequest made;
  for (int i = 0; const SessionPort input = session.port(kind, PortRole::input, i); ++i) {
    if (input.tensor.shape.rank < 1)
      return Status::error("%s: the model's input %.*s has no axis of examples", plan.name(),
                           static_cast<int>(input.name.size()), input.name.data());
    made.inputs.push_back(
        {input.name, input.tensor.dtype, without_batch(input.tensor.shape), input.limit});
  }
  if (made.inputs.empty())
    return Status::error(
        "%s: the plan's program %s is missing, or has no inputs; compile it again", plan.name(),
        program_name(kind));
  made.preprocess = plan.preprocess();
  // Probabilities of classes are targets, and no labels.
  const bool labels = static_cast<bool>(session.port(kind, PortRole::label));
  if (labels || kind == ProgramKind::predict) made.classes = plan.table().class_count();
  if (const auto* names = plan.table().classes())
    for (const auto* name : *names) made.class_names.push_back(name->str());
  made.target_dtype = static_cast<DType>(plan.table().real());
  made.target = target_shape(session, kind);
  made.labels_unread = !labels && !session.port(kind, PortRole::target);
  made.labels_optional = made.labels_unread;
  made.advantages = static_cast<bool>(session.port(kind, PortRole::advantage));
  *request = std::move(made);
  return Status::ok();
}

}  // namespace attune
