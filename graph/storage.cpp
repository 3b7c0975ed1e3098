#include "graph/storage.h"

#include <algorithm>

#include "engine/plan.h"

namespace attune {
namespace {

constexpr int64_t align(int64_t bytes) {
  constexpr int64_t kAlign = static_cast<int64_t>(kTensorAlignment);
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

int64_t bytes_of(const Value& value) {
  return align(
      static_cast<int64_t>(dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements()))));
}

bool lives_in_arena(const Value& value) {
  return value.role == Role::input || value.role == Role::temporary;
}

}  // namespace

int64_t StorageMap::lower_bound(int steps) const {
  std::vector<int64_t> change(static_cast<size_t>(steps) + 3);
  for (const Storage& s : storages) {
    if (!s.in_arena) continue;
    change[static_cast<size_t>(s.first + 1)] += s.bytes;
    change[static_cast<size_t>(s.last + 2)] -= s.bytes;
  }
  int64_t alive = 0, most = 0;
  for (int64_t c : change) most = std::max(most, alive += c);
  return most;
}

StorageMap assign_storage(const Graph& graph) {
  const int steps = static_cast<int>(graph.nodes.size());
  StorageMap map;
  map.of_value.assign(graph.values.size(), -1);

  // The last step that reads a value, through the value itself only.
  std::vector<int> last_read(graph.values.size(), -1);
  for (int s = 0; s < steps; ++s)
    for (ValueId v : graph.nodes[static_cast<size_t>(s)].inputs)
      if (v != kNone) last_read[static_cast<size_t>(v)] = s;
  for (const Port& port : graph.outputs) last_read[static_cast<size_t>(port.value)] = steps;

  const auto open = [&](ValueId v, int first) {
    const Value& value = graph.value(v);
    map.of_value[static_cast<size_t>(v)] = static_cast<int>(map.storages.size());
    map.storages.push_back({v, bytes_of(value), first,
                            std::max(first, last_read[static_cast<size_t>(v)]),
                            lives_in_arena(value)});
  };
  const auto join = [&](ValueId v, int storage) {
    map.of_value[static_cast<size_t>(v)] = storage;
    Storage& s = map.storages[static_cast<size_t>(storage)];
    s.last = std::max(s.last, last_read[static_cast<size_t>(v)]);
  };

  for (const Port& port : graph.inputs) open(port.value, -1);
  // Views extend a storage's life beyond the reads of its first value, so follow them first: a
  // storage may be overwritten only where nothing in it is read later.
  std::vector<int> view_last = last_read;
  for (int s = steps - 1; s >= 0; --s) {
    const Node& node = graph.nodes[static_cast<size_t>(s)];
    if (node.op != Op::reshape) continue;
    int& last = view_last[static_cast<size_t>(node.inputs[0])];
    last = std::max(last, view_last[static_cast<size_t>(node.outputs[0])]);
  }

  for (int s = 0; s < steps; ++s) {
    const Node& node = graph.nodes[static_cast<size_t>(s)];
    for (ValueId v : node.inputs)
      if (v != kNone && map.of_value[static_cast<size_t>(v)] < 0) open(v, -1);
    const OpInfo& info = op_info(node.op);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId y = node.outputs[o];
      if (y == kNone) continue;
      const Value& value = graph.value(y);
      if (value.updates != kNone) {
        join(y, map.of_value[static_cast<size_t>(value.updates)]);
        continue;
      }
      if (node.op == Op::reshape) {
        join(y, map.of_value[static_cast<size_t>(node.inputs[0])]);
        continue;
      }
      int reuse = -1;
      for (size_t i = 0; o == 0 && i < node.inputs.size() && reuse < 0; ++i) {
        if (!(info.in_place >> i & 1) || node.inputs[i] == kNone) continue;
        const Value& x = graph.value(node.inputs[i]);
        if (x.dtype != value.dtype || x.shape != value.shape) continue;
        const int candidate = map.of_value[static_cast<size_t>(node.inputs[i])];
        if (!map.storages[static_cast<size_t>(candidate)].in_arena) continue;
        // Nothing that lies there may be read after this step.
        bool dies = true;
        for (size_t v = 0; v < graph.values.size(); ++v)
          dies &= map.of_value[v] != candidate || view_last[v] <= s;
        // Read twice by this node at different places would be read after being written.
        const auto reads = std::count(node.inputs.begin(), node.inputs.end(), node.inputs[i]);
        if (dies && reads == 1) reuse = candidate;
      }
      if (reuse >= 0)
        join(y, reuse);
      else
        open(y, s);
    }
  }
  return map;
}

}  // namespace attune
