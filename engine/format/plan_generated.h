// Of plan.fbs with SHA-256 58bced05116a3f911e231f12a61e8d204242a8061ee897b4446c70b893f45f07
// by flatc version 2.0.8, without its check of FlatBuffers' version; cmake/plan_schema.cmake makes it.
// clang-format off

#ifndef FLATBUFFERS_GENERATED_PLAN_ATTUNE_FORMAT_H_
#define FLATBUFFERS_GENERATED_PLAN_ATTUNE_FORMAT_H_

#include "flatbuffers/flatbuffers.h"

namespace attune {
namespace format {

struct Tensor;
struct TensorBuilder;

struct Step;
struct StepBuilder;

struct Port;
struct PortBuilder;

struct Program;
struct ProgramBuilder;

struct Parameter;
struct ParameterBuilder;

struct Preprocess;
struct PreprocessBuilder;

struct Plan;
struct PlanBuilder;

enum class Segment : uint8_t {
  none = 0,
  constants = 1,
  state = 2,
  arena = 3,
  MIN = none,
  MAX = arena
};

inline const Segment (&EnumValuesSegment())[4] {
  static const Segment values[] = {
    Segment::none,
    Segment::constants,
    Segment::state,
    Segment::arena
  };
  return values;
}

inline const char * const *EnumNamesSegment() {
  static const char * const names[5] = {
    "none",
    "constants",
    "state",
    "arena",
    nullptr
  };
  return names;
}

inline const char *EnumNameSegment(Segment e) {
  if (flatbuffers::IsOutRange(e, Segment::none, Segment::arena)) return "";
  const size_t index = static_cast<size_t>(e);
  return EnumNamesSegment()[index];
}

struct Tensor FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef TensorBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_NAME = 4,
    VT_DTYPE = 6,
    VT_SHAPE = 8,
    VT_SEGMENT = 10,
    VT_OFFSET = 12,
    VT_MODEL_TENSOR = 14,
    VT_MODEL_PERM = 16,
    VT_ADVANCE = 18
  };
  const flatbuffers::String *name() const {
    return GetPointer<const flatbuffers::String *>(VT_NAME);
  }
  uint8_t dtype() const {
    return GetField<uint8_t>(VT_DTYPE, 0);
  }
  const flatbuffers::Vector<int32_t> *shape() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_SHAPE);
  }
  attune::format::Segment segment() const {
    return static_cast<attune::format::Segment>(GetField<uint8_t>(VT_SEGMENT, 0));
  }
  uint64_t offset() const {
    return GetField<uint64_t>(VT_OFFSET, 0);
  }
  const flatbuffers::String *model_tensor() const {
    return GetPointer<const flatbuffers::String *>(VT_MODEL_TENSOR);
  }
  const flatbuffers::Vector<uint8_t> *model_perm() const {
    return GetPointer<const flatbuffers::Vector<uint8_t> *>(VT_MODEL_PERM);
  }
  uint64_t advance() const {
    return GetField<uint64_t>(VT_ADVANCE, 0);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyOffset(verifier, VT_NAME) &&
           verifier.VerifyString(name()) &&
           VerifyField<uint8_t>(verifier, VT_DTYPE, 1) &&
           VerifyOffset(verifier, VT_SHAPE) &&
           verifier.VerifyVector(shape()) &&
           VerifyField<uint8_t>(verifier, VT_SEGMENT, 1) &&
           VerifyField<uint64_t>(verifier, VT_OFFSET, 8) &&
           VerifyOffset(verifier, VT_MODEL_TENSOR) &&
           verifier.VerifyString(model_tensor()) &&
           VerifyOffset(verifier, VT_MODEL_PERM) &&
           verifier.VerifyVector(model_perm()) &&
           VerifyField<uint64_t>(verifier, VT_ADVANCE, 8) &&
           verifier.EndTable();
  }
};

struct TensorBuilder {
  typedef Tensor Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_name(flatbuffers::Offset<flatbuffers::String> name) {
    fbb_.AddOffset(Tensor::VT_NAME, name);
  }
  void add_dtype(uint8_t dtype) {
    fbb_.AddElement<uint8_t>(Tensor::VT_DTYPE, dtype, 0);
  }
  void add_shape(flatbuffers::Offset<flatbuffers::Vector<int32_t>> shape) {
    fbb_.AddOffset(Tensor::VT_SHAPE, shape);
  }
  void add_segment(attune::format::Segment segment) {
    fbb_.AddElement<uint8_t>(Tensor::VT_SEGMENT, static_cast<uint8_t>(segment), 0);
  }
  void add_offset(uint64_t offset) {
    fbb_.AddElement<uint64_t>(Tensor::VT_OFFSET, offset, 0);
  }
  void add_model_tensor(flatbuffers::Offset<flatbuffers::String> model_tensor) {
    fbb_.AddOffset(Tensor::VT_MODEL_TENSOR, model_tensor);
  }
  void add_model_perm(flatbuffers::Offset<flatbuffers::Vector<uint8_t>> model_perm) {
    fbb_.AddOffset(Tensor::VT_MODEL_PERM, model_perm);
  }
  void add_advance(uint64_t advance) {
    fbb_.AddElement<uint64_t>(Tensor::VT_ADVANCE, advance, 0);
  }
  explicit TensorBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Tensor> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Tensor>(end);
    return o;
  }
};

inline flatbuffers::Offset<Tensor> CreateTensor(
    flatbuffers::FlatBufferBuilder &_fbb,
    flatbuffers::Offset<flatbuffers::String> name = 0,
    uint8_t dtype = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> shape = 0,
    attune::format::Segment segment = attune::format::Segment::none,
    uint64_t offset = 0,
    flatbuffers::Offset<flatbuffers::String> model_tensor = 0,
    flatbuffers::Offset<flatbuffers::Vector<uint8_t>> model_perm = 0,
    uint64_t advance = 0) {
  TensorBuilder builder_(_fbb);
  builder_.add_advance(advance);
  builder_.add_offset(offset);
  builder_.add_model_perm(model_perm);
  builder_.add_model_tensor(model_tensor);
  builder_.add_shape(shape);
  builder_.add_name(name);
  builder_.add_segment(segment);
  builder_.add_dtype(dtype);
  return builder_.Finish();
}

struct Tensor::Traits {
  using type = Tensor;
  static auto constexpr Create = CreateTensor;
};

inline flatbuffers::Offset<Tensor> CreateTensorDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    const char *name = nullptr,
    uint8_t dtype = 0,
    const std::vector<int32_t> *shape = nullptr,
    attune::format::Segment segment = attune::format::Segment::none,
    uint64_t offset = 0,
    const char *model_tensor = nullptr,
    const std::vector<uint8_t> *model_perm = nullptr,
    uint64_t advance = 0) {
  auto name__ = name ? _fbb.CreateString(name) : 0;
  auto shape__ = shape ? _fbb.CreateVector<int32_t>(*shape) : 0;
  auto model_tensor__ = model_tensor ? _fbb.CreateString(model_tensor) : 0;
  auto model_perm__ = model_perm ? _fbb.CreateVector<uint8_t>(*model_perm) : 0;
  return attune::format::CreateTensor(
      _fbb,
      name__,
      dtype,
      shape__,
      segment,
      offset,
      model_tensor__,
      model_perm__,
      advance);
}

