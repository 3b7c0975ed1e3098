#include "graph/memory/storage.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "attune/plan.h"
#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"

namespace attune {
namespace {

// Of a storage of so many bytes.
int64_t alignment_of(int64_t bytes) {
  const auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes)));
  return std::min(power, static_cast<int64_t>(kTensorAlignment));
}

bool lives_in_arena(const Value& value) {
  return value.role == Role::input || value.role == Role::temporary;
}

class Assignment {
 public:
  Assignment(const Graph& graph, std::span<const int> order)
      : graph_(graph),
        order_(order),
        steps_(static_cast<int>(graph.nodes.size())),
        of_root_(graph.values.size(), -1),
        lives_(graph.values.size()),
        next_member_(graph.values.size(), kNone),
        next_read_(graph.values.size(), kNone),
        read_again_(graph.values.size(), false),
        members_last_(graph.values.size(), -1) {
    map_.of_value.assign(graph.values.size(), -1);
    map_.at.assign(graph.values.size(), 0);
    find_last_reads();
  }

  StorageMap run() {
    for (const Port& port : graph_.inputs) open(port.value, -1);
    for (int s = 0; s < steps_; ++s) run_node(node(s), s);
    for (const auto& [before, after] : graph_.repeat.carried)
      if (map_.of_value[index(before)] != map_.of_value[index(after)] ||
          map_.at[index(before)] != map_.at[index(after)])
        throw_error("bad graph (a bug of Attune): '{}' does not lie where '{}' does",
                    graph_.value(after).name, graph_.value(before).name);
    for (size_t i = 0; i < map_.storages.size(); ++i) finish(map_.storages[i], members_[i].first);
    return std::move(map_);
  }

 private:
  // What lies in a storage: a list through `next_member_`, and one through `next_read_` of those
  // that may still be read.
  struct Members {
    ValueId first = kNone, last = kNone;
    ValueId read = kNone;
    int busy_until = -1;  // the last step that reads or writes any of them
  };

  size_t index(ValueId v) const { return static_cast<size_t>(v); }
  Members& members_of(ValueId v) { return members_[static_cast<size_t>(map_.of_value[index(v)])]; }

  const Node& node(int step) const {
    const auto s = static_cast<size_t>(step);
    return graph_.nodes[order_.empty() ? s : static_cast<size_t>(order_[s])];
  }

  void find_last_reads() {
    last_read_.assign(graph_.values.size(), -1);
    read_whole_.assign(graph_.values.size(), false);
    for (int s = 0; s < steps_; ++s) {
      const Node& at = node(s);
      for (ValueId v : at.inputs) {
        if (v == kNone) continue;
        last_read_[index(v)] = s;
        if (at.op == Op::slice)
          slices_[v].push_back(s);
        else
          read_whole_[index(v)] = true;
      }
      for (const auto* ids : {&at.inputs, &at.outputs})
        for (ValueId v : *ids)
          if (v != kNone && graph_.value(v).lies_in != kNone)
            members_last_[index(graph_.value(v).lies_in)] = s;
    }
    for (const Port& port : graph_.outputs) {
      last_read_[index(port.value)] = steps_;
      read_whole_[index(port.value)] = true;
    }
    if (graph_.repeat.count > 1) keep_for_repetitions();
  }

  // What repeated nodes read and do not make, they read again: it is held until they have run. Of
  // a batch, the first repetition's examples need not be (add_pieces).
  void keep_for_repetitions() {
    const Repeat& repeat = graph_.repeat;
    std::vector<bool> made_anew(graph_.values.size());
    for (NodeId n = repeat.begin; n < repeat.end; ++n)
      for (ValueId v : graph_.nodes[static_cast<size_t>(n)].outputs)
        if (v != kNone) made_anew[index(v)] = true;
    for (const auto& [before, after] : repeat.carried) made_anew[index(before)] = true;
    for (NodeId n = repeat.begin; n < repeat.end; ++n) {
      const Node& node = graph_.nodes[static_cast<size_t>(n)];
      for (ValueId v : node.inputs) {
        if (v == kNone || made_anew[index(v)]) continue;
        if (last_read_[index(v)] < repeat.end) {
          last_read_[index(v)] = repeat.end;
          read_again_[index(v)] = true;
        }
        if (graph_.value(node.outputs[0]).advance == 0) read_whole_[index(v)] = true;
      }
    }
  }

