#include "graph/plan/write_plan.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <span>

#include "engine/format/plan_generated.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

namespace fb = flatbuffers;

size_t align_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

std::vector<std::byte> stored_bytes(const Value& value) {
  if (is_real(value.dtype))
    return HostTensor::of_reals(value.dtype, value.shape, value.data->reals).bytes;
  return HostTensor::of_ints(value.dtype, value.shape, value.data->ints).bytes;
}

// A hash of what stored_bytes gives, without making it.
uint64_t stored_hash(const Value& value) {
  uint64_t hash = static_cast<uint64_t>(value.dtype);
  const auto add = [&](uint64_t bits) { hash = (hash ^ bits) * 0x9e3779b97f4a7c15u ^ hash >> 29; };
  for (const double x : value.data->reals)
    add(value.dtype == DType::f32 ? std::bit_cast<uint32_t>(static_cast<float>(x))
                                  : std::bit_cast<uint64_t>(x));
  for (const int64_t x : value.data->ints) add(static_cast<uint64_t>(x));
  return hash;
}

// A segment under construction; tensors start aligned. One that is only measured has no bytes.
class SegmentWriter {
 public:
  explicit SegmentWriter(bool only_measure) : only_measure_(only_measure) {}

  uint64_t append(const Value& value) {
    const uint64_t offset = align_up(size_, kTensorAlignment);
    size_ = offset + stored_size(value);
    if (only_measure_) return offset;
    bytes_.resize(offset);
    const std::vector<std::byte> bytes = stored_bytes(value);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return offset;
  }
  // The offset of a value's contents, appended unless they are there already.
  uint64_t share(const Value& value) {
    auto& places = by_hash_[{stored_hash(value), stored_size(value)}];
    for (uint64_t offset : places)
      if (only_measure_ || holds(offset, stored_bytes(value))) return offset;
    places.push_back(append(value));
    return places.back();
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  uint64_t size() const { return size_; }

 private:
  static size_t stored_size(const Value& value) {
    return dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements()));
  }
  bool holds(uint64_t offset, const std::vector<std::byte>& bytes) const {
    return std::memcmp(bytes_.data() + offset, bytes.data(), bytes.size()) == 0;
  }

  bool only_measure_;
  std::vector<std::byte> bytes_;
  uint64_t size_ = 0;
  std::map<std::pair<uint64_t, size_t>, std::vector<uint64_t>> by_hash_;
};

const Value* find_value(const Graph& graph, const std::string& name) {
  for (const Value& value : graph.values)
    if (value.name == name) return &value;
  return nullptr;
}

// Values that a step or a port has to do with.
std::vector<bool> used_by_steps(const Graph& graph) {
  std::vector<bool> used(graph.values.size());
  for (const auto* ports : {&graph.inputs, &graph.outputs})
    for (const Port& port : *ports) used[static_cast<size_t>(port.value)] = true;
  for (const Node& node : graph.nodes) {
    if (is_view(graph, node)) continue;
    for (const auto* ids : {&node.inputs, &node.outputs})
      for (ValueId v : *ids)
        if (v != kNone) used[static_cast<size_t>(v)] = true;
  }
  return used;
}

class PlanWriter {
 public:
  PlanWriter(const PlanContents& contents, bool only_measure)
      : contents_(contents), constants_(only_measure), state_(only_measure) {}

  std::vector<std::byte> write() {
    finish_table();
    return assemble();
  }

  PlanSizes measure() {
    finish_table();
    return {builder_.GetSize(), constants_.size(), state_bytes_, arena_bytes(),
            header().file_bytes};
  }

 private:
  void finish_table() {
    lay_out_state();
    std::vector<fb::Offset<format::Program>> programs;
    for (const PlanProgram& program : contents_.programs) programs.push_back(add_program(program));
    std::vector<fb::Offset<format::Parameter>> parameters;
    for (const PlanParameter& parameter : contents_.parameters)
      parameters.push_back(add_parameter(parameter));
    builder_.Finish(add_plan(programs, parameters), format::PlanIdentifier());
  }

  const Graph& any_graph() const { return contents_.programs.front().graph; }

  // Trained parameters first, then the optimizer's zeros, which the file need not hold.
  void lay_out_state() {
    for (const PlanParameter& parameter : contents_.parameters)
      state_offsets_[parameter.value_name] =
          state_.append(*find_value(any_graph(), parameter.value_name));
    state_bytes_ = state_.size();
    for (const PlanParameter& parameter : contents_.parameters)
      for (const std::string& slot : parameter.slot_value_names) {
        const Value* value = nullptr;
        for (const PlanProgram& program : contents_.programs)
          if (!value) value = find_value(program.graph, slot);
        state_bytes_ = align_up(state_bytes_, kTensorAlignment);
        state_offsets_[slot] = state_bytes_;
        state_bytes_ += dtype_bytes(value->dtype, static_cast<size_t>(value->shape.elements()));
      }
  }

