#include "engine/format/plan_limits.h"

#include <algorithm>

#include "engine/format/plan_tensor.h"

namespace attune {
namespace {

constexpr size_t kMaxJsonBytes = size_t{16} << 20;
constexpr size_t kMaxNameBytes = size_t{64} << 10;
// Names of a model's tensors are there once, for all tensors that are pieces of it.
constexpr uint64_t kTellings = 8;
// Channel numbers that steps may have checked, each step for itself.
constexpr uint64_t kChecksPerByte = 16, kChecks = uint64_t{1} << 24;

// Adds up what a plan tells, and remembers whether it is too much.
class Told {
 public:
  explicit Told(uint64_t most) : left_(most) {}

  template <class T>
  void list(const flatbuffers::Vector<T>* list) {
    if (list) take(uint64_t{list->size()} * sizeof(T));
  }
  void name(const flatbuffers::String* text) { text_of_at_most(text, kMaxNameBytes); }
  void json(const flatbuffers::String* text) { text_of_at_most(text, kMaxJsonBytes); }
  void names(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* names) {
    for (unsigned i = 0; names && i < names->size() && ok_; ++i) name(names->Get(i));
  }
  bool ok() const { return ok_; }

 private:
  void take(uint64_t bytes) {
    ok_ = ok_ && bytes <= left_;
    left_ -= std::min(bytes, left_);
  }
  void text_of_at_most(const flatbuffers::String* text, size_t most) {
    if (!text) return;
    ok_ = ok_ && text->size() <= most;
    take(text->size());
  }

  uint64_t left_;
  bool ok_ = true;
};

void tell(const format::Tensor& tensor, Told* told) {
  told->name(tensor.name());
  told->name(tensor.model_tensor());
  told->list(tensor.shape());
  told->list(tensor.model_perm());
}

void tell(const format::Step& step, Told* told) {
  told->name(step.name());
  told->list(step.inputs());
  told->list(step.outputs());
  told->list(step.ints());
  told->list(step.reals());
}

void tell(const format::Port& port, Told* told) { told->name(port.name()); }

void tell(const format::Parameter& parameter, Told* told) {
  told->name(parameter.name());
  told->names(parameter.slot_names());
  told->list(parameter.model_shape());
  told->list(parameter.view_shape());
  told->list(parameter.shape());
  told->list(parameter.perm());
  told->list(parameter.slice());
  told->list(parameter.slots());
}

template <class T>
void tell_all(const flatbuffers::Vector<flatbuffers::Offset<T>>* tables, Told* told) {
  for (unsigned i = 0; tables && i < tables->size() && told->ok(); ++i) tell(*tables->Get(i), told);
}

// The numbers in a constant that a step may index with; impossible shapes are refused later.
uint64_t numbers_in(const format::Tensor& tensor) {
  if (tensor.segment() != format::Segment::constants ||
      static_cast<DType>(tensor.dtype()) != DType::i32)
    return 0;
  uint64_t elements = 1;
  for (const int32_t dim : list_of(tensor.shape()))
    elements = std::min(elements * static_cast<uint64_t>(std::max<int32_t>(dim, 1)), uint64_t{1} << 31);
  return elements;
}

bool few_checks(const format::Program& program, uint64_t most) {
  if (!program.steps() || !program.tensors()) return true;
  for (const format::Step* step : *program.steps())
    for (const int32_t id : list_of(step->inputs())) {
      if (id < 0 || id >= static_cast<int64_t>(program.tensors()->size())) continue;
      const uint64_t checks = numbers_in(*program.tensors()->Get(static_cast<unsigned>(id)));
      if (checks > most) return false;
      most -= checks;
    }
  return true;
}

}  // namespace

Status check_plan_limits(const format::Plan& plan, size_t table_bytes,
                         std::span<const std::byte> constants, const char* name) {
  Told told(kTellings * table_bytes);
  for (const flatbuffers::String* text :
       {plan.producer(), plan.model_name(), plan.loss(), plan.optimizer()})
    told.name(text);
  told.json(plan.scheme());
  told.json(plan.options());
  told.names(plan.classes());
  told.names(plan.labels());
  tell_all(plan.parameters(), &told);
  for (unsigned i = 0; plan.programs() && i < plan.programs()->size() && told.ok(); ++i) {
    const format::Program& program = *plan.programs()->Get(i);
    if (program.kind() >= kProgramCount) continue;
    tell_all(program.tensors(), &told);
    tell_all(program.steps(), &told);
    tell_all(program.ports(), &told);
    if (told.ok() && !few_checks(program, kChecks + kChecksPerByte * constants.size()))
      return Status::error("%s: its steps index with more numbers than it holds; compile it again",
                           name);
  }
  if (!told.ok())
    return Status::error(
        "%s: its names, or its scheme and options, are longer than any that `attune compile` "
        "writes, or told again and again; compile it again",
        name);
  return Status::ok();
}

}  // namespace attune