struct Step FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef StepBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_OP = 4,
    VT_OP_VERSION = 6,
    VT_COMPUTE = 8,
    VT_NAME = 10,
    VT_INPUTS = 12,
    VT_OUTPUTS = 14,
    VT_INTS = 16,
    VT_REALS = 18,
    VT_MACS = 20,
    VT_BACKEND = 22
  };
  uint16_t op() const {
    return GetField<uint16_t>(VT_OP, 0);
  }
  uint8_t op_version() const {
    return GetField<uint8_t>(VT_OP_VERSION, 0);
  }
  uint8_t compute() const {
    return GetField<uint8_t>(VT_COMPUTE, 0);
  }
  const flatbuffers::String *name() const {
    return GetPointer<const flatbuffers::String *>(VT_NAME);
  }
  const flatbuffers::Vector<int32_t> *inputs() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_INPUTS);
  }
  const flatbuffers::Vector<int32_t> *outputs() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_OUTPUTS);
  }
  const flatbuffers::Vector<int32_t> *ints() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_INTS);
  }
  const flatbuffers::Vector<double> *reals() const {
    return GetPointer<const flatbuffers::Vector<double> *>(VT_REALS);
  }
  uint64_t macs() const {
    return GetField<uint64_t>(VT_MACS, 0);
  }
  uint8_t backend() const {
    return GetField<uint8_t>(VT_BACKEND, 0);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyField<uint16_t>(verifier, VT_OP, 2) &&
           VerifyField<uint8_t>(verifier, VT_OP_VERSION, 1) &&
           VerifyField<uint8_t>(verifier, VT_COMPUTE, 1) &&
           VerifyOffset(verifier, VT_NAME) &&
           verifier.VerifyString(name()) &&
           VerifyOffset(verifier, VT_INPUTS) &&
           verifier.VerifyVector(inputs()) &&
           VerifyOffset(verifier, VT_OUTPUTS) &&
           verifier.VerifyVector(outputs()) &&
           VerifyOffset(verifier, VT_INTS) &&
           verifier.VerifyVector(ints()) &&
           VerifyOffset(verifier, VT_REALS) &&
           verifier.VerifyVector(reals()) &&
           VerifyField<uint64_t>(verifier, VT_MACS, 8) &&
           VerifyField<uint8_t>(verifier, VT_BACKEND, 1) &&
           verifier.EndTable();
  }
};

struct StepBuilder {
  typedef Step Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_op(uint16_t op) {
    fbb_.AddElement<uint16_t>(Step::VT_OP, op, 0);
  }
  void add_op_version(uint8_t op_version) {
    fbb_.AddElement<uint8_t>(Step::VT_OP_VERSION, op_version, 0);
  }
  void add_compute(uint8_t compute) {
    fbb_.AddElement<uint8_t>(Step::VT_COMPUTE, compute, 0);
  }
  void add_name(flatbuffers::Offset<flatbuffers::String> name) {
    fbb_.AddOffset(Step::VT_NAME, name);
  }
  void add_inputs(flatbuffers::Offset<flatbuffers::Vector<int32_t>> inputs) {
    fbb_.AddOffset(Step::VT_INPUTS, inputs);
  }
  void add_outputs(flatbuffers::Offset<flatbuffers::Vector<int32_t>> outputs) {
    fbb_.AddOffset(Step::VT_OUTPUTS, outputs);
  }
  void add_ints(flatbuffers::Offset<flatbuffers::Vector<int32_t>> ints) {
    fbb_.AddOffset(Step::VT_INTS, ints);
  }
  void add_reals(flatbuffers::Offset<flatbuffers::Vector<double>> reals) {
    fbb_.AddOffset(Step::VT_REALS, reals);
  }
  void add_macs(uint64_t macs) {
    fbb_.AddElement<uint64_t>(Step::VT_MACS, macs, 0);
  }
  void add_backend(uint8_t backend) {
    fbb_.AddElement<uint8_t>(Step::VT_BACKEND, backend, 0);
  }
  explicit StepBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Step> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Step>(end);
    return o;
  }
};

inline flatbuffers::Offset<Step> CreateStep(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint16_t op = 0,
    uint8_t op_version = 0,
    uint8_t compute = 0,
    flatbuffers::Offset<flatbuffers::String> name = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> inputs = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> outputs = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> ints = 0,
    flatbuffers::Offset<flatbuffers::Vector<double>> reals = 0,
    uint64_t macs = 0,
    uint8_t backend = 0) {
  StepBuilder builder_(_fbb);
  builder_.add_macs(macs);
  builder_.add_reals(reals);
  builder_.add_ints(ints);
  builder_.add_outputs(outputs);
  builder_.add_inputs(inputs);
  builder_.add_name(name);
  builder_.add_op(op);
  builder_.add_backend(backend);
  builder_.add_compute(compute);
  builder_.add_op_version(op_version);
  return builder_.Finish();
}

struct Step::Traits {
  using type = Step;
  static auto constexpr Create = CreateStep;
};

inline flatbuffers::Offset<Step> CreateStepDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint16_t op = 0,
    uint8_t op_version = 0,
    uint8_t compute = 0,
    const char *name = nullptr,
    const std::vector<int32_t> *inputs = nullptr,
    const std::vector<int32_t> *outputs = nullptr,
    const std::vector<int32_t> *ints = nullptr,
    const std::vector<double> *reals = nullptr,
    uint64_t macs = 0,
    uint8_t backend = 0) {
  auto name__ = name ? _fbb.CreateString(name) : 0;
  auto inputs__ = inputs ? _fbb.CreateVector<int32_t>(*inputs) : 0;
  auto outputs__ = outputs ? _fbb.CreateVector<int32_t>(*outputs) : 0;
  auto ints__ = ints ? _fbb.CreateVector<int32_t>(*ints) : 0;
  auto reals__ = reals ? _fbb.CreateVector<double>(*reals) : 0;
  return attune::format::CreateStep(
      _fbb,
      op,
      op_version,
      compute,
      name__,
      inputs__,
      outputs__,
      ints__,
      reals__,
      macs,
      backend);
}

struct Port FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef PortBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_NAME = 4,
    VT_ROLE = 6,
    VT_TENSOR = 8,
    VT_LIMIT = 10
  };
  const flatbuffers::String *name() const {
    return GetPointer<const flatbuffers::String *>(VT_NAME);
  }
  uint8_t role() const {
    return GetField<uint8_t>(VT_ROLE, 0);
  }
  int32_t tensor() const {
    return GetField<int32_t>(VT_TENSOR, 0);
  }
  int32_t limit() const {
    return GetField<int32_t>(VT_LIMIT, 0);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyOffset(verifier, VT_NAME) &&
           verifier.VerifyString(name()) &&
           VerifyField<uint8_t>(verifier, VT_ROLE, 1) &&
           VerifyField<int32_t>(verifier, VT_TENSOR, 4) &&
           VerifyField<int32_t>(verifier, VT_LIMIT, 4) &&
           verifier.EndTable();
  }
};

struct PortBuilder {
  typedef Port Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_name(flatbuffers::Offset<flatbuffers::String> name) {
    fbb_.AddOffset(Port::VT_NAME, name);
  }
  void add_role(uint8_t role) {
    fbb_.AddElement<uint8_t>(Port::VT_ROLE, role, 0);
  }
  void add_tensor(int32_t tensor) {
    fbb_.AddElement<int32_t>(Port::VT_TENSOR, tensor, 0);
  }
  void add_limit(int32_t limit) {
    fbb_.AddElement<int32_t>(Port::VT_LIMIT, limit, 0);
  }
  explicit PortBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Port> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Port>(end);
    return o;
  }
};