  struct Place {
    format::Segment segment = format::Segment::none;
    uint64_t offset = 0;
  };
  Place place_of(const PlanProgram& program, ValueId id) {
    const Storage& storage = program.memory.storage.storages[static_cast<size_t>(
        program.memory.storage.of_value[static_cast<size_t>(id)])];
    const Value& root = program.graph.value(storage.root);
    if (storage.in_arena)
      return {format::Segment::arena, static_cast<uint64_t>(program.memory.offset_of(id))};
    if (root.role == Role::state || root.trained)
      return {format::Segment::state,
              state_offsets_.at(root.name) +
                  static_cast<uint64_t>(program.memory.storage.at[static_cast<size_t>(id)])};
    if (!root.data) throw_error("value {} has no contents (a bug)", root.name);
    return {format::Segment::constants, constants_.share(root)};
  }

  fb::Offset<format::Tensor> add_tensor(const PlanProgram& program, ValueId id) {
    const Value& value = program.graph.value(id);
    const Place place = place_of(program, id);
    std::vector<uint8_t> perm;
    if (!value.model_tensor.empty())
      perm.assign(value.model_perm.begin(), value.model_perm.begin() + value.shape.rank);
    return format::CreateTensor(
        builder_, builder_.CreateString(value.name), static_cast<uint8_t>(value.dtype),
        builder_.CreateVector(value.shape.dims, static_cast<size_t>(value.shape.rank)),
        place.segment, place.offset, builder_.CreateSharedString(value.model_tensor),
        builder_.CreateVector(perm));
  }

  fb::Offset<format::Program> add_program(const PlanProgram& program) {
    const Graph& graph = program.graph;
    std::vector<int32_t> index(graph.values.size(), -1);
    std::vector<fb::Offset<format::Tensor>> tensors;
    const std::vector<bool> used = used_by_steps(graph);
    for (size_t v = 0; v < graph.values.size(); ++v) {
      if (!used[v]) continue;
      index[v] = static_cast<int32_t>(tensors.size());
      tensors.push_back(add_tensor(program, static_cast<ValueId>(v)));
    }
    const auto indices = [&](const std::vector<ValueId>& ids) {
      std::vector<int32_t> list;
      for (ValueId id : ids) list.push_back(id == kNone ? -1 : index[static_cast<size_t>(id)]);
      return list;
    };
    std::vector<fb::Offset<format::Step>> steps;
    for (const Node& node : graph.nodes) {
      if (is_view(graph, node)) continue;  // the planner laid it where it would copy from
      std::vector<int32_t> ints;
      std::vector<double> reals;
      encode_attrs(node.attrs, &ints, &reals);
      steps.push_back(format::CreateStep(
          builder_, static_cast<uint16_t>(node.op), static_cast<uint8_t>(op_info(node.op).version),
          builder_.CreateString(node.name), builder_.CreateVector(indices(node.inputs)),
          builder_.CreateVector(indices(node.outputs)), builder_.CreateVector(ints),
          builder_.CreateVector(reals), static_cast<uint64_t>(op_macs(graph, node))));
    }
    const auto ports = [&](const std::vector<Port>& list) {
      std::vector<fb::Offset<format::Port>> result;
      for (const Port& port : list)
        result.push_back(format::CreatePort(builder_, builder_.CreateString(port.name),
                                            index[static_cast<size_t>(port.value)]));
      return builder_.CreateVector(result);
    };
    return format::CreateProgram(
        builder_, builder_.CreateString(program_name(program.kind)), program.batch,
        builder_.CreateVector(tensors), builder_.CreateVector(steps), ports(graph.inputs),
        ports(graph.outputs), static_cast<uint64_t>(program.memory.arena_bytes),
        static_cast<uint64_t>(program.memory.lower_bound));
  }

