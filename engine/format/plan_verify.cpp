#include "engine/format/plan_verify.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "attune/preprocess.h"
#include "engine/format/lacking_operators.h"
#include "engine/format/plan_tensor.h"
#include "engine/format/step_check.h"
#include "engine/platform/error_text.h"
#include "engine/platform/memory_block.h"
#include "kernels/axis_facts.h"
#include "kernels/kernel.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// What sizes in bytes are computed from, in the size_t of this device: a quarter of what it can
// address leaves room for their sums.
constexpr uint64_t kMaxElements = std::min<uint64_t>(uint64_t{1} << 40, SIZE_MAX / 16);
constexpr uint64_t kMaxSegmentBytes = std::min<uint64_t>(uint64_t{1} << 46, SIZE_MAX / 4);
constexpr unsigned kMaxTableSize = 1u << 20;
constexpr int kMaxRepetitions = 65536;
constexpr size_t kMaxStepTensors = 255;
constexpr size_t kFewTensors = 12;  // that are looked at on the stack
constexpr const char* kRecompile = "compile the plan again";

// Everything that a check needs to name the place.
struct Verifier {
  const format::Plan& plan;
  std::span<const std::byte> constants;
  const char* name;
  const Allocator& allocator;  // for steps of many tensors

  Status tensor(const format::Program& program, unsigned index) const;
  Status step(const format::Program& program, unsigned index) const;
  Status port(const format::Program& program, const format::Port& port) const;
  Status program(const format::Program& program) const;
  Status parameter(unsigned index) const;
  Status indices(const Tensor& described, const format::Tensor& t, int64_t limit,
                 const char* step_name, bool ordered) const;

  uint64_t segment_bytes(format::Segment segment) const {
    switch (segment) {
      case format::Segment::constants:
        return constants.size();
      case format::Segment::state:
        return plan.state_bytes();
      case format::Segment::arena:
        return plan.arena_bytes();
      default:
        return 0;
    }
  }
};

bool shape_ok(const flatbuffers::Vector<int32_t>* shape) {
  if (!shape) return true;
  if (shape->size() > static_cast<unsigned>(kMaxRank)) return false;
  uint64_t elements = 1;
  for (int32_t d : *shape) {
    if (d < 1) return false;
    elements *= static_cast<uint64_t>(d);
    if (elements > kMaxElements) return false;
  }
  return true;
}

// FlatBuffers' verifier checks the alignment of a vector's length, not of its elements. Empty
// vectors may be unaligned.
template <class T>
bool aligned(const flatbuffers::Vector<T>* vector) {
  return !vector || vector->size() == 0 ||
         reinterpret_cast<uintptr_t>(vector->Data()) % alignof(T) == 0;
}

Status Verifier::tensor(const format::Program& p, unsigned index) const {
  const format::Tensor* t = p.tensors()->Get(index);
  const char* label = text_of(t->name());
  if (t->dtype() >= kDTypeCount || !shape_ok(t->shape()))
    return Status::error("%s: %s, tensor %u (%s): impossible type or shape; %s", name,
                         program_name(program_kind(p)), index, label, kRecompile);
  if (t->model_perm() && t->model_perm()->size() > static_cast<unsigned>(kMaxRank))
    return Status::error("%s: %s, tensor %u (%s): too many axes; %s", name,
                         program_name(program_kind(p)), index, label, kRecompile);
  if (t->segment() == format::Segment::none) return Status::ok();
  if (t->segment() > format::Segment::arena)
    return Status::error("%s: %s, tensor %u (%s): unknown segment; %s", name,
                         program_name(program_kind(p)), index, label, kRecompile);
  const uint64_t bytes = described_tensor(*t).bytes(), limit = segment_bytes(t->segment());
  // Rows inside an image, a parameter or a constant start where they start.
  const size_t alignment = dtype_bytes(static_cast<DType>(t->dtype()), 1);
  if (t->offset() % alignment != 0 || t->offset() > limit || bytes > limit - t->offset())
    return Status::error(
        "%s: %s, tensor %u (%s) is outside its segment (offset %llu + %llu > %llu) or unaligned; "
        "%s",
        name, program_name(program_kind(p)), index, label,
        static_cast<unsigned long long>(t->offset()), static_cast<unsigned long long>(bytes),
        static_cast<unsigned long long>(limit), kRecompile);
  const auto moves = static_cast<uint64_t>(p.repeat_count() - 1);
  if (t->advance() != 0 &&
      (t->segment() != format::Segment::arena || t->advance() % alignment != 0 ||
       (moves > 0 && t->advance() > (limit - bytes - t->offset()) / moves)))
    return Status::error("%s: %s, tensor %u (%s) moves out of its segment, or unaligned; %s", name,
                         program_name(program_kind(p)), index, label, kRecompile);
  return Status::ok();
}