inline flatbuffers::Offset<Port> CreatePort(
    flatbuffers::FlatBufferBuilder &_fbb,
    flatbuffers::Offset<flatbuffers::String> name = 0,
    uint8_t role = 0,
    int32_t tensor = 0,
    int32_t limit = 0) {
  PortBuilder builder_(_fbb);
  builder_.add_limit(limit);
  builder_.add_tensor(tensor);
  builder_.add_name(name);
  builder_.add_role(role);
  return builder_.Finish();
}

struct Port::Traits {
  using type = Port;
  static auto constexpr Create = CreatePort;
};

inline flatbuffers::Offset<Port> CreatePortDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    const char *name = nullptr,
    uint8_t role = 0,
    int32_t tensor = 0,
    int32_t limit = 0) {
  auto name__ = name ? _fbb.CreateString(name) : 0;
  return attune::format::CreatePort(
      _fbb,
      name__,
      role,
      tensor,
      limit);
}

struct Program FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef ProgramBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_KIND = 4,
    VT_BATCH = 6,
    VT_TENSORS = 8,
    VT_STEPS = 10,
    VT_PORTS = 12,
    VT_ARENA_BYTES = 14,
    VT_ARENA_LOWER_BOUND = 16,
    VT_REPEAT_BEGIN = 18,
    VT_REPEAT_END = 20,
    VT_REPEAT_COUNT = 22
  };
  uint8_t kind() const {
    return GetField<uint8_t>(VT_KIND, 0);
  }
  int32_t batch() const {
    return GetField<int32_t>(VT_BATCH, 0);
  }
  const flatbuffers::Vector<flatbuffers::Offset<attune::format::Tensor>> *tensors() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<attune::format::Tensor>> *>(VT_TENSORS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<attune::format::Step>> *steps() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<attune::format::Step>> *>(VT_STEPS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<attune::format::Port>> *ports() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<attune::format::Port>> *>(VT_PORTS);
  }
  uint64_t arena_bytes() const {
    return GetField<uint64_t>(VT_ARENA_BYTES, 0);
  }
  uint64_t arena_lower_bound() const {
    return GetField<uint64_t>(VT_ARENA_LOWER_BOUND, 0);
  }
  int32_t repeat_begin() const {
    return GetField<int32_t>(VT_REPEAT_BEGIN, 0);
  }
  int32_t repeat_end() const {
    return GetField<int32_t>(VT_REPEAT_END, 0);
  }
  int32_t repeat_count() const {
    return GetField<int32_t>(VT_REPEAT_COUNT, 1);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyField<uint8_t>(verifier, VT_KIND, 1) &&
           VerifyField<int32_t>(verifier, VT_BATCH, 4) &&
           VerifyOffset(verifier, VT_TENSORS) &&
           verifier.VerifyVector(tensors()) &&
           verifier.VerifyVectorOfTables(tensors()) &&
           VerifyOffset(verifier, VT_STEPS) &&
           verifier.VerifyVector(steps()) &&
           verifier.VerifyVectorOfTables(steps()) &&
           VerifyOffset(verifier, VT_PORTS) &&
           verifier.VerifyVector(ports()) &&
           verifier.VerifyVectorOfTables(ports()) &&
           VerifyField<uint64_t>(verifier, VT_ARENA_BYTES, 8) &&
           VerifyField<uint64_t>(verifier, VT_ARENA_LOWER_BOUND, 8) &&
           VerifyField<int32_t>(verifier, VT_REPEAT_BEGIN, 4) &&
           VerifyField<int32_t>(verifier, VT_REPEAT_END, 4) &&
           VerifyField<int32_t>(verifier, VT_REPEAT_COUNT, 4) &&
           verifier.EndTable();
  }
};

struct ProgramBuilder {
  typedef Program Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_kind(uint8_t kind) {
    fbb_.AddElement<uint8_t>(Program::VT_KIND, kind, 0);
  }
  void add_batch(int32_t batch) {
    fbb_.AddElement<int32_t>(Program::VT_BATCH, batch, 0);
  }
  void add_tensors(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Tensor>>> tensors) {
    fbb_.AddOffset(Program::VT_TENSORS, tensors);
  }
  void add_steps(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Step>>> steps) {
    fbb_.AddOffset(Program::VT_STEPS, steps);
  }
  void add_ports(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Port>>> ports) {
    fbb_.AddOffset(Program::VT_PORTS, ports);
  }
  void add_arena_bytes(uint64_t arena_bytes) {
    fbb_.AddElement<uint64_t>(Program::VT_ARENA_BYTES, arena_bytes, 0);
  }
  void add_arena_lower_bound(uint64_t arena_lower_bound) {
    fbb_.AddElement<uint64_t>(Program::VT_ARENA_LOWER_BOUND, arena_lower_bound, 0);
  }
  void add_repeat_begin(int32_t repeat_begin) {
    fbb_.AddElement<int32_t>(Program::VT_REPEAT_BEGIN, repeat_begin, 0);
  }
  void add_repeat_end(int32_t repeat_end) {
    fbb_.AddElement<int32_t>(Program::VT_REPEAT_END, repeat_end, 0);
  }
  void add_repeat_count(int32_t repeat_count) {
    fbb_.AddElement<int32_t>(Program::VT_REPEAT_COUNT, repeat_count, 1);
  }
  explicit ProgramBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Program> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Program>(end);
    return o;
  }
};

inline flatbuffers::Offset<Program> CreateProgram(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint8_t kind = 0,
    int32_t batch = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Tensor>>> tensors = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Step>>> steps = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Port>>> ports = 0,
    uint64_t arena_bytes = 0,
    uint64_t arena_lower_bound = 0,
    int32_t repeat_begin = 0,
    int32_t repeat_end = 0,
    int32_t repeat_count = 1) {
  ProgramBuilder builder_(_fbb);
  builder_.add_arena_lower_bound(arena_lower_bound);
  builder_.add_arena_bytes(arena_bytes);
  builder_.add_repeat_count(repeat_count);
  builder_.add_repeat_end(repeat_end);
  builder_.add_repeat_begin(repeat_begin);
  builder_.add_ports(ports);
  builder_.add_steps(steps);
  builder_.add_tensors(tensors);
  builder_.add_batch(batch);
  builder_.add_kind(kind);
  return builder_.Finish();
}

struct Program::Traits {
  using type = Program;
  static auto constexpr Create = CreateProgram;
};

inline flatbuffers::Offset<Program> CreateProgramDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint8_t kind = 0,
    int32_t batch = 0,
    const std::vector<flatbuffers::Offset<attune::format::Tensor>> *tensors = nullptr,
    const std::vector<flatbuffers::Offset<attune::format::Step>> *steps = nullptr,
    const std::vector<flatbuffers::Offset<attune::format::Port>> *ports = nullptr,
    uint64_t arena_bytes = 0,
    uint64_t arena_lower_bound = 0,
    int32_t repeat_begin = 0,
    int32_t repeat_end = 0,
    int32_t repeat_count = 1) {
  auto tensors__ = tensors ? _fbb.CreateVector<flatbuffers::Offset<attune::format::Tensor>>(*tensors) : 0;
  auto steps__ = steps ? _fbb.CreateVector<flatbuffers::Offset<attune::format::Step>>(*steps) : 0;
  auto ports__ = ports ? _fbb.CreateVector<flatbuffers::Offset<attune::format::Port>>(*ports) : 0;
  return attune::format::CreateProgram(
      _fbb,
      kind,
      batch,
      tensors__,
      steps__,
      ports__,
      arena_bytes,
      arena_lower_bound,
      repeat_begin,
      repeat_end,
      repeat_count);
}

