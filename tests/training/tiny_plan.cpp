#include "tests/training/tiny_plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "engine/format/plan_generated.h"
#include "kernels/op.h"

namespace attune {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

uint64_t align(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

struct AttrWriter {
  std::vector<int32_t>& ints;
  std::vector<double>& reals;
  void operator()(const char*, int32_t& field) { ints.push_back(field); }
  void operator()(const char*, bool& field) { ints.push_back(field); }
  void operator()(const char*, double& field) { reals.push_back(field); }
};

// Where things are in the state.
struct Place {
  uint64_t offset;
  std::vector<int32_t> shape;
};

class ProgramWriter {
 public:
  ProgramWriter(FlatBufferBuilder& builder, DType real) : builder_(builder), real_(real) {}

  int tensor(const std::string& name, DType dtype, std::vector<int32_t> shape,
             format::Segment segment = format::Segment::arena, uint64_t offset = 0) {
    size_t elements = 1;
    for (int32_t d : shape) elements *= static_cast<size_t>(d);
    if (segment == format::Segment::arena) {
      offset = arena_;
      arena_ += align(dtype_bytes(dtype, elements));
    }
    tensors_.push_back(format::CreateTensorDirect(
        builder_, name.c_str(), static_cast<uint8_t>(dtype), &shape, segment, offset));
    return static_cast<int>(tensors_.size()) - 1;
  }
  int real(const std::string& name, std::vector<int32_t> shape) {
    return tensor(name, real_, std::move(shape));
  }
  int state(const std::string& name, const Place& place) {
    return tensor(name, real_, place.shape, format::Segment::state, place.offset);
  }
  template <class A>
  void step(Op op, A attrs, std::vector<int32_t> inputs, std::vector<int32_t> outputs) {
    std::vector<int32_t> ints;
    std::vector<double> reals;
    attrs.visit(AttrWriter{ints, reals});
    steps_.push_back(format::CreateStepDirect(
        builder_, static_cast<uint16_t>(op), static_cast<uint8_t>(op_info(op).version),
        static_cast<uint8_t>(real_), op_name(op), &inputs, &outputs, &ints, &reals));
  }
  void input(const char* name, int tensor) { port(name, tensor, true); }
  void output(const char* name, int tensor) { port(name, tensor, false); }
  Offset<format::Program> finish(ProgramKind kind, int batch) {
    return format::CreateProgramDirect(builder_, static_cast<uint8_t>(kind), batch, &tensors_,
                                       &steps_, &ports_, arena_, arena_);
  }
  uint64_t arena_bytes() const { return arena_; }

 private:
  void port(const char* name, int tensor, bool fed) {
    const PortRole role = port_role(name, fed);
    ports_.push_back(format::CreatePortDirect(builder_, name, static_cast<uint8_t>(role), tensor,
                                              role == PortRole::label ? kTinyClasses : 0));
  }

  FlatBufferBuilder& builder_;
  DType real_;
  uint64_t arena_ = 0;
  std::vector<Offset<format::Tensor>> tensors_;
  std::vector<Offset<format::Step>> steps_;
  std::vector<Offset<format::Port>> ports_;
};

template <class T>
void put_values(std::vector<std::byte>& state, uint64_t offset, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const T value = static_cast<T>(values[i]);
    std::memcpy(state.data() + offset + i * sizeof(T), &value, sizeof(T));
  }
}

}  // namespace

double tiny_weight(int output, int input) {
  return 0.25 * (output - 1) + 0.125 * (input % 3) - 0.1;
}
double tiny_bias(int output) { return 0.05 * output; }