// Index tensors steer writes, so they must be constants within bounds, increasing.
Status Verifier::indices(const Tensor& described, const format::Tensor& t, int64_t limit,
                         const char* step_name, bool ordered) const {
  if (t.segment() != format::Segment::constants)
    return Status::error("%s: %s: channel numbers are not constant; %s", name, step_name,
                         kRecompile);
  const auto* values = reinterpret_cast<const int32_t*>(constants.data() + t.offset());
  int64_t previous = -1;
  for (int64_t i = 0; i < described.shape.elements(); ++i) {
    if (values[i] < 0 || values[i] >= limit || (ordered && values[i] <= previous))
      return Status::error("%s: %s: channel number %d is out of order or range; %s", name,
                           step_name, static_cast<int>(values[i]), kRecompile);
    previous = values[i];
  }
  return Status::ok();
}

Status Verifier::step(const format::Program& p, unsigned index) const {
  const format::Step* s = p.steps()->Get(index);
  char where[200];
  write_text(where, sizeof(where), "%s, step %u (%s)", program_name(program_kind(p)), index,
             s->op() < kOpCount ? op_name(static_cast<Op>(s->op())) : "?");
  const Op op = static_cast<Op>(s->op());

  std::span<const int32_t> lists[2] = {list_of(s->inputs()), list_of(s->outputs())};
  if (lists[0].size() > kMaxStepTensors || lists[1].size() > kMaxStepTensors)
    return Status::error("%s: %s: too many tensors; %s", name, where, kRecompile);
  const size_t count = lists[0].size() + lists[1].size();
  Tensor few_tensors[kFewTensors];
  const format::Tensor* few_described[kFewTensors] = {};
  Tensor* all_tensors = few_tensors;
  const format::Tensor** all_described = few_described;
  MemoryBlock many;
  if (count > kFewTensors) {
    if (!many.allocate(allocator, count * (sizeof(Tensor) + sizeof(const format::Tensor*))))
      return Status::error("%s: %s: no memory to check its %zu tensors; give an allocator", name,
                           where, count);
    all_tensors = std::uninitialized_default_construct_n(many.as<Tensor>(), count) - count;
    all_described = reinterpret_cast<const format::Tensor**>(all_tensors + count);
  }
  Tensor* const tensors[2] = {all_tensors, all_tensors + lists[0].size()};
  const format::Tensor** const described[2] = {all_described, all_described + lists[0].size()};
  for (int side = 0; side < 2; ++side) {
    for (size_t i = 0; i < lists[side].size(); ++i) {
      const int32_t id = lists[side][i];
      if (id == -1) continue;
      const char* kind = side == 0 ? "input" : "output";
      if (id < -1 || id >= static_cast<int32_t>(p.tensors()->size()))
        return Status::error("%s: %s: %s %zu is no tensor; %s", name, where, kind, i, kRecompile);
      const format::Tensor* t = p.tensors()->Get(static_cast<unsigned>(id));
      if (t->segment() == format::Segment::none ||
          (side == 1 && t->segment() == format::Segment::constants))
        return Status::error("%s: %s: %s %zu has no memory of its own; %s", name, where, kind, i,
                             kRecompile);
      if (side == 1 && t->advance() > 0)
        return Status::error("%s: %s: output %zu moves; %s", name, where, i, kRecompile);
      tensors[side][i] = described_tensor(*t);
      tensors[side][i].data = where;  // present; never read here
      described[side][i] = t;
    }
  }
  const std::span<const Tensor> in(tensors[0], lists[0].size()), out(tensors[1], lists[1].size());

  alignas(16) std::byte attrs[kMaxAttrsBytes];
  if (!aligned(s->reals()) || !decode_attrs(op, list_of(s->ints()), list_of(s->reals()), attrs))
    return Status::error("%s: %s: attributes do not decode; %s", name, where, kRecompile);
  if (s->backend() > kBackendCount)
    return Status::error("%s: %s: kernels of an unknown backend; use a newer runtime", name, where);
  if (!is_real(compute_type(*s)))
    return Status::error("%s: %s: computes in no type of ours; %s", name, where, kRecompile);
  if (const char* wrong = check_step(op, attrs, in, out, compute_type(*s)))
    return Status::error("%s: %s: %s; %s", name, where, wrong, kRecompile);

  // Only updates write state, each output over its own input.
  for (size_t o = 0; o < out.size(); ++o) {
    if (!described[1][o]) continue;
    const int source = updated_input(op, static_cast<int>(o));
    const bool in_state = described[1][o]->segment() == format::Segment::state;
    if (source < 0 && in_state)
      return Status::error("%s: %s: writes the state; %s", name, where, kRecompile);
    if (source >= 0 && (!in_state || described[0][source]->segment() != format::Segment::state ||
                        described[0][source]->offset() != described[1][o]->offset()))
      return Status::error("%s: %s: does not update in place; %s", name, where, kRecompile);
  }
  // Places are trusted by kernels, and those of what is no forward operator are different ones in
  // order.
  for (size_t i = 0; i < in.size(); ++i) {
    const SignatureOperand& operand = signature(op).input(static_cast<int>(i));
    if (!in[i].data || operand.operand_type() != OperandType::places || operand.is_ids()) continue;
    const SignatureOperand& x = signature(op).input(0);
    const bool in_x = std::any_of(x.axes, x.axes + x.count, [&](const SignatureAxis& axis) {
      return axis.kind == SignatureAxis::named && axis.name == operand.places;
    });
    const int32_t size = (in_x ? in : out)[0].shape[axis_facts(op, attrs).axis];
    const bool ordered = op_info(op).kind != OpKind::forward;
    ATTUNE_RETURN_IF_ERROR(indices(in[i], *described[0][i], size, where, ordered));
  }
  return Status::ok();
}

