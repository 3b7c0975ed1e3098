#include "attune/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attune/port.h"
#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "engine/platform/error_text.h"

namespace attune {
namespace {

const format::Parameter* listed(const Plan& plan, int index) {
  if (index < 0 || index >= parameter_count(plan)) return nullptr;
  return plan.table().parameters()->Get(static_cast<flatbuffers::uoffset_t>(index));
}

// A name as it is put into messages.
struct Shown {
  explicit Shown(std::string_view text)
      : length(static_cast<int>(std::min<size_t>(text.size(), 120))), data(text.data()) {}
  int length;
  const char* data;
};

struct Text {
  char text[160] = {};
};

// "[3,0,1]": an element of the model's tensor.
Text place_text(const format::Parameter& parameter, int64_t element) {
  const auto shape = list_of(parameter.model_shape());
  int64_t index[kMaxRank] = {};
  for (size_t axis = shape.size(); axis-- > 0; element /= shape[axis])
    index[axis] = element % shape[axis];
  Text place;
  size_t at = 0;
  for (size_t axis = 0; axis < shape.size(); at += std::strlen(place.text + at), ++axis)
    write_text(place.text + at, sizeof(place.text) - at, "%s%lld", axis ? "," : "[",
               static_cast<long long>(index[axis]));
  write_text(place.text + at, sizeof(place.text) - at, shape.empty() ? "[]" : "]");
  return place;
}

// Whether the model has a tensor of this name that the plan keeps as it is.
bool is_frozen(const Plan& plan, std::string_view name) {
  for (const format::Program* program : *plan.table().programs()) {
    if (program->kind() >= kProgramCount) continue;
    for (const format::Tensor* tensor : *program->tensors())
      if (tensor->segment() == format::Segment::constants &&
          string_of(tensor->model_tensor()) == name)
        return true;
  }
  return false;
}

Status no_such_index(const Plan& plan, int index) {
  return Status::error("%s: there is no parameter number %d; the plan trains %d, from number 0 on",
                       plan.name(), index, parameter_count(plan));
}

Status check_size(const Plan& plan, const ParameterTensor& t, size_t given) {
  const size_t bytes = dtype_bytes(t.dtype, static_cast<size_t>(t.elements()));
  if (given == bytes) return Status::ok();
  const Shown name(t.name);
  return Status::error("%s: '%.*s' takes %llu bytes, %llu elements in %s, and %llu were given",
                       plan.name(), name.length, name.data, static_cast<unsigned long long>(bytes),
                       static_cast<unsigned long long>(t.elements()), dtype_name(t.dtype),
                       static_cast<unsigned long long>(given));
}

// The tensor of a slot, and that so many bytes are its size.
Status find_tensor(const Plan& plan, int index, std::string_view slot, size_t bytes,
                   ParameterTensor* tensor) {
  const format::Parameter* const parameter = listed(plan, index);
  if (!parameter) return no_such_index(plan, index);
  for (int number = 0; number < tensors_of(*parameter); ++number) {
    *tensor = parameter_tensor(*parameter, number);
    if (tensor->slot == slot) return check_size(plan, *tensor, bytes);
  }
  const Shown name(tensor->name), wanted(slot), last(tensor->slot);
  return Status::error("%s: '%.*s' has no '%.*s': the optimizer keeps %s%.*s%s", plan.name(),
                       name.length, name.data, wanted.length, wanted.data,
                       tensors_of(*parameter) > 1 ? "'" : "nothing",
                       tensors_of(*parameter) > 1 ? last.length : 0, last.data,
                       tensors_of(*parameter) > 2   ? "' and others"
                       : tensors_of(*parameter) > 1 ? "'"
                                                    : "");
}

// Copies a tensor into the model's order; zeros stand for what memory does not hold.
void copy_out(const ParameterTensor& tensor, const std::byte* memory, const std::byte* constants,
              std::byte* to) {
  const size_t size = dtype_bytes(tensor.dtype, 1);
  for_each_run(tensor, [&](const ElementRun& run) {
    const size_t bytes = static_cast<size_t>(run.count) * size;
    if (const std::byte* from = address_of(tensor, run, memory, constants); !from) {
      std::memset(to, 0, bytes);
    } else {
      const size_t stride = static_cast<size_t>(run.stride) * size;
      for (size_t at = 0; at < bytes; at += size, from += stride) std::memcpy(to + at, from, size);
    }
    to += bytes;
    return true;
  });
}

// Whether these elements may be put there: error names the first that may not.
Status check_elements(const Plan& plan, const ParameterTensor& tensor, const std::byte* memory,
                      const std::byte* from) {
  const size_t size = dtype_bytes(tensor.dtype, 1);
  const bool squares = tensor.slot == "v";
  int64_t element = 0;
  const char* wrong = nullptr;
  for_each_run(tensor, [&](const ElementRun& run) {
    const std::byte* held = address_of(tensor, run, memory, plan.constants().data());
    for (int64_t i = 0; i < run.count; ++i, ++element, from += size) {
      const double value = real_at(tensor.dtype, from);
      if (!std::isfinite(value))
        wrong = "is not finite";
      else if (squares && value < 0)
        wrong = "is negative, and the optimizer takes its root";
      else if (!run.trained && value != (held ? real_at(tensor.dtype, held) : 0))
        wrong = "is frozen in the plan, and must be what get_parameter gives";
      if (wrong) return false;
      if (held) held += static_cast<size_t>(run.stride) * size;
    }
    return true;
  });
  if (!wrong) return Status::ok();
  const Shown name(tensor.name), slot(tensor.slot);
  return Status::error("%s: '%.*s', element %s of its %.*s %s", plan.name(), name.length, name.data,
                       place_text(*tensor.parameter, element).text, slot.length, slot.data, wrong);
}

}  // namespace

int parameter_count(const Plan& plan) {
  return plan.table().parameters() ? static_cast<int>(plan.table().parameters()->size()) : 0;
}

ParameterInfo parameter(const Plan& plan, int index) {
  ParameterInfo info;
  const format::Parameter* const listed_as = listed(plan, index);
  if (!listed_as) return info;
  const ParameterTensor t = parameter_tensor(*listed_as, 0);
  info.name = t.name;
  info.dtype = t.dtype;
  info.shape = list_of(listed_as->model_shape());
  info.elements = t.elements();
  info.statistic = listed_as->statistic();
  info.trained = info.statistic ? 0 : t.trained();
  info.slice_axis = model_slice_axis(*listed_as);
  if (info.slice_axis >= 0) info.slice = {t.slice, static_cast<size_t>(t.channels)};
  info.head = listed_as->head();
  info.slots = tensors_of(*listed_as) - 1;
  if (const format::Program* train = plan.program(ProgramKind::train_step))
    for (const format::Port* port : *train->ports())
      info.has_gradient |= is_gradient_of(role_of(*port), string_of(port->name()), t.name);
  return info;
}

Status find_parameter(const Plan& plan, std::string_view name, int* index) {
  const int count = parameter_count(plan);
  for (int i = 0; i < count; ++i)
    if (string_of(listed(plan, i)->name()) == name) {
      *index = i;
      return Status::ok();
    }
  const Shown wanted(name);
  if (is_frozen(plan, name))
    return Status::error(
        "%s: '%.*s' is frozen in the plan; compile it with a scheme that trains this parameter",
        plan.name(), wanted.length, wanted.data);
  if (count == 0) return Status::error("%s: the plan trains no parameter", plan.name());
  const Shown first(string_of(listed(plan, 0)->name()));
  return Status::error("%s: the plan trains no parameter '%.*s'; of its %d, the first is '%.*s'",
                       plan.name(), wanted.length, wanted.data, count, first.length, first.data);
}

std::string_view optimizer_slot(const Plan& plan, int index, int slot) {
  const format::Parameter* const parameter = listed(plan, index);
  if (!parameter || slot < 0 || slot + 1 >= tensors_of(*parameter)) return {};
  return string_of(parameter->slot_names()->Get(static_cast<flatbuffers::uoffset_t>(slot)));
}

Status get_parameter(const Session& session, int index, std::span<std::byte> elements,
                     std::string_view slot) {
  ParameterTensor tensor;
  ATTUNE_RETURN_IF_ERROR(find_tensor(session.plan(), index, slot, elements.size(), &tensor));
  copy_out(tensor, session.state().data() + tensor.state_offset, session.plan().constants().data(),
           elements.data());
  return Status::ok();
}

Status set_parameter(Session& session, int index, std::span<const std::byte> elements,
                     std::string_view slot) {
  ParameterTensor tensor;
  ATTUNE_RETURN_IF_ERROR(find_tensor(session.plan(), index, slot, elements.size(), &tensor));
  std::byte* const memory = session.state().data() + tensor.state_offset;
  const std::byte* from = elements.data();
  ATTUNE_RETURN_IF_ERROR(check_elements(session.plan(), tensor, memory, from));
  const size_t size = dtype_bytes(tensor.dtype, 1);
  for_each_run(tensor, [&](const ElementRun& run) {
    const size_t bytes = static_cast<size_t>(run.count) * size;
    if (run.trained) {
      std::byte* to = memory + static_cast<size_t>(run.first) * size;
      const size_t stride = static_cast<size_t>(run.stride) * size;
      for (size_t at = 0; at < bytes; at += size, to += stride) std::memcpy(to, from + at, size);
    }
    from += bytes;
    return true;
  });
  return Status::ok();
}

Status get_gradient(const Session& session, int index, std::span<std::byte> elements) {
  const Plan& plan = session.plan();
  const format::Parameter* const parameter = listed(plan, index);
  if (!parameter) return no_such_index(plan, index);
  const ParameterTensor tensor = gradient_tensor(*parameter);
  const Shown name(tensor.name);
  if (parameter->statistic())
    return Status::error("%s: '%.*s' is a statistic: it is averaged and has no gradient",
                         plan.name(), name.length, name.data);
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  Tensor gradient;
  for (int i = 0; i < session.port_count(kTrain) && !gradient; ++i)
    if (const SessionPort port = session.port(kTrain, i);
        is_gradient_of(port.role, port.name, tensor.name))
      gradient = port.tensor;
  if (!gradient)
    return Status::error(
        "%s: the gradient of '%.*s' is not kept; compile the plan with --keep-gradients",
        plan.name(), name.length, name.data);
  if (gradient.dtype != tensor.dtype || gradient.shape.elements() != tensor.trained())
    return Status::error("%s: the gradient of '%.*s' has another size or type; compile it again",
                         plan.name(), name.length, name.data);
  ATTUNE_RETURN_IF_ERROR(check_size(plan, tensor, elements.size()));
  if (!session.ran_last(kTrain))
    return Status::error(
        "%s: there is no gradient of '%.*s': train_step was not the last program to run",
        plan.name(), name.length, name.data);
  copy_out(tensor, gradient.as<std::byte>(), nullptr, elements.data());
  return Status::ok();
}

Status get_parameter(const Session& session, std::string_view name, std::span<std::byte> elements,
                     std::string_view slot) {
  int index = -1;
  ATTUNE_RETURN_IF_ERROR(find_parameter(session.plan(), name, &index));
  return get_parameter(session, index, elements, slot);
}

Status set_parameter(Session& session, std::string_view name, std::span<const std::byte> elements,
                     std::string_view slot) {
  int index = -1;
  ATTUNE_RETURN_IF_ERROR(find_parameter(session.plan(), name, &index));
  return set_parameter(session, index, elements, slot);
}

Status get_gradient(const Session& session, std::string_view name, std::span<std::byte> elements) {
  int index = -1;
  ATTUNE_RETURN_IF_ERROR(find_parameter(session.plan(), name, &index));
  return get_gradient(session, index, elements);
}

}  // namespace attune