std::vector<std::byte> tiny_plan_bytes(const TinyOptions& options) {
  FlatBufferBuilder builder;
  const DType real = options.real;
  const int32_t trained = options.sliced ? 2 : kTinyClasses;
  const int slots = options.optimizer == "adam" ? 2 : options.optimizer == "momentum" ? 1 : 0;
  const char* const kSlotNames[2][2] = {{"velocity", ""}, {"m", "v"}};

  // state: w, b, the slots of w, the slots of b
  uint64_t state_bytes = 0;
  const auto place = [&](std::vector<int32_t> shape) {
    size_t elements = 1;
    for (int32_t d : shape) elements *= static_cast<size_t>(d);
    const uint64_t offset = state_bytes;
    state_bytes += align(dtype_bytes(real, elements));
    return Place{offset, std::move(shape)};
  };
  const Place w = place({kTinyClasses, kTinyFeatures}), b = place({kTinyClasses});
  std::vector<Place> w_slots, b_slots;
  for (int i = 0; i < slots; ++i) w_slots.push_back(place({trained, kTinyFeatures}));
  for (int i = 0; i < slots; ++i) b_slots.push_back(place({kTinyClasses}));
  std::vector<std::byte> initial(align(b.offset + dtype_bytes(real, kTinyClasses)));
  std::vector<double> weights, biases;
  for (int o = 0; o < kTinyClasses; ++o) {
    for (int i = 0; i < kTinyFeatures; ++i) weights.push_back(tiny_weight(o, i));
    biases.push_back(tiny_bias(o));
  }
  if (real == DType::f64) {
    put_values<double>(initial, w.offset, weights);
    put_values<double>(initial, b.offset, biases);
  } else {
    put_values<float>(initial, w.offset, weights);
    put_values<float>(initial, b.offset, biases);
  }
  std::vector<std::byte> constants(64);
  const int32_t channels[2] = {0, 2};
  std::memcpy(constants.data(), channels, sizeof(channels));

  uint64_t arena_bytes = 0;
  const auto program = [&](ProgramKind kind, int batch) {
    ProgramWriter p(builder, real);
    const int x = p.real("x", {batch, kTinyFeatures});
    p.input("x", x);
    const int wt = p.state("w", w), bt = p.state("b", b);
    const int logits = p.real("logits", {batch, kTinyClasses});
    p.step(Op::linear, LinearAttrs{}, {x, wt, bt}, {logits});
    if (kind == ProgramKind::predict) {
      const int probabilities = p.real("probabilities", {batch, kTinyClasses});
      p.step(Op::softmax, NoAttrs{}, {logits}, {probabilities});
      p.output("logits", logits);
      p.output("probabilities", probabilities);
    } else {
      const int labels = p.tensor("labels", DType::i32, {batch});
      const int example_weights = p.real("weights", {batch});
      p.input("labels", labels);
      p.input("weights", example_weights);
      const int loss = p.real("loss", {1}), correct = p.real("correct", {1});
      const int probabilities = p.real("p", {batch, kTinyClasses});
      p.step(Op::softmax_cross_entropy, NoAttrs{}, {logits, labels, example_weights},
             {loss, probabilities});
      p.step(Op::count_correct, NoAttrs{}, {logits, labels, example_weights}, {correct});
      p.output("loss", loss);
      p.output("correct", correct);
      if (kind == ProgramKind::train_step) {
        const int rate = p.real("learning_rate", {1});
        p.input("learning_rate", rate);
        const int dlogits = p.real("dlogits", {batch, kTinyClasses});
        p.step(Op::softmax_cross_entropy_grad, NoAttrs{}, {probabilities, labels, example_weights},
               {dlogits});
        int gradient = p.real("dw", {kTinyClasses, kTinyFeatures});
        p.step(Op::matmul, MatmulAttrs{true, false}, {dlogits, x}, {gradient});
        int indices = -1;
        if (options.sliced) {
          indices = p.tensor("channels", DType::i32, {2}, format::Segment::constants);
          const int narrow = p.real("dw_narrow", {2, kTinyFeatures});
          p.step(Op::gather, AxisAttrs{0}, {gradient, indices}, {narrow});
          gradient = narrow;
        }
        const int db_row = p.real("db_row", {1, kTinyClasses}), db = p.real("db", {kTinyClasses});
        p.step(Op::reduce, ReduceAttrs{1, false}, {dlogits}, {db_row});
        p.step(Op::reshape, NoAttrs{}, {db_row}, {db});
        if (options.keeps_gradients) {
          p.output(("grad:" + options.weight_name).c_str(), gradient);
          p.output("grad:fc.bias", db);
        }
        int step = -1;
        if (slots == 2) {
          step = p.tensor("step", DType::i32, {1});
          p.input("step", step);
        }
        const auto update = [&](int value, int grad, int index, const std::vector<Place>& places) {
          std::vector<int32_t> state;
          for (const Place& slot : places) state.push_back(p.state("slot", slot));
          if (slots == 0)
            p.step(Op::sgd, SgdAttrs{}, {value, grad, rate, index}, {value});
          else if (slots == 1)
            p.step(Op::momentum, MomentumAttrs{}, {value, grad, rate, index, state[0]},
                   {value, state[0]});
          else
            p.step(Op::adam, AdamAttrs{}, {value, grad, rate, index, state[0], state[1], step},
                   {value, state[0], state[1]});
        };
        update(wt, gradient, indices, w_slots);
        update(bt, db, -1, b_slots);
      }
    }
    arena_bytes = std::max(arena_bytes, p.arena_bytes());
    return p.finish(kind, batch);
  };
  std::vector<Offset<format::Program>> programs;
  programs.push_back(program(ProgramKind::train_step, options.train_batch));
  if (options.evaluates) programs.push_back(program(ProgramKind::evaluate, options.evaluate_batch));
  programs.push_back(program(ProgramKind::predict, 1));

  const auto parameter = [&](const std::string& name, std::vector<int64_t> model_shape,
                             std::vector<int32_t> view, std::vector<uint8_t> perm, const Place& at,
                             bool sliced, const std::vector<Place>& places) {
    std::vector<int32_t> slice;
    if (sliced) slice = {0, 2};
    std::vector<uint64_t> offsets;
    std::vector<Offset<flatbuffers::String>> names;
    for (int i = 0; i < slots; ++i) {
      offsets.push_back(places[static_cast<size_t>(i)].offset);
      names.push_back(builder.CreateString(kSlotNames[slots - 1][i]));
    }
    return format::CreateParameterDirect(builder, name.c_str(), &model_shape, &view, &perm,
                                         static_cast<uint8_t>(real), &at.shape, at.offset,
                                         sliced ? 0 : -1, &slice, &offsets, &names, false);
  };
  std::vector<Offset<format::Parameter>> parameters;
  parameters.push_back(parameter(options.weight_name, {kTinyFeatures, kTinyClasses},
                                 {kTinyFeatures, kTinyClasses}, {1, 0}, w, options.sliced,
                                 w_slots));
  parameters.push_back(
      parameter("fc.bias", {1, kTinyClasses}, {kTinyClasses}, {0}, b, false, b_slots));
  std::vector<Offset<flatbuffers::String>> classes;
  for (const char* name : {"ant", "bee", "cat"}) classes.push_back(builder.CreateString(name));
  builder.Finish(
      format::CreatePlanDirect(
          builder, "attune test", options.model_name.c_str(), options.model_hash, options.signature,
          static_cast<uint8_t>(real), "cross_entropy", options.optimizer.c_str(), "{}", &classes,
          kTinyClasses, 0, &programs, &parameters, constants.size(), state_bytes, arena_bytes),
      "ATTN");

  PlanHeader header = {};
  std::memcpy(header.magic, kPlanMagic, sizeof(kPlanMagic));
  header.major = kPlanMajor;
  header.minor = kPlanMinor;
  header.program_offset = align(sizeof(header));
  header.program_bytes = builder.GetSize();
  header.constants_offset = align(header.program_offset + header.program_bytes);
  header.constants_bytes = constants.size();
  header.state_offset = align(header.constants_offset + header.constants_bytes + kSegmentSlack);
  header.state_bytes = initial.size();
  header.file_bytes = align(header.state_offset + header.state_bytes + kSegmentSlack);
  std::vector<std::byte> file(header.file_bytes);
  std::memcpy(file.data() + header.program_offset, builder.GetBufferPointer(), builder.GetSize());
  std::memcpy(file.data() + header.constants_offset, constants.data(), constants.size());
  std::memcpy(file.data() + header.state_offset, initial.data(), initial.size());
  header.checksum = hash64(std::span<const std::byte>(file).subspan(sizeof(header)));
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

Tiny::Tiny(const TinyOptions& options) : memory_(nullptr, [](void* p) { std::free(p); }) {
  const std::vector<std::byte> bytes = tiny_plan_bytes(options);
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes.size())));
  std::memcpy(memory_.get(), bytes.data(), bytes.size());
  const Status loaded = Plan::from_memory({memory_.get(), bytes.size()}, "tiny.att", &plan_);
  REQUIRE_MESSAGE(loaded.is_ok(), loaded.message());
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  session_options.poison = true;
  const Status made = Session::create(plan_, session_options, &session_);
  REQUIRE_MESSAGE(made.is_ok(), made.message());
}

