#include "sparse_update/pipeline/largest_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph/rules/cut.h"
#include "graph/rules/rules.h"
#include "sparse_update/number_text.h"

namespace attune {
namespace {

std::vector<LargestItem> largest(std::vector<LargestItem> items, size_t count) {
  std::stable_sort(items.begin(), items.end(),
                   [](const LargestItem& a, const LargestItem& b) { return a.amount > b.amount; });
  if (items.size() > count) items.resize(count);
  return items;
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

ArenaPeak largest_in_arena(const PlanContents& contents, size_t count) {
  ArenaPeak peak;
  const auto program = std::max_element(contents.programs.begin(), contents.programs.end(),
                                        [](const PlanProgram& a, const PlanProgram& b) {
                                          return a.memory.arena_bytes < b.memory.arena_bytes;
                                        });
  if (program == contents.programs.end()) return peak;
  const int step = fullest_step(*program);
  peak.program = program_name(program->kind);
  const auto& nodes = program->graph.nodes;
  if (step >= 0 && step < static_cast<int>(nodes.size()))
    peak.step = nodes[static_cast<size_t>(step)].name;
  std::vector<LargestItem> tensors;
  for (const Storage& s : program->memory.storage.storages)
    if (const int64_t bytes = s.in_arena ? bytes_alive(s, step) : 0)
      tensors.push_back({program->graph.value(s.root).name, static_cast<uint64_t>(bytes)});
  peak.tensors = largest(std::move(tensors), count);
  return peak;
}

std::vector<LargestItem> largest_in_flash(const PlanContents& contents, size_t count) {
  std::map<std::string, uint64_t> bytes;  // programs share what has one name
  for (const PlanProgram& program : contents.programs)
    for (size_t v = 0; v < program.graph.values.size(); ++v) {
      const Value& value = program.graph.values[v];
      if (value.data && program.memory.storage.of_value[v] >= 0)
        bytes[value.name] = static_cast<uint64_t>(value.bytes());
    }
  std::vector<LargestItem> items;
  for (const auto& [name, amount] : bytes) items.push_back({name, amount});
  return largest(std::move(items), count);
}

std::vector<LargestItem> largest_in_time(const PlanContents& contents, size_t count) {
  std::vector<LargestItem> items;
  for (const PlanProgram& program : contents.programs) {
    if (program.kind != ProgramKind::train_step) continue;
    for (const Node& node : program.graph.nodes)
      if (const int64_t macs = op_macs(program.graph, node))
        items.push_back({node.name, static_cast<uint64_t>(macs)});
  }
  return largest(std::move(items), count);
}

std::string items_text(const std::vector<LargestItem>& items) {
  std::string text;
  for (const LargestItem& item : items)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", item.name, count_text(item.amount));
  return text.empty() ? "nothing" : text;
}

std::string items_text(const ArenaPeak& peak) {
  std::string text = items_text(peak.tensors);
  if (!peak.step.empty()) text += fmt::format(" at {} of {}", peak.step, peak.program);
  return text;
}

}  // namespace attune