struct Parameter FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef ParameterBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_NAME = 4,
    VT_MODEL_SHAPE = 6,
    VT_VIEW_SHAPE = 8,
    VT_PERM = 10,
    VT_DTYPE = 12,
    VT_SHAPE = 14,
    VT_STATE_OFFSET = 16,
    VT_SLICE_AXIS = 18,
    VT_SLICE = 20,
    VT_SLOTS = 22,
    VT_SLOT_NAMES = 24,
    VT_HEAD = 26,
    VT_STATISTIC = 28,
    VT_NARROW = 30,
    VT_FROZEN_OFFSET = 32
  };
  const flatbuffers::String *name() const {
    return GetPointer<const flatbuffers::String *>(VT_NAME);
  }
  const flatbuffers::Vector<int64_t> *model_shape() const {
    return GetPointer<const flatbuffers::Vector<int64_t> *>(VT_MODEL_SHAPE);
  }
  const flatbuffers::Vector<int32_t> *view_shape() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_VIEW_SHAPE);
  }
  const flatbuffers::Vector<uint8_t> *perm() const {
    return GetPointer<const flatbuffers::Vector<uint8_t> *>(VT_PERM);
  }
  uint8_t dtype() const {
    return GetField<uint8_t>(VT_DTYPE, 0);
  }
  const flatbuffers::Vector<int32_t> *shape() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_SHAPE);
  }
  uint64_t state_offset() const {
    return GetField<uint64_t>(VT_STATE_OFFSET, 0);
  }
  int32_t slice_axis() const {
    return GetField<int32_t>(VT_SLICE_AXIS, 0);
  }
  const flatbuffers::Vector<int32_t> *slice() const {
    return GetPointer<const flatbuffers::Vector<int32_t> *>(VT_SLICE);
  }
  const flatbuffers::Vector<uint64_t> *slots() const {
    return GetPointer<const flatbuffers::Vector<uint64_t> *>(VT_SLOTS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *slot_names() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *>(VT_SLOT_NAMES);
  }
  bool head() const {
    return GetField<uint8_t>(VT_HEAD, 0) != 0;
  }
  bool statistic() const {
    return GetField<uint8_t>(VT_STATISTIC, 0) != 0;
  }
  bool narrow() const {
    return GetField<uint8_t>(VT_NARROW, 0) != 0;
  }
  uint64_t frozen_offset() const {
    return GetField<uint64_t>(VT_FROZEN_OFFSET, 0);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyOffset(verifier, VT_NAME) &&
           verifier.VerifyString(name()) &&
           VerifyOffset(verifier, VT_MODEL_SHAPE) &&
           verifier.VerifyVector(model_shape()) &&
           VerifyOffset(verifier, VT_VIEW_SHAPE) &&
           verifier.VerifyVector(view_shape()) &&
           VerifyOffset(verifier, VT_PERM) &&
           verifier.VerifyVector(perm()) &&
           VerifyField<uint8_t>(verifier, VT_DTYPE, 1) &&
           VerifyOffset(verifier, VT_SHAPE) &&
           verifier.VerifyVector(shape()) &&
           VerifyField<uint64_t>(verifier, VT_STATE_OFFSET, 8) &&
           VerifyField<int32_t>(verifier, VT_SLICE_AXIS, 4) &&
           VerifyOffset(verifier, VT_SLICE) &&
           verifier.VerifyVector(slice()) &&
           VerifyOffset(verifier, VT_SLOTS) &&
           verifier.VerifyVector(slots()) &&
           VerifyOffset(verifier, VT_SLOT_NAMES) &&
           verifier.VerifyVector(slot_names()) &&
           verifier.VerifyVectorOfStrings(slot_names()) &&
           VerifyField<uint8_t>(verifier, VT_HEAD, 1) &&
           VerifyField<uint8_t>(verifier, VT_STATISTIC, 1) &&
           VerifyField<uint8_t>(verifier, VT_NARROW, 1) &&
           VerifyField<uint64_t>(verifier, VT_FROZEN_OFFSET, 8) &&
           verifier.EndTable();
  }
};

struct ParameterBuilder {
  typedef Parameter Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_name(flatbuffers::Offset<flatbuffers::String> name) {
    fbb_.AddOffset(Parameter::VT_NAME, name);
  }
  void add_model_shape(flatbuffers::Offset<flatbuffers::Vector<int64_t>> model_shape) {
    fbb_.AddOffset(Parameter::VT_MODEL_SHAPE, model_shape);
  }
  void add_view_shape(flatbuffers::Offset<flatbuffers::Vector<int32_t>> view_shape) {
    fbb_.AddOffset(Parameter::VT_VIEW_SHAPE, view_shape);
  }
  void add_perm(flatbuffers::Offset<flatbuffers::Vector<uint8_t>> perm) {
    fbb_.AddOffset(Parameter::VT_PERM, perm);
  }
  void add_dtype(uint8_t dtype) {
    fbb_.AddElement<uint8_t>(Parameter::VT_DTYPE, dtype, 0);
  }
  void add_shape(flatbuffers::Offset<flatbuffers::Vector<int32_t>> shape) {
    fbb_.AddOffset(Parameter::VT_SHAPE, shape);
  }
  void add_state_offset(uint64_t state_offset) {
    fbb_.AddElement<uint64_t>(Parameter::VT_STATE_OFFSET, state_offset, 0);
  }
  void add_slice_axis(int32_t slice_axis) {
    fbb_.AddElement<int32_t>(Parameter::VT_SLICE_AXIS, slice_axis, 0);
  }
  void add_slice(flatbuffers::Offset<flatbuffers::Vector<int32_t>> slice) {
    fbb_.AddOffset(Parameter::VT_SLICE, slice);
  }
  void add_slots(flatbuffers::Offset<flatbuffers::Vector<uint64_t>> slots) {
    fbb_.AddOffset(Parameter::VT_SLOTS, slots);
  }
  void add_slot_names(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> slot_names) {
    fbb_.AddOffset(Parameter::VT_SLOT_NAMES, slot_names);
  }
  void add_head(bool head) {
    fbb_.AddElement<uint8_t>(Parameter::VT_HEAD, static_cast<uint8_t>(head), 0);
  }
  void add_statistic(bool statistic) {
    fbb_.AddElement<uint8_t>(Parameter::VT_STATISTIC, static_cast<uint8_t>(statistic), 0);
  }
  void add_narrow(bool narrow) {
    fbb_.AddElement<uint8_t>(Parameter::VT_NARROW, static_cast<uint8_t>(narrow), 0);
  }
  void add_frozen_offset(uint64_t frozen_offset) {
    fbb_.AddElement<uint64_t>(Parameter::VT_FROZEN_OFFSET, frozen_offset, 0);
  }
  explicit ParameterBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Parameter> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Parameter>(end);
    return o;
  }
};