double TinyDataset::feature(int64_t index, int feature) {
  return std::sin(0.7 * static_cast<double>(index) + 1.3 * feature);
}

int32_t TinyDataset::label(int64_t index) {
  const double first = feature(index, 0);
  return first > 0.4 ? 0 : first < -0.4 ? 1 : 2;
}

Status TinyDataset::read(int64_t index, int field, std::span<std::byte> bytes) {
  if (index == broken) return Status::error("tiny: example %d is broken", static_cast<int>(index));
  const size_t wanted = field == kTargetField ? sizeof(int32_t) : dtype_bytes(real_, kTinyFeatures);
  if (field > 0 || bytes.size() != wanted)
    return Status::error("tiny: %zu bytes of field %d asked for", bytes.size(), field);
  if (field == kTargetField) {
    const int32_t class_number = index == mislabelled ? 3 : label(index);
    std::memcpy(bytes.data(), &class_number, sizeof(class_number));
    return Status::ok();
  }
  reads.push_back(index);
  for (int i = 0; i < kTinyFeatures; ++i) {
    const double value = factor * feature(index, i);
    if (real_ == DType::f64)
      reinterpret_cast<double*>(bytes.data())[i] = value;
    else
      reinterpret_cast<float*>(bytes.data())[i] = static_cast<float>(value);
  }
  return Status::ok();
}

std::string_view TinyDataset::describe(int64_t index) {
  return description_ = "tiny[" + std::to_string(index) + "]";
}

}  // namespace attune
