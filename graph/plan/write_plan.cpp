#include "graph/plan/write_plan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <unordered_map>

#include "attune/port.h"
#include "engine/format/plan_generated.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

namespace fb = flatbuffers;

size_t align_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

size_t stored_size(const Value& value) { return static_cast<size_t>(value.bytes()); }

// Calls f(offset, bytes) for a value's contents as the plan stores them, some at a time.
template <class F>
void each_stored_block(const Value& value, F&& f) {
  if (!is_real(value.dtype)) {
    const auto ints = HostTensor::of_ints(value.dtype, value.shape, value.data->ints());
    return f(size_t{0}, std::span<const std::byte>(ints.bytes));
  }
  value.data->each_block([&](size_t first, std::span<const double> block) {
    if (value.dtype == DType::f64) return f(first * sizeof(double), std::as_bytes(block));
    float narrow[Data::kBlock];
    std::transform(block.begin(), block.end(), narrow,
                   [](double x) { return static_cast<float>(x); });
    f(first * sizeof(float), std::as_bytes(std::span<const float>(narrow, block.size())));
  });
}

void store(const Value& value, std::byte* to) {
  each_stored_block(value, [&](size_t offset, std::span<const std::byte> bytes) {
    std::memcpy(to + offset, bytes.data(), bytes.size());
  });
}

uint64_t stored_hash(const Value& value) {
  uint64_t hash = hash64({}, static_cast<uint64_t>(value.dtype));
  each_stored_block(value,
                    [&](size_t, std::span<const std::byte> bytes) { hash = hash64(bytes, hash); });
  return hash;
}

bool stored_equal(const Value& a, const Value& b) {
  std::vector<std::byte> bytes(stored_size(a));
  store(a, bytes.data());
  bool equal = true;
  each_stored_block(b, [&](size_t offset, std::span<const std::byte> part) {
    equal = equal && std::memcmp(bytes.data() + offset, part.data(), part.size()) == 0;
  });
  return equal;
}

// A segment under construction: which contents lie where. Tensors start aligned.
class SegmentWriter {
 public:
  uint64_t append(const Value& value) {
    const uint64_t offset = align_up(size_, kTensorAlignment);
    placed_.push_back({offset, &value});
    size_ = offset + stored_size(value);
    return offset;
  }
  // The offset of a value's contents, appended unless they are there already.
  uint64_t share(const Value& value) {
    // Most that is shared is one view of the same bytes, and read once.
    auto& views = by_bytes_[value.data->bytes()];
    for (const Placed& placed : views)
      if (placed.value->dtype == value.dtype && placed.value->data->same_view(*value.data))
        return placed.offset;
    auto& places = by_hash_[{stored_hash(value), stored_size(value)}];
    const auto found = std::find_if(places.begin(), places.end(), [&](const Placed& placed) {
      return stored_equal(*placed.value, value);
    });
    if (found == places.end()) {
      places.push_back({append(value), &value});
      views.push_back(places.back());
    } else {
      views.push_back({found->offset, &value});
    }
    return views.back().offset;
  }
  uint64_t size() const { return size_; }
  void write(std::byte* segment) const {
    for (const Placed& placed : placed_) store(*placed.value, segment + placed.offset);
  }

 private:
  struct Placed {
    uint64_t offset;
    const Value* value;
  };
  uint64_t size_ = 0;
  std::vector<Placed> placed_;
  std::map<std::pair<uint64_t, size_t>, std::vector<Placed>> by_hash_;
  std::unordered_map<const void*, std::vector<Placed>> by_bytes_;
};

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

// Of integers that choose rows of a table, wherever they pass through on their way there: how many
// rows the smallest table has. Of other values 0.
std::vector<int32_t> id_limits(const Graph& graph) {
  std::vector<int32_t> limits(graph.values.size());
  const auto lower = [&](ValueId id, int32_t limit) {
    int32_t& known = limits[static_cast<size_t>(id)];
    if (limit > 0 && (known == 0 || limit < known)) known = limit;
  };
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node)
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      const ValueId in = node->inputs[i];
      if (in == kNone || graph.value(in).dtype != DType::i32) continue;
      if (node->op == Op::take)
        lower(in, graph.shape(node->inputs[0])[0]);
      else if (const ValueId out = node->output(0); graph.value(out).dtype == DType::i32)
        lower(in, limits[static_cast<size_t>(out)]);
    }
  return limits;
}

class PlanWriter {
 public:
  explicit PlanWriter(const PlanContents& contents) : contents_(contents) {
    for (const PlanProgram& program : contents.programs)
      for (const Value& value : program.graph.values) values_.try_emplace(value.name, &value);
  }

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