// What the trainer and a session rely on for a port of this role.
bool port_fits(PortRole role, const Tensor& t, int batch) {
  switch (role) {
    case PortRole::input:
    case PortRole::label:
    case PortRole::target:
      return t.dtype != DType::mask;
    case PortRole::weight:
      return is_real(t.dtype) && t.shape.rank >= 1 && t.shape[0] == batch;
    case PortRole::advantage:
      return is_real(t.dtype) && t.shape.elements() == batch;
    case PortRole::step:
      return t.dtype == DType::i32 && t.shape.elements() == 1;
    case PortRole::rate:
    case PortRole::loss:
    case PortRole::metric:
      return is_real(t.dtype) && t.shape.elements() == 1;
    case PortRole::output:
    case PortRole::gradient:
      return true;
  }
  return false;
}

Status Verifier::port(const format::Program& p, const format::Port& port) const {
  const auto bad = [&](const char* what) {
    return Status::error("%s: %s: port %s %s; %s", name, program_name(program_kind(p)),
                         text_of(port.name()), what, kRecompile);
  };
  if (!port.name() || port.tensor() < 0 ||
      port.tensor() >= static_cast<int32_t>(p.tensors()->size()))
    return bad("is no tensor");
  if (port.role() >= kPortRoleCount) return bad("has an unknown role");
  const format::Tensor& t = *p.tensors()->Get(static_cast<unsigned>(port.tensor()));
  if (t.segment() == format::Segment::none ||
      (is_fed(role_of(port)) && t.segment() != format::Segment::arena))
    return bad("is not in the arena");
  if (t.advance() > 0) return bad("moves");
  if (!port_fits(role_of(port), described_tensor(t), p.batch()))
    return bad("has a type or shape that its role does not have");
  if (port.limit() < 0 || (port.limit() > 0 && static_cast<DType>(t.dtype()) != DType::i32))
    return bad("has a limit that makes no sense");
  return Status::ok();
}