  void add(ValueId v, int storage, int64_t at, int first) {
    map_.of_value[index(v)] = storage;
    map_.at[index(v)] = at;
    lives_[index(v)] = {first, std::max(first, last_read_[index(v)] - read_again_[index(v)])};
    Members& members = members_[static_cast<size_t>(storage)];
    (members.first == kNone ? members.first : next_member_[index(members.last)]) = v;
    members.last = v;
    next_read_[index(v)] = std::exchange(members.read, v);
    members.busy_until =
        std::max({members.busy_until, last_read_[index(v)], members_last_[index(v)]});
  }

  // Memory of its own, or where it lies in its root's, which may be a view or in place itself.
  void open(ValueId v, int first) {
    const ValueId root = graph_.root(v);
    const Value& value = graph_.value(v);
    const auto inside =
        static_cast<int64_t>(dtype_bytes(value.dtype, static_cast<size_t>(value.lies_at)));
    if (map_.of_value[index(root)] >= 0)
      return add(v, map_.of_value[index(root)], map_.at[index(root)] + inside, first);
    int& storage = of_root_[index(root)];
    if (storage < 0) {
      storage = static_cast<int>(map_.storages.size());
      Storage opened;
      opened.root = root;
      opened.in_arena = lives_in_arena(graph_.value(root));
      map_.storages.push_back(std::move(opened));
      members_.emplace_back();
    }
    add(v, storage, inside, first);
  }

  void join(ValueId v, ValueId with, int first) {
    add(v, map_.of_value[index(with)], map_.at[index(with)], first);
  }