inline flatbuffers::Offset<Parameter> CreateParameter(
    flatbuffers::FlatBufferBuilder &_fbb,
    flatbuffers::Offset<flatbuffers::String> name = 0,
    flatbuffers::Offset<flatbuffers::Vector<int64_t>> model_shape = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> view_shape = 0,
    flatbuffers::Offset<flatbuffers::Vector<uint8_t>> perm = 0,
    uint8_t dtype = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> shape = 0,
    uint64_t state_offset = 0,
    int32_t slice_axis = 0,
    flatbuffers::Offset<flatbuffers::Vector<int32_t>> slice = 0,
    flatbuffers::Offset<flatbuffers::Vector<uint64_t>> slots = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> slot_names = 0,
    bool head = false,
    bool statistic = false,
    bool narrow = false,
    uint64_t frozen_offset = 0) {
  ParameterBuilder builder_(_fbb);
  builder_.add_frozen_offset(frozen_offset);
  builder_.add_state_offset(state_offset);
  builder_.add_slot_names(slot_names);
  builder_.add_slots(slots);
  builder_.add_slice(slice);
  builder_.add_slice_axis(slice_axis);
  builder_.add_shape(shape);
  builder_.add_perm(perm);
  builder_.add_view_shape(view_shape);
  builder_.add_model_shape(model_shape);
  builder_.add_name(name);
  builder_.add_narrow(narrow);
  builder_.add_statistic(statistic);
  builder_.add_head(head);
  builder_.add_dtype(dtype);
  return builder_.Finish();
}

struct Parameter::Traits {
  using type = Parameter;
  static auto constexpr Create = CreateParameter;
};

inline flatbuffers::Offset<Parameter> CreateParameterDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    const char *name = nullptr,
    const std::vector<int64_t> *model_shape = nullptr,
    const std::vector<int32_t> *view_shape = nullptr,
    const std::vector<uint8_t> *perm = nullptr,
    uint8_t dtype = 0,
    const std::vector<int32_t> *shape = nullptr,
    uint64_t state_offset = 0,
    int32_t slice_axis = 0,
    const std::vector<int32_t> *slice = nullptr,
    const std::vector<uint64_t> *slots = nullptr,
    const std::vector<flatbuffers::Offset<flatbuffers::String>> *slot_names = nullptr,
    bool head = false,
    bool statistic = false,
    bool narrow = false,
    uint64_t frozen_offset = 0) {
  auto name__ = name ? _fbb.CreateString(name) : 0;
  auto model_shape__ = model_shape ? _fbb.CreateVector<int64_t>(*model_shape) : 0;
  auto view_shape__ = view_shape ? _fbb.CreateVector<int32_t>(*view_shape) : 0;
  auto perm__ = perm ? _fbb.CreateVector<uint8_t>(*perm) : 0;
  auto shape__ = shape ? _fbb.CreateVector<int32_t>(*shape) : 0;
  auto slice__ = slice ? _fbb.CreateVector<int32_t>(*slice) : 0;
  auto slots__ = slots ? _fbb.CreateVector<uint64_t>(*slots) : 0;
  auto slot_names__ = slot_names ? _fbb.CreateVector<flatbuffers::Offset<flatbuffers::String>>(*slot_names) : 0;
  return attune::format::CreateParameter(
      _fbb,
      name__,
      model_shape__,
      view_shape__,
      perm__,
      dtype,
      shape__,
      state_offset,
      slice_axis,
      slice__,
      slots__,
      slot_names__,
      head,
      statistic,
      narrow,
      frozen_offset);
}

struct Preprocess FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef PreprocessBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_FRONT_END = 4,
    VT_WIDTH = 6,
    VT_HEIGHT = 8,
    VT_CHANNELS = 10,
    VT_RESIZE = 12,
    VT_RESIZE_SHORTER = 14,
    VT_BGR = 16,
    VT_SCALE = 18,
    VT_OFFSET = 20,
    VT_SAMPLE_RATE = 22,
    VT_SAMPLES = 24,
    VT_NORMALIZE_PEAK = 26,
    VT_FRAME_LENGTH = 28,
    VT_FRAME_STEP = 30,
    VT_FFT_SIZE = 32,
    VT_MEL_BANDS = 34,
    VT_LOW_HZ = 36,
    VT_HIGH_HZ = 38,
    VT_LOG_OFFSET = 40,
    VT_COEFFICIENTS = 42,
    VT_WINDOW = 44,
    VT_INTERPOLATION = 46
  };
  uint8_t front_end() const {
    return GetField<uint8_t>(VT_FRONT_END, 0);
  }
  int32_t width() const {
    return GetField<int32_t>(VT_WIDTH, 0);
  }
  int32_t height() const {
    return GetField<int32_t>(VT_HEIGHT, 0);
  }
  int32_t channels() const {
    return GetField<int32_t>(VT_CHANNELS, 0);
  }
  uint8_t resize() const {
    return GetField<uint8_t>(VT_RESIZE, 0);
  }
  int32_t resize_shorter() const {
    return GetField<int32_t>(VT_RESIZE_SHORTER, 0);
  }
  bool bgr() const {
    return GetField<uint8_t>(VT_BGR, 0) != 0;
  }
  const flatbuffers::Vector<float> *scale() const {
    return GetPointer<const flatbuffers::Vector<float> *>(VT_SCALE);
  }
  const flatbuffers::Vector<float> *offset() const {
    return GetPointer<const flatbuffers::Vector<float> *>(VT_OFFSET);
  }
  int32_t sample_rate() const {
    return GetField<int32_t>(VT_SAMPLE_RATE, 0);
  }
  int32_t samples() const {
    return GetField<int32_t>(VT_SAMPLES, 0);
  }
  bool normalize_peak() const {
    return GetField<uint8_t>(VT_NORMALIZE_PEAK, 0) != 0;
  }
  int32_t frame_length() const {
    return GetField<int32_t>(VT_FRAME_LENGTH, 0);
  }
  int32_t frame_step() const {
    return GetField<int32_t>(VT_FRAME_STEP, 0);
  }
  int32_t fft_size() const {
    return GetField<int32_t>(VT_FFT_SIZE, 0);
  }
  int32_t mel_bands() const {
    return GetField<int32_t>(VT_MEL_BANDS, 0);
  }
  float low_hz() const {
    return GetField<float>(VT_LOW_HZ, 0.0f);
  }
  float high_hz() const {
    return GetField<float>(VT_HIGH_HZ, 0.0f);
  }
  float log_offset() const {
    return GetField<float>(VT_LOG_OFFSET, 0.0f);
  }
  int32_t coefficients() const {
    return GetField<int32_t>(VT_COEFFICIENTS, 0);
  }
  uint8_t window() const {
    return GetField<uint8_t>(VT_WINDOW, 0);
  }
  uint8_t interpolation() const {
    return GetField<uint8_t>(VT_INTERPOLATION, 0);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyField<uint8_t>(verifier, VT_FRONT_END, 1) &&
           VerifyField<int32_t>(verifier, VT_WIDTH, 4) &&
           VerifyField<int32_t>(verifier, VT_HEIGHT, 4) &&
           VerifyField<int32_t>(verifier, VT_CHANNELS, 4) &&
           VerifyField<uint8_t>(verifier, VT_RESIZE, 1) &&
           VerifyField<int32_t>(verifier, VT_RESIZE_SHORTER, 4) &&
           VerifyField<uint8_t>(verifier, VT_BGR, 1) &&
           VerifyOffset(verifier, VT_SCALE) &&
           verifier.VerifyVector(scale()) &&
           VerifyOffset(verifier, VT_OFFSET) &&
           verifier.VerifyVector(offset()) &&
           VerifyField<int32_t>(verifier, VT_SAMPLE_RATE, 4) &&
           VerifyField<int32_t>(verifier, VT_SAMPLES, 4) &&
           VerifyField<uint8_t>(verifier, VT_NORMALIZE_PEAK, 1) &&
           VerifyField<int32_t>(verifier, VT_FRAME_LENGTH, 4) &&
           VerifyField<int32_t>(verifier, VT_FRAME_STEP, 4) &&
           VerifyField<int32_t>(verifier, VT_FFT_SIZE, 4) &&
           VerifyField<int32_t>(verifier, VT_MEL_BANDS, 4) &&
           VerifyField<float>(verifier, VT_LOW_HZ, 4) &&
           VerifyField<float>(verifier, VT_HIGH_HZ, 4) &&
           VerifyField<float>(verifier, VT_LOG_OFFSET, 4) &&
           VerifyField<int32_t>(verifier, VT_COEFFICIENTS, 4) &&
           VerifyField<uint8_t>(verifier, VT_WINDOW, 1) &&
           VerifyField<uint8_t>(verifier, VT_INTERPOLATION, 1) &&
           verifier.EndTable();
  }
};

