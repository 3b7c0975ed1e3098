#include "sparse_update/pipeline/largest_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph/rules/cut.h"
#include "graph/rules/rules.h"
#include "sparse_update/number_text.h"

namespace attune {
namespace {

// Tensors or steps, and what they take.
using Items = std::vector<std::pair<std::string, uint64_t>>;

std::string largest(Items items, size_t count) {
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (items.size() > count) items.resize(count);
  std::string text;
  for (const auto& [name, amount] : items)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count_text(amount));
  return text.empty() ? "nothing" : text;
}

int64_t bytes_alive(const Storage& storage, int step) {
  int64_t bytes = 0;
  for (const StorageRange& range : storage.ranges)
    for (const Life& life : range.lives)
      if (life.first <= step && step <= life.last) bytes += range.bytes;
  return bytes;
}

}  // namespace

int fullest_step(const PlanProgram& program) {
  const auto alive =
      program.memory.storage.live_bytes(static_cast<int>(program.graph.nodes.size()));
  return static_cast<int>(std::max_element(alive.begin(), alive.end()) - alive.begin()) - 1;
}

std::string largest_in_arena(const PlanContents& contents, size_t count) {
  const auto program = std::max_element(contents.programs.begin(), contents.programs.end(),
                                        [](const PlanProgram& a, const PlanProgram& b) {
                                          return a.memory.arena_bytes < b.memory.arena_bytes;
                                        });
  if (program == contents.programs.end()) return largest({}, count);
  const int step = fullest_step(*program);
  Items tensors;
  for (const Storage& s : program->memory.storage.storages)
    if (const int64_t bytes = s.in_arena ? bytes_alive(s, step) : 0)
      tensors.emplace_back(program->graph.value(s.root).name, bytes);
  const std::string text = largest(std::move(tensors), count);
  const auto& nodes = program->graph.nodes;
  const bool in_step = step >= 0 && step < static_cast<int>(nodes.size());
  const std::string place = in_step ? nodes[static_cast<size_t>(step)].name : "";
  if (place.empty()) return text;
  return fmt::format("{} at {} of {}", text, place, program_name(program->kind));
}

std::string largest_in_flash(const PlanContents& contents, size_t count) {
  std::map<std::string, uint64_t> bytes;  // programs share what has one name
  for (const PlanProgram& program : contents.programs)
    for (size_t v = 0; v < program.graph.values.size(); ++v) {
      const Value& value = program.graph.values[v];
      if (value.data && program.memory.storage.of_value[v] >= 0)
        bytes[value.name] = static_cast<uint64_t>(value.bytes());
    }
  return largest({bytes.begin(), bytes.end()}, count);
}

std::string largest_in_time(const PlanContents& contents, size_t count) {
  Items items;
  for (const PlanProgram& program : contents.programs)
    if (program.kind == ProgramKind::train_step)
      for (size_t n = 0; n < program.graph.nodes.size(); ++n) {
        const Node& node = program.graph.nodes[n];
        const int64_t runs = program.graph.repeat.runs_of(static_cast<NodeId>(n));
        if (const int64_t macs = op_macs(program.graph, node))
          items.emplace_back(node.name, runs * macs);
      }
  return largest(std::move(items), count);
}

}  // namespace attune