  // Trained parameters first, then the optimizer's zeros, which the file need not hold.
  void lay_out_state() {
    for (const PlanParameter& parameter : contents_.parameters)
      state_offsets_[parameter.value_name] = state_.append(*values_.at(parameter.value_name));
    state_bytes_ = state_.size();
    for (const PlanParameter& parameter : contents_.parameters)
      for (const std::string& slot : parameter.slot_value_names) {
        state_bytes_ = align_up(state_bytes_, kTensorAlignment);
        state_offsets_[slot] = state_bytes_;
        state_bytes_ += stored_size(*values_.at(slot));
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
    // A part of a parameter or a constant lies within it.
    const auto at = static_cast<uint64_t>(program.memory.storage.at[static_cast<size_t>(id)]);
    if (root.role == Role::state || root.trained)
      return {format::Segment::state, state_offsets_.at(root.name) + at};
    if (!root.data) throw_error("value {} has no contents (a bug)", root.name);
    return {format::Segment::constants, constants_.share(root) + at};
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
        builder_.CreateVector(perm),
        static_cast<uint64_t>(advance_of(program.graph, program.memory.storage, id)));
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
    int32_t repeat_begin = 0, repeat_end = 0;
    for (NodeId n = 0; n < static_cast<NodeId>(graph.nodes.size()); ++n) {
      const Node& node = graph.nodes[static_cast<size_t>(n)];
      if (is_view(graph, node)) continue;  // the planner laid it where it would copy from
      repeat_begin += n < graph.repeat.begin;
      repeat_end += n < graph.repeat.end;
      std::vector<int32_t> ints;
      std::vector<double> reals;
      encode_attrs(node.attrs, &ints, &reals);
      const int kernel =
          program.kernels.empty() ? 0 : 1 + static_cast<int>(program.kernels[steps.size()]);
      steps.push_back(format::CreateStep(
          builder_, static_cast<uint16_t>(node.op), static_cast<uint8_t>(op_info(node.op).version),
          static_cast<uint8_t>(compute_dtype(graph, node)), builder_.CreateString(node.name),
          builder_.CreateVector(indices(node.inputs)), builder_.CreateVector(indices(node.outputs)),
          builder_.CreateVector(ints), builder_.CreateVector(reals),
          static_cast<uint64_t>(op_macs(graph, node)), static_cast<uint8_t>(kernel)));
    }
    std::vector<fb::Offset<format::Port>> ports;
    const std::vector<int32_t> limits = id_limits(graph);
    const auto add_ports = [&](const std::vector<Port>& list, bool fed) {
      for (const Port& port : list) {
        const PortRole role = port_role(port.name, fed);
        const auto value = static_cast<size_t>(port.value);
        const int32_t limit = role == PortRole::label ? contents_.class_count : limits[value];
        ports.push_back(format::CreatePort(builder_, builder_.CreateString(port.name),
                                           static_cast<uint8_t>(role), index[value], limit));
      }
    };
    add_ports(graph.inputs, true);
    add_ports(graph.outputs, false);
    return format::CreateProgram(builder_, static_cast<uint8_t>(program.kind), program.batch,
                                 builder_.CreateVector(tensors), builder_.CreateVector(steps),
                                 builder_.CreateVector(ports),
                                 static_cast<uint64_t>(program.memory.arena_bytes),
                                 static_cast<uint64_t>(program.memory.lower_bound), repeat_begin,
                                 repeat_end, graph.repeat.count);
  }

  fb::Offset<format::Parameter> add_parameter(const PlanParameter& parameter) {
    const Value& value = *values_.at(parameter.value_name);
    const auto rank = static_cast<size_t>(value.shape.rank);
    Shape whole = value.shape;
    for (int axis = 0; axis < whole.rank; ++axis)
      whole[axis] = value.origin.view_shape[value.origin.perm[static_cast<size_t>(axis)]];
    const bool narrow = !parameter.frozen_value_name.empty();
    const std::vector<uint8_t> perm(value.origin.perm.begin(), value.origin.perm.begin() + rank);
    const std::vector<int32_t> slice(parameter.slice.begin(), parameter.slice.end());
    std::vector<uint64_t> slots;
    for (const std::string& slot : parameter.slot_value_names)
      slots.push_back(state_offsets_.at(slot));
    return format::CreateParameter(
        builder_, builder_.CreateString(value.origin.tensor),
        builder_.CreateVector(value.origin.model_shape),
        builder_.CreateVector(value.origin.view_shape.dims, rank), builder_.CreateVector(perm),
        static_cast<uint8_t>(value.dtype), builder_.CreateVector(whole.dims, rank),
        state_offsets_.at(parameter.value_name), parameter.slice_axis, builder_.CreateVector(slice),
        builder_.CreateVector(slots), builder_.CreateVectorOfStrings(parameter.slot_names),
        value.fresh, value.role == Role::statistic, narrow,
        narrow ? constants_.share(*values_.at(parameter.frozen_value_name)) : 0);
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
        mfcc.coefficients, static_cast<uint8_t>(mfcc.window),
        static_cast<uint8_t>(image.interpolation));
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
        state_bytes_, arena_bytes(), builder_.CreateString(contents_.options),
        contents_.labels.empty() ? 0 : builder_.CreateVectorOfStrings(contents_.labels));
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
    std::memcpy(file.data() + head.program_offset, builder_.GetBufferPointer(), head.program_bytes);
    constants_.write(file.data() + head.constants_offset);
    state_.write(file.data() + head.state_offset);
    head.checksum = hash64(std::span<const std::byte>(file).subspan(sizeof(PlanHeader)));
    std::memcpy(file.data(), &head, sizeof(head));
    return file;
  }

  const PlanContents& contents_;
  fb::FlatBufferBuilder builder_;
  SegmentWriter constants_, state_;
  uint64_t state_bytes_ = 0;
  std::map<std::string, uint64_t> state_offsets_;
  std::unordered_map<std::string_view, const Value*> values_;  // by name, of all programs
};

}  // namespace

std::vector<std::byte> write_plan(const PlanContents& contents) {
  return PlanWriter(contents).write();
}

PlanSizes measure_plan(const PlanContents& contents) { return PlanWriter(contents).measure(); }

}  // namespace attune
