#include "graph/write_plan.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/plan_generated.h"
#include "graph/error.h"
#include "graph/interpret.h"
#include "graph/rules.h"

namespace attune {
namespace {

namespace fb = flatbuffers;

size_t align_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

std::vector<std::byte> stored_bytes(const Value& value) {
  if (is_real(value.dtype))
    return HostTensor::of_reals(value.dtype, value.shape, value.data->reals).bytes;
  return HostTensor::of_ints(value.dtype, value.shape, value.data->ints).bytes;
}

// Bytes of a segment under construction; tensors start aligned.
class SegmentWriter {
 public:
  uint64_t append(const std::vector<std::byte>& bytes) {
    bytes_.resize(align_up(bytes_.size(), kTensorAlignment));
    const uint64_t offset = bytes_.size();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return offset;
  }
  // The offset of these bytes, appended unless they are there already.
  uint64_t share(const std::vector<std::byte>& bytes) {
    auto& places = by_hash_[hash64(bytes)];
    for (uint64_t offset : places)
      if (offset + bytes.size() <= bytes_.size() &&
          std::memcmp(bytes_.data() + offset, bytes.data(), bytes.size()) == 0)
        return offset;
    places.push_back(append(bytes));
    return places.back();
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::map<uint64_t, std::vector<uint64_t>> by_hash_;
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
  explicit PlanWriter(const PlanContents& contents) : contents_(contents) {}

  std::vector<std::byte> write() {
    lay_out_state();
    std::vector<fb::Offset<format::Program>> programs;
    for (const PlanProgram& program : contents_.programs) programs.push_back(add_program(program));
    std::vector<fb::Offset<format::Parameter>> parameters;
    for (const PlanParameter& parameter : contents_.parameters)
      parameters.push_back(add_parameter(parameter));
    builder_.Finish(add_plan(programs, parameters), format::PlanIdentifier());
    return assemble();
  }

 private:
  const Graph& any_graph() const { return contents_.programs.front().graph; }

  // Trained parameters first, then the optimizer's zeros, which the file need not hold.
  void lay_out_state() {
    for (const PlanParameter& parameter : contents_.parameters)
      state_offsets_[parameter.value_name] =
          state_.append(stored_bytes(*find_value(any_graph(), parameter.value_name)));
    state_bytes_ = state_.bytes().size();
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
      return {format::Segment::state, state_offsets_.at(root.name)};
    if (!root.data) throw_error("value {} has no contents (a bug)", root.name);
    return {format::Segment::constants, constants_.share(stored_bytes(root))};
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
      const auto macs = op_rules(node.op).macs;
      steps.push_back(format::CreateStep(
          builder_, static_cast<uint16_t>(node.op), static_cast<uint8_t>(op_info(node.op).version),
          builder_.CreateString(node.name), builder_.CreateVector(indices(node.inputs)),
          builder_.CreateVector(indices(node.outputs)), builder_.CreateVector(ints),
          builder_.CreateVector(reals), static_cast<uint64_t>(macs ? macs(graph, node) : 0)));
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
    int64_t arena_bytes = 0;
    for (const PlanProgram& program : contents_.programs)
      arena_bytes = std::max(arena_bytes, program.memory.arena_bytes);
    const auto preprocess = add_preprocess();
    return format::CreatePlan(
        builder_, builder_.CreateString("attune 0.1.0"),
        builder_.CreateString(contents_.model_name), contents_.model_hash, contents_.signature,
        static_cast<uint8_t>(contents_.real), builder_.CreateString(contents_.loss),
        builder_.CreateString(contents_.optimizer), builder_.CreateString(contents_.scheme),
        builder_.CreateVectorOfStrings(contents_.classes), contents_.class_count, preprocess,
        builder_.CreateVector(programs), builder_.CreateVector(parameters),
        constants_.bytes().size(), state_bytes_, static_cast<uint64_t>(arena_bytes),
        builder_.CreateString(contents_.options));
  }

  std::vector<std::byte> assemble() {
    std::vector<std::byte> file(sizeof(PlanHeader));
    PlanHeader header = {};
    std::memcpy(header.magic, kPlanMagic, sizeof(kPlanMagic));
    header.major = kPlanMajor, header.minor = kPlanMinor;
    const auto add = [&](const void* data, size_t bytes, uint64_t* offset, uint64_t* size) {
      file.resize(align_up(file.size(), kSegmentAlignment));
      *offset = file.size(), *size = bytes;
      const auto* begin = static_cast<const std::byte*>(data);
      file.insert(file.end(), begin, begin + bytes);
    };
    add(builder_.GetBufferPointer(), builder_.GetSize(), &header.program_offset,
        &header.program_bytes);
    add(constants_.bytes().data(), constants_.bytes().size(), &header.constants_offset,
        &header.constants_bytes);
    file.resize(file.size() + kSegmentSlack);
    add(state_.bytes().data(), state_.bytes().size(), &header.state_offset, &header.state_bytes);
    file.resize(align_up(file.size(), kSegmentAlignment));
    header.file_bytes = file.size();
    header.checksum = hash64(std::span<const std::byte>(file).subspan(sizeof(PlanHeader)));
    std::memcpy(file.data(), &header, sizeof(header));
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
  return PlanWriter(contents).write();
}

}  // namespace attune