  void run_node(const Node& node, int step) {
    for (ValueId v : node.inputs)
      if (v != kNone && map_.of_value[index(v)] < 0) open(v, -1);
    const bool view = is_view(graph_, node);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId y = node.outputs[o];
      if (y == kNone) continue;
      const Value& value = graph_.value(y);
      if (value.updates != kNone) {
        join(y, value.updates, step);
      } else if (node.op == Op::reshape) {
        join(y, node.inputs[0], step);
      } else if (value.lies_in != kNone || members_last_[index(y)] >= 0) {
        open(y, step);
        if (!view) check_overwritten(node, y, step);
      } else if (const ValueId x = o == 0 ? overwritable_input(node, step) : kNone; x != kNone) {
        join(y, x, step);
      } else {
        open(y, step);
      }
    }
  }

  // An input that output 0 may lie on, or kNone.
  ValueId overwritable_input(const Node& node, int step) const {
    const Value& y = graph_.value(node.outputs[0]);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId x = node.inputs[i];
      if (!(op_info(node.op).in_place >> i & 1) || x == kNone) continue;
      if (graph_.value(x).dtype != y.dtype || !(graph_.shape(x) == y.shape)) continue;
      // Read twice by this node at different places would be read after being written.
      if (std::count(node.inputs.begin(), node.inputs.end(), x) == 1 && dies(x, step)) return x;
    }
    return kNone;
  }

  // Whether nothing that lies where x lies is read or written after this step.
  bool dies(ValueId x, int step) const {
    const auto storage = static_cast<size_t>(map_.of_value[index(x)]);
    return map_.storages[storage].in_arena && members_[storage].busy_until <= step;
  }

  // A node that writes y where it lies leaves alone what is still read there.
  void check_overwritten(const Node& node, ValueId y, int step) {
    const int64_t begin = map_.at[index(y)], end = begin + graph_.value(y).bytes();
    for (ValueId* next = &members_of(y).read; *next != kNone;) {
      const ValueId v = *next;
      const int last = last_read_[index(v)];
      if (last < step) {  // nor read in any later step
        *next = next_read_[index(v)];
        continue;
      }
      next = &next_read_[index(v)];
      const int64_t at = map_.at[index(v)];
      if (v == y || at >= end || at + graph_.value(v).bytes() <= begin) continue;
      if (last == step && reads_before_writing(node, v, y)) continue;
      throw_error("bad graph (a bug of Attune): {} '{}' overwrites '{}' before its last reader",
                  op_name(node.op), node.name, graph_.value(v).name);
    }
  }

  bool reads_before_writing(const Node& node, ValueId x, ValueId y) const {
    const auto reads = std::count(node.inputs.begin(), node.inputs.end(), x);
    if (reads != 1 || y != node.outputs[0]) return false;
    if (node.op == Op::slice) {
      const auto& attrs = node.as<SliceAttrs>();
      const Shape& from = graph_.shape(x);
      const int64_t start =
          map_.at[index(x)] +
          static_cast<int64_t>(dtype_bytes(
              graph_.value(x).dtype,
              static_cast<size_t>(attrs.start * from.product(attrs.axis + 1, from.rank))));
      return from.product(0, attrs.axis) == 1 && map_.at[index(y)] <= start;
    }
    const auto i = std::find(node.inputs.begin(), node.inputs.end(), x) - node.inputs.begin();
    return (op_info(node.op).in_place >> i & 1) && map_.at[index(x)] == map_.at[index(y)] &&
           graph_.shape(x) == graph_.shape(y);
  }

  // Bytes of a storage, in whole multiples of its alignment, and how long one value needs them.
  struct Piece {
    int64_t begin, end;
    Life life;
  };

  void add_piece(int64_t begin, int64_t end, Life life, int64_t alignment) {
    begin = begin / alignment * alignment;
    end = (end + alignment - 1) / alignment * alignment;
    if (!pieces_.empty()) {
      Piece& last = pieces_.back();
      if (last.life == life && last.begin <= begin && begin <= last.end) {
        last.end = std::max(last.end, end);
        return;
      }
    }
    pieces_.push_back({begin, end, life});
  }

  void add_pieces(ValueId v, int64_t alignment) {
    const int64_t at = map_.at[index(v)], bytes = graph_.value(v).bytes();
    const Life life = lives_[index(v)];
    const auto slices = read_whole_[index(v)] ? slices_.end() : slices_.find(v);
    if (slices == slices_.end() || in_crumbs(v, slices->second))
      return add_piece(at, at + bytes, life, alignment);
    // What only slices read goes slice by slice.
    add_piece(at, at + bytes, {life.first, life.first}, alignment);
    for (int step : slices->second) {
      const Node& slice = node(step);
      const int axis = slice.as<SliceAttrs>().axis;
      const Shape &x = graph_.shape(v), &y = graph_.shape(slice.outputs[0]);
      const int64_t row = bytes / x.product(0, axis + 1);
      if (graph_.value(slice.outputs[0]).advance > 0)  // through all that comes behind it
        add_piece(at + y[axis] * row, at + bytes, life, alignment);
      for (int64_t o = 0; o < x.product(0, axis); ++o) {
        const int64_t begin = at + (o * x[axis] + slice.as<SliceAttrs>().start) * row;
        add_piece(begin, begin + y[axis] * row, {life.first, step}, alignment);
      }
    }
  }

  // Whether some of these slices would set free no more than many small pieces, as those of
  // channels do where they come last: nothing finds a place there.
  bool in_crumbs(ValueId v, const std::vector<int>& slices) const {
    constexpr int64_t kMostPieces = 64;
    return std::any_of(slices.begin(), slices.end(), [&](int step) {
      return graph_.shape(v).product(0, node(step).as<SliceAttrs>().axis) > kMostPieces;
    });
  }

  // Extent and ranges, from the places and lives of the members.
  void finish(Storage& storage, ValueId first_member) {
    int64_t extent = 0;
    for (ValueId v = first_member; v != kNone; v = next_member_[index(v)])
      extent = std::max(extent, map_.at[index(v)] + graph_.value(v).bytes());
    const int64_t alignment = storage.alignment = alignment_of(extent);
    storage.bytes = (extent + alignment - 1) / alignment * alignment;
    if (!storage.in_arena) return;
    pieces_.clear();
    for (ValueId v = first_member; v != kNone; v = next_member_[index(v)]) add_pieces(v, alignment);
    add_ranges(storage);
    storage.life = {INT32_MAX, -1};
    for (const StorageRange& range : storage.ranges) {
      storage.life.first = std::min(storage.life.first, range.lives.front().first);
      storage.life.last = std::max(storage.life.last, range.lives.back().last);
    }
  }

  // What the pieces say, cut where one of them begins or ends.
  void add_ranges(Storage& storage) {
    cuts_.clear();
    for (const Piece& piece : pieces_) cuts_.insert(cuts_.end(), {piece.begin, piece.end});
    std::sort(cuts_.begin(), cuts_.end());
    cuts_.erase(std::unique(cuts_.begin(), cuts_.end()), cuts_.end());
    std::sort(pieces_.begin(), pieces_.end(),
              [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
    std::vector<Piece>& here = pieces_here_;
    here.clear();
    size_t next = 0;
    for (size_t c = 0; c + 1 < cuts_.size(); ++c) {
      std::erase_if(here, [&](const Piece& piece) { return piece.end <= cuts_[c]; });
      for (; next < pieces_.size() && pieces_[next].begin == cuts_[c]; ++next)
        here.push_back(pieces_[next]);
      if (here.empty()) continue;
      std::vector<Life> apart = lives_apart(here);
      if (!storage.ranges.empty()) {
        StorageRange& last = storage.ranges.back();
        if (last.lives == apart && last.offset + last.bytes == cuts_[c]) {
          last.bytes = cuts_[c + 1] - last.offset;
          continue;
        }
      }
      storage.ranges.push_back({cuts_[c], cuts_[c + 1] - cuts_[c], std::move(apart)});
    }
  }

  // The lives of several pieces as few lives apart from each other.
  std::vector<Life> lives_apart(const std::vector<Piece>& pieces) {
    together_.clear();
    for (const Piece& piece : pieces) together_.push_back(piece.life);
    std::sort(together_.begin(), together_.end(),
              [](const Life& a, const Life& b) { return a.first < b.first; });
    std::vector<Life> result;
    for (const Life& life : together_) {
      if (!result.empty() && life.first <= result.back().last + 1)
        result.back().last = std::max(result.back().last, life.last);
      else
        result.push_back(life);
    }
    return result;
  }

  const Graph& graph_;
  const std::span<const int> order_;
  const int steps_;
  StorageMap map_;
  std::vector<Members> members_;                // by storage
  std::vector<int> of_root_;                    // by value: the storage opened for it, or -1
  std::vector<Life> lives_;                     // by value
  std::vector<ValueId> next_member_;            // by value: of the same storage
  std::vector<ValueId> next_read_;              // by value: the same, of those still read
  std::vector<int> last_read_;                  // by value: the last step that reads it itself
  std::vector<bool> read_again_;                // by value: or, the step behind the repeated ones
  std::vector<bool> read_whole_;                // by value: by anything but slices
  std::map<ValueId, std::vector<int>> slices_;  // steps that read a part of a value
  std::vector<int> members_last_;  // by value: the last step of what lies in it; -1: nothing does
  // What `finish` works on, kept from storage to storage: schedules are judged by the thousand.
  std::vector<Piece> pieces_, pieces_here_;
  std::vector<int64_t> cuts_;
  std::vector<Life> together_;
};

// Elements of x before row `row` of `axis`.
int64_t elements_before(const Shape& x, int axis, int64_t row) {
  return row * x.product(axis + 1, x.rank);
}

bool lies_at(const Graph& graph, ValueId v, ValueId root, int64_t at) {
  return graph.root(v) == root && graph.value(v).lies_at == at;
}

}  // namespace