struct PreprocessBuilder {
  typedef Preprocess Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_front_end(uint8_t front_end) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_FRONT_END, front_end, 0);
  }
  void add_width(int32_t width) {
    fbb_.AddElement<int32_t>(Preprocess::VT_WIDTH, width, 0);
  }
  void add_height(int32_t height) {
    fbb_.AddElement<int32_t>(Preprocess::VT_HEIGHT, height, 0);
  }
  void add_channels(int32_t channels) {
    fbb_.AddElement<int32_t>(Preprocess::VT_CHANNELS, channels, 0);
  }
  void add_resize(uint8_t resize) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_RESIZE, resize, 0);
  }
  void add_resize_shorter(int32_t resize_shorter) {
    fbb_.AddElement<int32_t>(Preprocess::VT_RESIZE_SHORTER, resize_shorter, 0);
  }
  void add_bgr(bool bgr) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_BGR, static_cast<uint8_t>(bgr), 0);
  }
  void add_scale(flatbuffers::Offset<flatbuffers::Vector<float>> scale) {
    fbb_.AddOffset(Preprocess::VT_SCALE, scale);
  }
  void add_offset(flatbuffers::Offset<flatbuffers::Vector<float>> offset) {
    fbb_.AddOffset(Preprocess::VT_OFFSET, offset);
  }
  void add_sample_rate(int32_t sample_rate) {
    fbb_.AddElement<int32_t>(Preprocess::VT_SAMPLE_RATE, sample_rate, 0);
  }
  void add_samples(int32_t samples) {
    fbb_.AddElement<int32_t>(Preprocess::VT_SAMPLES, samples, 0);
  }
  void add_normalize_peak(bool normalize_peak) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_NORMALIZE_PEAK, static_cast<uint8_t>(normalize_peak), 0);
  }
  void add_frame_length(int32_t frame_length) {
    fbb_.AddElement<int32_t>(Preprocess::VT_FRAME_LENGTH, frame_length, 0);
  }
  void add_frame_step(int32_t frame_step) {
    fbb_.AddElement<int32_t>(Preprocess::VT_FRAME_STEP, frame_step, 0);
  }
  void add_fft_size(int32_t fft_size) {
    fbb_.AddElement<int32_t>(Preprocess::VT_FFT_SIZE, fft_size, 0);
  }
  void add_mel_bands(int32_t mel_bands) {
    fbb_.AddElement<int32_t>(Preprocess::VT_MEL_BANDS, mel_bands, 0);
  }
  void add_low_hz(float low_hz) {
    fbb_.AddElement<float>(Preprocess::VT_LOW_HZ, low_hz, 0.0f);
  }
  void add_high_hz(float high_hz) {
    fbb_.AddElement<float>(Preprocess::VT_HIGH_HZ, high_hz, 0.0f);
  }
  void add_log_offset(float log_offset) {
    fbb_.AddElement<float>(Preprocess::VT_LOG_OFFSET, log_offset, 0.0f);
  }
  void add_coefficients(int32_t coefficients) {
    fbb_.AddElement<int32_t>(Preprocess::VT_COEFFICIENTS, coefficients, 0);
  }
  void add_window(uint8_t window) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_WINDOW, window, 0);
  }
  void add_interpolation(uint8_t interpolation) {
    fbb_.AddElement<uint8_t>(Preprocess::VT_INTERPOLATION, interpolation, 0);
  }
  explicit PreprocessBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Preprocess> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Preprocess>(end);
    return o;
  }
};

inline flatbuffers::Offset<Preprocess> CreatePreprocess(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint8_t front_end = 0,
    int32_t width = 0,
    int32_t height = 0,
    int32_t channels = 0,
    uint8_t resize = 0,
    int32_t resize_shorter = 0,
    bool bgr = false,
    flatbuffers::Offset<flatbuffers::Vector<float>> scale = 0,
    flatbuffers::Offset<flatbuffers::Vector<float>> offset = 0,
    int32_t sample_rate = 0,
    int32_t samples = 0,
    bool normalize_peak = false,
    int32_t frame_length = 0,
    int32_t frame_step = 0,
    int32_t fft_size = 0,
    int32_t mel_bands = 0,
    float low_hz = 0.0f,
    float high_hz = 0.0f,
    float log_offset = 0.0f,
    int32_t coefficients = 0,
    uint8_t window = 0,
    uint8_t interpolation = 0) {
  PreprocessBuilder builder_(_fbb);
  builder_.add_coefficients(coefficients);
  builder_.add_log_offset(log_offset);
  builder_.add_high_hz(high_hz);
  builder_.add_low_hz(low_hz);
  builder_.add_mel_bands(mel_bands);
  builder_.add_fft_size(fft_size);
  builder_.add_frame_step(frame_step);
  builder_.add_frame_length(frame_length);
  builder_.add_samples(samples);
  builder_.add_sample_rate(sample_rate);
  builder_.add_offset(offset);
  builder_.add_scale(scale);
  builder_.add_resize_shorter(resize_shorter);
  builder_.add_channels(channels);
  builder_.add_height(height);
  builder_.add_width(width);
  builder_.add_interpolation(interpolation);
  builder_.add_window(window);
  builder_.add_normalize_peak(normalize_peak);
  builder_.add_bgr(bgr);
  builder_.add_resize(resize);
  builder_.add_front_end(front_end);
  return builder_.Finish();
}

struct Preprocess::Traits {
  using type = Preprocess;
  static auto constexpr Create = CreatePreprocess;
};

inline flatbuffers::Offset<Preprocess> CreatePreprocessDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    uint8_t front_end = 0,
    int32_t width = 0,
    int32_t height = 0,
    int32_t channels = 0,
    uint8_t resize = 0,
    int32_t resize_shorter = 0,
    bool bgr = false,
    const std::vector<float> *scale = nullptr,
    const std::vector<float> *offset = nullptr,
    int32_t sample_rate = 0,
    int32_t samples = 0,
    bool normalize_peak = false,
    int32_t frame_length = 0,
    int32_t frame_step = 0,
    int32_t fft_size = 0,
    int32_t mel_bands = 0,
    float low_hz = 0.0f,
    float high_hz = 0.0f,
    float log_offset = 0.0f,
    int32_t coefficients = 0,
    uint8_t window = 0,
    uint8_t interpolation = 0) {
  auto scale__ = scale ? _fbb.CreateVector<float>(*scale) : 0;
  auto offset__ = offset ? _fbb.CreateVector<float>(*offset) : 0;
  return attune::format::CreatePreprocess(
      _fbb,
      front_end,
      width,
      height,
      channels,
      resize,
      resize_shorter,
      bgr,
      scale__,
      offset__,
      sample_rate,
      samples,
      normalize_peak,
      frame_length,
      frame_step,
      fft_size,
      mel_bands,
      low_hz,
      high_hz,
      log_offset,
      coefficients,
      window,
      interpolation);
}