Status Verifier::program(const format::Program& p) const {
  if (!p.tensors() || !p.steps() || !p.ports() || p.batch() < 1 ||
      p.tensors()->size() > kMaxTableSize || p.steps()->size() > kMaxTableSize)
    return Status::error("%s: program %s is incomplete; %s", name, program_name(program_kind(p)),
                         kRecompile);
  if (p.repeat_begin() < 0 || p.repeat_end() < p.repeat_begin() ||
      p.repeat_end() > static_cast<int32_t>(p.steps()->size()) || p.repeat_count() < 1 ||
      p.repeat_count() > kMaxRepetitions)
    return Status::error("%s: program %s repeats steps %d .. %d, %d times; %s", name,
                         program_name(program_kind(p)), static_cast<int>(p.repeat_begin()),
                         static_cast<int>(p.repeat_end()) - 1, static_cast<int>(p.repeat_count()),
                         kRecompile);
  for (unsigned i = 0; i < p.tensors()->size(); ++i) ATTUNE_RETURN_IF_ERROR(tensor(p, i));
  for (unsigned i = 0; i < p.steps()->size(); ++i) ATTUNE_RETURN_IF_ERROR(step(p, i));
  for (const format::Port* each : *p.ports()) ATTUNE_RETURN_IF_ERROR(port(p, *each));
  return Status::ok();
}

Status Verifier::parameter(unsigned index) const {
  const format::Parameter* p = plan.parameters()->Get(index);
  const auto bad = [&](const char* what) {
    return Status::error("%s: parameter %u (%s): %s; %s", name, index, text_of(p->name()), what,
                         kRecompile);
  };
  if (!p->name() || !shape_ok(p->shape()) || !shape_ok(p->view_shape()) || !p->shape() ||
      !p->view_shape() || !p->perm())
    return bad("incomplete");
  if (!aligned(p->model_shape()) || !aligned(p->slots())) return bad("unaligned");
  if (p->dtype() != plan.real()) return bad("has another type than the plan");
  const unsigned rank = p->shape()->size();
  if (p->view_shape()->size() != rank || p->perm()->size() != rank) return bad("axes differ");
  unsigned seen = 0;
  for (unsigned i = 0; i < rank; ++i) {
    const unsigned axis = p->perm()->Get(i);
    if (axis >= rank || (seen >> axis & 1) || p->shape()->Get(i) != p->view_shape()->Get(axis))
      return bad("axes are no permutation");
    seen |= 1u << axis;
  }
  uint64_t elements = 1, model_elements = 1;
  for (int32_t d : *p->shape()) elements *= static_cast<uint64_t>(d);
  if (p->model_shape()) {
    if (p->model_shape()->size() > static_cast<unsigned>(kMaxRank)) return bad("too many axes");
    for (int64_t d : *p->model_shape()) {
      if (d < 1 || static_cast<uint64_t>(d) > kMaxElements) return bad("impossible shape");
      model_elements *= static_cast<uint64_t>(d);
      if (model_elements > kMaxElements) return bad("impossible shape");
    }
  }
  if (model_elements != elements) return bad("has another size in the model");
  const DType dtype = static_cast<DType>(p->dtype());
  const auto fits = [&](uint64_t offset, uint64_t bytes) {
    return offset % kTensorAlignment == 0 && offset <= plan.state_bytes() &&
           bytes <= plan.state_bytes() - offset;
  };
  uint64_t trained = elements;
  if (p->slice_axis() != -1) {
    if (p->slice_axis() < 0 || p->slice_axis() >= static_cast<int32_t>(rank) || !p->slice() ||
        p->slice()->size() == 0)
      return bad("slice has no axis or no channels");
    const int32_t channels = p->shape()->Get(static_cast<unsigned>(p->slice_axis()));
    int32_t previous = -1;
    for (int32_t channel : *p->slice()) {
      if (channel <= previous || channel >= channels) return bad("slice is out of order or range");
      previous = channel;
    }
    trained = elements / static_cast<uint64_t>(channels) * p->slice()->size();
  }
  if (!fits(p->state_offset(), dtype_bytes(dtype, p->narrow() ? trained : elements)))
    return bad("is outside the state");
  if (p->narrow()) {
    const uint64_t frozen = dtype_bytes(dtype, elements - trained);
    if (p->frozen_offset() % kTensorAlignment != 0 || p->frozen_offset() > plan.constants_bytes() ||
        frozen > plan.constants_bytes() - p->frozen_offset())
      return bad("is outside the constants");
  }
  const unsigned slots = p->slots() ? p->slots()->size() : 0;
  if (slots != (p->slot_names() ? p->slot_names()->size() : 0)) return bad("slots have no names");
  for (unsigned i = 0; i < slots; ++i)
    if (!fits(p->slots()->Get(i), dtype_bytes(dtype, trained)))
      return bad("optimizer state is outside the state");
  return Status::ok();
}