  fb::Offset<format::Parameter> add_parameter(const PlanParameter& parameter) {
    const Value& value = *find_value(any_graph(), parameter.value_name);
    const auto rank = static_cast<size_t>(value.shape.rank);
    const std::vector<uint8_t> perm(value.origin.perm.begin(), value.origin.perm.begin() + rank);
    const std::vector<int32_t> slice(parameter.slice.begin(), parameter.slice.end());
    std::vector<uint64_t> slots;
    for (const std::string& slot : parameter.slot_value_names)
      slots.push_back(state_offsets_.at(slot));
    return format::CreateParameter(
        builder_, builder_.CreateString(value.origin.tensor),
        builder_.CreateVector(value.origin.model_shape),
        builder_.CreateVector(value.origin.view_shape.dims, rank), builder_.CreateVector(perm),
        static_cast<uint8_t>(value.dtype), builder_.CreateVector(value.shape.dims, rank),
        state_offsets_.at(parameter.value_name), parameter.slice_axis, builder_.CreateVector(slice),
        builder_.CreateVector(slots), builder_.CreateVectorOfStrings(parameter.slot_names),
        value.fresh);
  }

  fb::Offset<format::Preprocess> add_preprocess() {
    const ImagePreprocess& image = contents_.preprocess.image;
    const MfccPreprocess& mfcc = contents_.preprocess.mfcc;
    return format::CreatePreprocess(
        builder_, static_cast<uint8_t>(contents_.preprocess.front_end), image.width, image.height,
        image.channels, static_cast<uint8_t>(image.resize), image.resize_shorter, image.bgr,
        builder_.CreateVector(image.scale, 3), builder_.CreateVector(image.offset, 3),
        mfcc.sample_rate, mfcc.samples, mfcc.normalize_peak, mfcc.frame_length, mfcc.frame_step,
        mfcc.fft_size, mfcc.mel_bands, mfcc.low_hz, mfcc.high_hz, mfcc.log_offset,
        mfcc.coefficients);
  }

  fb::Offset<format::Plan> add_plan(const std::vector<fb::Offset<format::Program>>& programs,
                                    const std::vector<fb::Offset<format::Parameter>>& parameters) {
    const auto preprocess = add_preprocess();
    return format::CreatePlan(
        builder_, builder_.CreateString("attune 0.1.0"),
        builder_.CreateString(contents_.model_name), contents_.model_hash, contents_.signature,
        static_cast<uint8_t>(contents_.real), builder_.CreateString(contents_.loss),
        builder_.CreateString(contents_.optimizer), builder_.CreateString(contents_.scheme),
        builder_.CreateVectorOfStrings(contents_.classes), contents_.class_count, preprocess,
        builder_.CreateVector(programs), builder_.CreateVector(parameters), constants_.size(),
        state_bytes_, arena_bytes(), builder_.CreateString(contents_.options));
  }

  uint64_t arena_bytes() const {
    int64_t bytes = 0;
    for (const PlanProgram& program : contents_.programs)
      bytes = std::max(bytes, program.memory.arena_bytes);
    return static_cast<uint64_t>(bytes);
  }

  // Where the parts lie in the file.
  PlanHeader header() const {
    PlanHeader header = {};
    std::memcpy(header.magic, kPlanMagic, sizeof(kPlanMagic));
    header.major = kPlanMajor, header.minor = kPlanMinor;
    uint64_t end = sizeof(PlanHeader);
    const auto add = [&](uint64_t bytes, uint64_t* offset, uint64_t* size) {
      *offset = align_up(end, kSegmentAlignment), *size = bytes;
      end = *offset + bytes;
    };
    add(builder_.GetSize(), &header.program_offset, &header.program_bytes);
    add(constants_.size(), &header.constants_offset, &header.constants_bytes);
    end += kSegmentSlack;
    add(state_.size(), &header.state_offset, &header.state_bytes);
    header.file_bytes = align_up(end, kSegmentAlignment);
    return header;
  }

  std::vector<std::byte> assemble() {
    PlanHeader head = header();
    std::vector<std::byte> file(head.file_bytes);
    const auto put = [&](uint64_t offset, const void* data, size_t bytes) {
      if (bytes > 0) std::memcpy(file.data() + offset, data, bytes);
    };
    put(head.program_offset, builder_.GetBufferPointer(), head.program_bytes);
    put(head.constants_offset, constants_.bytes().data(), head.constants_bytes);
    put(head.state_offset, state_.bytes().data(), head.state_bytes);
    head.checksum = hash64(std::span<const std::byte>(file).subspan(sizeof(PlanHeader)));
    put(0, &head, sizeof(head));
    return file;
  }

  const PlanContents& contents_;
  fb::FlatBufferBuilder builder_;
  SegmentWriter constants_, state_;
  uint64_t state_bytes_ = 0;
  std::map<std::string, uint64_t> state_offsets_;
};

}  // namespace

std::vector<std::byte> write_plan(const PlanContents& contents) {
  return PlanWriter(contents, false).write();
}

PlanSizes measure_plan(const PlanContents& contents) {
  return PlanWriter(contents, true).measure();
}

}  // namespace attune