struct Plan FLATBUFFERS_FINAL_CLASS : private flatbuffers::Table {
  typedef PlanBuilder Builder;
  struct Traits;
  enum FlatBuffersVTableOffset FLATBUFFERS_VTABLE_UNDERLYING_TYPE {
    VT_PRODUCER = 4,
    VT_MODEL_NAME = 6,
    VT_MODEL_HASH = 8,
    VT_SIGNATURE = 10,
    VT_REAL = 12,
    VT_LOSS = 14,
    VT_OPTIMIZER = 16,
    VT_SCHEME = 18,
    VT_CLASSES = 20,
    VT_CLASS_COUNT = 22,
    VT_PREPROCESS = 24,
    VT_PROGRAMS = 26,
    VT_PARAMETERS = 28,
    VT_CONSTANTS_BYTES = 30,
    VT_STATE_BYTES = 32,
    VT_ARENA_BYTES = 34,
    VT_OPTIONS = 36,
    VT_LABELS = 38
  };
  const flatbuffers::String *producer() const {
    return GetPointer<const flatbuffers::String *>(VT_PRODUCER);
  }
  const flatbuffers::String *model_name() const {
    return GetPointer<const flatbuffers::String *>(VT_MODEL_NAME);
  }
  uint64_t model_hash() const {
    return GetField<uint64_t>(VT_MODEL_HASH, 0);
  }
  uint64_t signature() const {
    return GetField<uint64_t>(VT_SIGNATURE, 0);
  }
  uint8_t real() const {
    return GetField<uint8_t>(VT_REAL, 0);
  }
  const flatbuffers::String *loss() const {
    return GetPointer<const flatbuffers::String *>(VT_LOSS);
  }
  const flatbuffers::String *optimizer() const {
    return GetPointer<const flatbuffers::String *>(VT_OPTIMIZER);
  }
  const flatbuffers::String *scheme() const {
    return GetPointer<const flatbuffers::String *>(VT_SCHEME);
  }
  const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *classes() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *>(VT_CLASSES);
  }
  int32_t class_count() const {
    return GetField<int32_t>(VT_CLASS_COUNT, 0);
  }
  const attune::format::Preprocess *preprocess() const {
    return GetPointer<const attune::format::Preprocess *>(VT_PREPROCESS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<attune::format::Program>> *programs() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<attune::format::Program>> *>(VT_PROGRAMS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<attune::format::Parameter>> *parameters() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<attune::format::Parameter>> *>(VT_PARAMETERS);
  }
  uint64_t constants_bytes() const {
    return GetField<uint64_t>(VT_CONSTANTS_BYTES, 0);
  }
  uint64_t state_bytes() const {
    return GetField<uint64_t>(VT_STATE_BYTES, 0);
  }
  uint64_t arena_bytes() const {
    return GetField<uint64_t>(VT_ARENA_BYTES, 0);
  }
  const flatbuffers::String *options() const {
    return GetPointer<const flatbuffers::String *>(VT_OPTIONS);
  }
  const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *labels() const {
    return GetPointer<const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *>(VT_LABELS);
  }
  bool Verify(flatbuffers::Verifier &verifier) const {
    return VerifyTableStart(verifier) &&
           VerifyOffset(verifier, VT_PRODUCER) &&
           verifier.VerifyString(producer()) &&
           VerifyOffset(verifier, VT_MODEL_NAME) &&
           verifier.VerifyString(model_name()) &&
           VerifyField<uint64_t>(verifier, VT_MODEL_HASH, 8) &&
           VerifyField<uint64_t>(verifier, VT_SIGNATURE, 8) &&
           VerifyField<uint8_t>(verifier, VT_REAL, 1) &&
           VerifyOffset(verifier, VT_LOSS) &&
           verifier.VerifyString(loss()) &&
           VerifyOffset(verifier, VT_OPTIMIZER) &&
           verifier.VerifyString(optimizer()) &&
           VerifyOffset(verifier, VT_SCHEME) &&
           verifier.VerifyString(scheme()) &&
           VerifyOffset(verifier, VT_CLASSES) &&
           verifier.VerifyVector(classes()) &&
           verifier.VerifyVectorOfStrings(classes()) &&
           VerifyField<int32_t>(verifier, VT_CLASS_COUNT, 4) &&
           VerifyOffset(verifier, VT_PREPROCESS) &&
           verifier.VerifyTable(preprocess()) &&
           VerifyOffset(verifier, VT_PROGRAMS) &&
           verifier.VerifyVector(programs()) &&
           verifier.VerifyVectorOfTables(programs()) &&
           VerifyOffset(verifier, VT_PARAMETERS) &&
           verifier.VerifyVector(parameters()) &&
           verifier.VerifyVectorOfTables(parameters()) &&
           VerifyField<uint64_t>(verifier, VT_CONSTANTS_BYTES, 8) &&
           VerifyField<uint64_t>(verifier, VT_STATE_BYTES, 8) &&
           VerifyField<uint64_t>(verifier, VT_ARENA_BYTES, 8) &&
           VerifyOffset(verifier, VT_OPTIONS) &&
           verifier.VerifyString(options()) &&
           VerifyOffset(verifier, VT_LABELS) &&
           verifier.VerifyVector(labels()) &&
           verifier.VerifyVectorOfStrings(labels()) &&
           verifier.EndTable();
  }
};

struct PlanBuilder {
  typedef Plan Table;
  flatbuffers::FlatBufferBuilder &fbb_;
  flatbuffers::uoffset_t start_;
  void add_producer(flatbuffers::Offset<flatbuffers::String> producer) {
    fbb_.AddOffset(Plan::VT_PRODUCER, producer);
  }
  void add_model_name(flatbuffers::Offset<flatbuffers::String> model_name) {
    fbb_.AddOffset(Plan::VT_MODEL_NAME, model_name);
  }
  void add_model_hash(uint64_t model_hash) {
    fbb_.AddElement<uint64_t>(Plan::VT_MODEL_HASH, model_hash, 0);
  }
  void add_signature(uint64_t signature) {
    fbb_.AddElement<uint64_t>(Plan::VT_SIGNATURE, signature, 0);
  }
  void add_real(uint8_t real) {
    fbb_.AddElement<uint8_t>(Plan::VT_REAL, real, 0);
  }
  void add_loss(flatbuffers::Offset<flatbuffers::String> loss) {
    fbb_.AddOffset(Plan::VT_LOSS, loss);
  }
  void add_optimizer(flatbuffers::Offset<flatbuffers::String> optimizer) {
    fbb_.AddOffset(Plan::VT_OPTIMIZER, optimizer);
  }
  void add_scheme(flatbuffers::Offset<flatbuffers::String> scheme) {
    fbb_.AddOffset(Plan::VT_SCHEME, scheme);
  }
  void add_classes(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> classes) {
    fbb_.AddOffset(Plan::VT_CLASSES, classes);
  }
  void add_class_count(int32_t class_count) {
    fbb_.AddElement<int32_t>(Plan::VT_CLASS_COUNT, class_count, 0);
  }
  void add_preprocess(flatbuffers::Offset<attune::format::Preprocess> preprocess) {
    fbb_.AddOffset(Plan::VT_PREPROCESS, preprocess);
  }
  void add_programs(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Program>>> programs) {
    fbb_.AddOffset(Plan::VT_PROGRAMS, programs);
  }
  void add_parameters(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Parameter>>> parameters) {
    fbb_.AddOffset(Plan::VT_PARAMETERS, parameters);
  }
  void add_constants_bytes(uint64_t constants_bytes) {
    fbb_.AddElement<uint64_t>(Plan::VT_CONSTANTS_BYTES, constants_bytes, 0);
  }
  void add_state_bytes(uint64_t state_bytes) {
    fbb_.AddElement<uint64_t>(Plan::VT_STATE_BYTES, state_bytes, 0);
  }
  void add_arena_bytes(uint64_t arena_bytes) {
    fbb_.AddElement<uint64_t>(Plan::VT_ARENA_BYTES, arena_bytes, 0);
  }
  void add_options(flatbuffers::Offset<flatbuffers::String> options) {
    fbb_.AddOffset(Plan::VT_OPTIONS, options);
  }
  void add_labels(flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> labels) {
    fbb_.AddOffset(Plan::VT_LABELS, labels);
  }
  explicit PlanBuilder(flatbuffers::FlatBufferBuilder &_fbb)
        : fbb_(_fbb) {
    start_ = fbb_.StartTable();
  }
  flatbuffers::Offset<Plan> Finish() {
    const auto end = fbb_.EndTable(start_);
    auto o = flatbuffers::Offset<Plan>(end);
    return o;
  }
};

inline flatbuffers::Offset<Plan> CreatePlan(
    flatbuffers::FlatBufferBuilder &_fbb,
    flatbuffers::Offset<flatbuffers::String> producer = 0,
    flatbuffers::Offset<flatbuffers::String> model_name = 0,
    uint64_t model_hash = 0,
    uint64_t signature = 0,
    uint8_t real = 0,
    flatbuffers::Offset<flatbuffers::String> loss = 0,
    flatbuffers::Offset<flatbuffers::String> optimizer = 0,
    flatbuffers::Offset<flatbuffers::String> scheme = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> classes = 0,
    int32_t class_count = 0,
    flatbuffers::Offset<attune::format::Preprocess> preprocess = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Program>>> programs = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<attune::format::Parameter>>> parameters = 0,
    uint64_t constants_bytes = 0,
    uint64_t state_bytes = 0,
    uint64_t arena_bytes = 0,
    flatbuffers::Offset<flatbuffers::String> options = 0,
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>> labels = 0) {
  PlanBuilder builder_(_fbb);
  builder_.add_arena_bytes(arena_bytes);
  builder_.add_state_bytes(state_bytes);
  builder_.add_constants_bytes(constants_bytes);
  builder_.add_signature(signature);
  builder_.add_model_hash(model_hash);
  builder_.add_labels(labels);
  builder_.add_options(options);
  builder_.add_parameters(parameters);
  builder_.add_programs(programs);
  builder_.add_preprocess(preprocess);
  builder_.add_class_count(class_count);
  builder_.add_classes(classes);
  builder_.add_scheme(scheme);
  builder_.add_optimizer(optimizer);
  builder_.add_loss(loss);
  builder_.add_model_name(model_name);
  builder_.add_producer(producer);
  builder_.add_real(real);
  return builder_.Finish();
}

struct Plan::Traits {
  using type = Plan;
  static auto constexpr Create = CreatePlan;
};

inline flatbuffers::Offset<Plan> CreatePlanDirect(
    flatbuffers::FlatBufferBuilder &_fbb,
    const char *producer = nullptr,
    const char *model_name = nullptr,
    uint64_t model_hash = 0,
    uint64_t signature = 0,
    uint8_t real = 0,
    const char *loss = nullptr,
    const char *optimizer = nullptr,
    const char *scheme = nullptr,
    const std::vector<flatbuffers::Offset<flatbuffers::String>> *classes = nullptr,
    int32_t class_count = 0,
    flatbuffers::Offset<attune::format::Preprocess> preprocess = 0,
    const std::vector<flatbuffers::Offset<attune::format::Program>> *programs = nullptr,
    const std::vector<flatbuffers::Offset<attune::format::Parameter>> *parameters = nullptr,
    uint64_t constants_bytes = 0,
    uint64_t state_bytes = 0,
    uint64_t arena_bytes = 0,
    const char *options = nullptr,
    const std::vector<flatbuffers::Offset<flatbuffers::String>> *labels = nullptr) {
  auto producer__ = producer ? _fbb.CreateString(producer) : 0;
  auto model_name__ = model_name ? _fbb.CreateString(model_name) : 0;
  auto loss__ = loss ? _fbb.CreateString(loss) : 0;
  auto optimizer__ = optimizer ? _fbb.CreateString(optimizer) : 0;
  auto scheme__ = scheme ? _fbb.CreateString(scheme) : 0;
  auto classes__ = classes ? _fbb.CreateVector<flatbuffers::Offset<flatbuffers::String>>(*classes) : 0;
  auto programs__ = programs ? _fbb.CreateVector<flatbuffers::Offset<attune::format::Program>>(*programs) : 0;
  auto parameters__ = parameters ? _fbb.CreateVector<flatbuffers::Offset<attune::format::Parameter>>(*parameters) : 0;
  auto options__ = options ? _fbb.CreateString(options) : 0;
  auto labels__ = labels ? _fbb.CreateVector<flatbuffers::Offset<flatbuffers::String>>(*labels) : 0;
  return attune::format::CreatePlan(
      _fbb,
      producer__,
      model_name__,
      model_hash,
      signature,
      real,
      loss__,
      optimizer__,
      scheme__,
      classes__,
      class_count,
      preprocess,
      programs__,
      parameters__,
      constants_bytes,
      state_bytes,
      arena_bytes,
      options__,
      labels__);
}

inline const attune::format::Plan *GetPlan(const void *buf) {
  return flatbuffers::GetRoot<attune::format::Plan>(buf);
}

inline const attune::format::Plan *GetSizePrefixedPlan(const void *buf) {
  return flatbuffers::GetSizePrefixedRoot<attune::format::Plan>(buf);
}

inline const char *PlanIdentifier() {
  return "ATTN";
}

inline bool PlanBufferHasIdentifier(const void *buf) {
  return flatbuffers::BufferHasIdentifier(
      buf, PlanIdentifier());
}

inline bool SizePrefixedPlanBufferHasIdentifier(const void *buf) {
  return flatbuffers::BufferHasIdentifier(
      buf, PlanIdentifier(), true);
}

inline bool VerifyPlanBuffer(
    flatbuffers::Verifier &verifier) {
  return verifier.VerifyBuffer<attune::format::Plan>(PlanIdentifier());
}

inline bool VerifySizePrefixedPlanBuffer(
    flatbuffers::Verifier &verifier) {
  return verifier.VerifySizePrefixedBuffer<attune::format::Plan>(PlanIdentifier());
}

inline void FinishPlanBuffer(
    flatbuffers::FlatBufferBuilder &fbb,
    flatbuffers::Offset<attune::format::Plan> root) {
  fbb.Finish(root, PlanIdentifier());
}

inline void FinishSizePrefixedPlanBuffer(
    flatbuffers::FlatBufferBuilder &fbb,
    flatbuffers::Offset<attune::format::Plan> root) {
  fbb.FinishSizePrefixed(root, PlanIdentifier());
}

}  // namespace format
}  // namespace attune

#endif  // FLATBUFFERS_GENERATED_PLAN_ATTUNE_FORMAT_H_