// What reading and describing it relies on; the readers check that it makes sense.
bool preprocess_ok(const format::Preprocess& p) {
  if (p.front_end() > static_cast<uint8_t>(FrontEnd::mfcc) ||
      p.resize() > static_cast<uint8_t>(Resize::center_crop) ||
      p.window() > static_cast<uint8_t>(ClipWindow::loudest) ||
      p.interpolation() > static_cast<uint8_t>(Interpolation::bicubic) ||
      (p.scale() && p.scale()->size() > 3) || (p.offset() && p.offset()->size() > 3))
    return false;
  switch (static_cast<FrontEnd>(p.front_end())) {
    case FrontEnd::none:
      break;
    case FrontEnd::image:
      return p.width() >= 1 && p.height() >= 1 && (p.channels() == 1 || p.channels() == 3);
    case FrontEnd::mfcc:
      return p.frame_length() >= 1 && p.frame_step() >= 1 && p.samples() >= p.frame_length();
  }
  return true;
}

// Everything after it may rely on the plan's operators.
[[gnu::noinline]] Status check_operators(const format::Plan& plan, const char* name) {
  LackingOperator lacking[kMostLacking];
  const int count = lacking_operators(plan, lacking);
  if (count == 0) return Status::ok();
  char text[400];
  describe({lacking, static_cast<size_t>(count)}, text, sizeof(text));
  return Status::error("%s: %s", name, text);
}

}  // namespace

Status verify_plan(const format::Plan& plan, std::span<const std::byte> constants,
                   size_t initial_state_bytes, const char* name, const Allocator& allocator) {
  const Verifier verifier{plan, constants, name, allocator};
  for (const uint64_t bytes : {plan.state_bytes(), plan.arena_bytes()})
    if (bytes > kMaxSegmentBytes)
      return Status::error(
          "%s: the plan needs %llu bytes of memory at once, more than this device "
          "can address; use a smaller batch or scheme",
          name, static_cast<unsigned long long>(bytes));
  if (!is_real(static_cast<DType>(plan.real())) || !plan.programs() || !plan.loss() ||
      plan.class_count() < 0 || initial_state_bytes > plan.state_bytes() ||
      constants.size() != plan.constants_bytes() || plan.real() >= kDTypeCount)
    return Status::error("%s: the plan's head is incomplete or contradicts itself; %s", name,
                         kRecompile);
  ATTUNE_RETURN_IF_ERROR(check_operators(plan, name));
  for (const format::Program* program : *plan.programs())
    if (program->kind() < kProgramCount) ATTUNE_RETURN_IF_ERROR(verifier.program(*program));
  const unsigned parameters = plan.parameters() ? plan.parameters()->size() : 0;
  for (unsigned i = 0; i < parameters; ++i) ATTUNE_RETURN_IF_ERROR(verifier.parameter(i));
  if (const format::Preprocess* p = plan.preprocess()) {
    if (!preprocess_ok(*p))
      return Status::error("%s: preprocessing is out of range; %s", name, kRecompile);
  }
  return Status::ok();
}

}  // namespace attune