std::vector<int64_t> StorageMap::live_bytes(int steps) const {
  std::vector<int64_t> live(static_cast<size_t>(steps) + 3);
  for (const Storage& s : storages)
    for (const StorageRange& range : s.ranges)
      for (const Life& life : range.lives) {
        live[static_cast<size_t>(life.first + 1)] += range.bytes;
        live[static_cast<size_t>(life.last + 2)] -= range.bytes;
      }
  for (size_t i = 1; i < live.size(); ++i) live[i] += live[i - 1];
  return live;
}

int64_t StorageMap::lower_bound(int steps) const {
  const std::vector<int64_t> live = live_bytes(steps);
  return *std::max_element(live.begin(), live.end());
}

bool is_view(const Graph& graph, const Node& node) {
  if (node.op == Op::reshape) return true;
  if (node.op != Op::slice && node.op != Op::concat) return false;
  const ValueId y = node.outputs[0], root = graph.root(y);
  const Value& value = graph.value(y);
  int axis;
  int64_t row = 0;
  if (node.op == Op::slice) {
    axis = node.as<SliceAttrs>().axis;
    const ValueId x = node.inputs[0];
    const int64_t start = elements_before(graph.shape(x), axis, node.as<SliceAttrs>().start);
    return value.lies_in != kNone && value.shape.product(0, axis) == 1 &&
           lies_at(graph, x, root, value.lies_at - start);
  }
  axis = node.as<AxisAttrs>().axis;
  if (value.shape.product(0, axis) != 1) return false;
  for (ValueId x : node.inputs) {
    if (!lies_at(graph, x, root, value.lies_at + elements_before(value.shape, axis, row)) || x == y)
      return false;
    row += graph.shape(x)[axis];
  }
  return true;
}

int64_t advance_of(const Graph& graph, const StorageMap& storage, ValueId id) {
  const int of_value = storage.of_value[static_cast<size_t>(id)];
  const Value& root = graph.value(storage.storages[static_cast<size_t>(of_value)].root);
  if (graph.repeat.count == 1 || root.role != Role::input ||
      !graph.repeat.contains(graph.value(id).producer))
    return 0;
  return root.bytes() / graph.repeat.count;
}

StorageMap assign_storage(const Graph& graph, std::span<const int> order) {
  check_interrupt();  // whatever looks for a smaller arena comes by here
  return Assignment(graph, order).run();
}

}  // namespace attune
