#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "graph/error.h"
#include "graph/memory_plan.h"
#include "graph/passes/passes.h"
#include "graph/row_stream.h"
#include "graph/storage.h"

namespace attune {
namespace {

// Where the rows that are still to be read wait for those that come behind them. An image needs
// most memory while it is read; which of these lets others have that memory meanwhile depends on
// them.
enum class Waits : uint8_t {
  at_end,    // of the image's buffer: moved to its start when the next rows come
  at_start,  // of the image's buffer
  elsewhere  // in a place of their own; the next rows and they meet in a new buffer
};
constexpr Waits kAllWaits[] = {Waits::at_end, Waits::at_start, Waits::elsewhere};

// Emits the strips of a region. An image whose readers take the strips as they were made needs no
// place of its own; any other lies in a buffer, as far as it is still to be read.
class StripEmitter {
 public:
  StripEmitter(Graph& graph, const RowRegion& region, const std::vector<Strip>& strips,
               const std::vector<Waits>& waits)
      : graph_(graph),
        region_(region),
        strips_(strips),
        waits_(waits),
        buffers_(region.images.size()),
        done_(region.nodes.size()) {
    find_direct();
  }

  // Whether rows of an image ever wait.
  bool waits(int i) const {
    const Buffer& b = buffers_[static_cast<size_t>(i)];
    return image(i).maker != kNone && !image(i).kept && !b.direct;
  }

  std::vector<Node> emit() {
    for (const Strip& strip : strips_) emit(strip);
    for (size_t i = 0; i < buffers_.size(); ++i) finish(static_cast<int>(i));
    return std::move(nodes_);
  }

 private:
  struct Piece {
    Rows rows;
    ValueId value;
  };
  struct Buffer {
    bool direct = false;        // readers take strips as they are
    ValueId root = kNone;       // what the pieces lie in
    std::vector<Piece> pieces;  // one behind the other; of a direct image, its strips
    int base = 0;               // the row at the start of the root
    ValueId home = kNone;       // where rows wait elsewhere
    int prepared = -1;          // the first row of the strip that there is a place for
  };

  const RowImage& image(int i) const { return region_.images[static_cast<size_t>(i)]; }
  Buffer& buffer(int i) { return buffers_[static_cast<size_t>(i)]; }
  const RowNode& row_node(int n) const { return region_.nodes[static_cast<size_t>(n)]; }
  const Node& original(int n) const { return original_nodes_[static_cast<size_t>(row_node(n).id)]; }
  Rows window(int n, int input, Rows rows) const {
    return row_node(n).rule.window(rows, image(input).height);
  }
  int64_t row_elements(int i) const {
    const Shape& shape = graph_.shape(image(i).value);
    return shape.elements() / image(i).height;
  }

  void find_direct() {
    std::vector<std::set<std::pair<int, int>>> made(region_.images.size());
    for (const Strip& s : strips_)
      made[static_cast<size_t>(row_node(s.node).output)].insert({s.rows.begin, s.rows.end});
    for (size_t i = 0; i < buffers_.size(); ++i)
      buffers_[i].direct = region_.images[i].maker != kNone && !region_.images[i].kept;
    for (const Strip& s : strips_)
      for (int i : row_node(s.node).inputs) {
        if (i == kNone) continue;
        const Rows rows = window(s.node, i, s.rows);
        if (!made[static_cast<size_t>(i)].contains({rows.begin, rows.end}))
          buffer(i).direct = false;
      }
  }

  ValueId append(Node node) {
    nodes_.push_back(std::move(node));
    return nodes_.back().outputs[0];
  }

  // Lays a value where the rows from `row` on of a buffered image go. The first makes the buffer.
  void lay(int i, ValueId v, int row) {
    Buffer& b = buffer(i);
    if (b.root == kNone) b.root = v;
    if (v == b.root) return;
    graph_.value(v).lies_in = b.root;
    graph_.value(v).lies_at = (row - b.base) * row_elements(i);
  }

  // All pieces as one value.
  ValueId whole(int i) {
    Buffer& b = buffer(i);
    if (b.pieces.size() > 1) {
      std::vector<ValueId> values;
      for (const Piece& piece : b.pieces) values.push_back(piece.value);
      const Rows rows{b.pieces.front().rows.begin, b.pieces.back().rows.end};
      Node node = graph_.make(Op::concat, AxisAttrs{1}, values, rows_name(i, rows));
      lay(i, node.outputs[0], rows.begin);
      b.pieces = {{rows, append(std::move(node))}};
    }
    return b.pieces.front().value;
  }

  std::string rows_name(int i, Rows rows) const {
    return fmt::format("{}/rows{}to{}", graph_.value(image(i).value).name, rows.begin,
                       rows.end - 1);
  }

  Node slice(ValueId from, int axis, int start, int count, std::string name) {
    Shape shape = graph_.shape(from);
    shape[axis] = count;
    return graph_.make(Op::slice, SliceAttrs{axis, start}, {from}, std::move(name), &shape);
  }

  // Some rows of an image, as a node reads them.
  ValueId read(int n, int i, Rows rows) {
    const RowImage& from = image(i);
    if (from.maker == kNone) return read_given(from, row_node(n).rule.axis, rows);
    Buffer& b = buffer(i);
    for (const Piece& piece : b.pieces)
      if (piece.rows == rows) return piece.value;
    const ValueId all = whole(i);
    const Rows held = b.pieces.front().rows;
    if (held == rows) return all;
    Node node = slice(all, 1, rows.begin - held.begin, rows.count(), rows_name(i, rows));
    lay(i, node.outputs[0], rows.begin);
    return append(std::move(node));
  }

  // Rows of what was there before the region: in place where they lie together.
  ValueId read_given(const RowImage& from, int axis, Rows rows) {
    if (rows.count() == from.height) return from.value;
    Node node = slice(
        from.value, axis, rows.begin, rows.count(),
        fmt::format("{}/rows{}to{}", graph_.value(from.value).name, rows.begin, rows.end - 1));
    const Value& whole = graph_.value(from.value);
    if (whole.shape.product(0, axis) == 1) {
      const int64_t before = rows.begin * whole.shape.product(axis + 1, whole.shape.rank);
      Value& value = graph_.value(node.outputs[0]);
      value.lies_in = whole.lies_in == kNone ? from.value : whole.lies_in;
      value.lies_at = whole.lies_at + before;
    }
    return append(std::move(node));
  }

  // Lets go of the rows of a buffered image that nobody reads any more.
  void release(int i) {
    Buffer& b = buffer(i);
    if (image(i).maker == kNone || image(i).kept || b.direct || b.pieces.empty()) return;
    const Rows held{b.pieces.front().rows.begin, b.pieces.back().rows.end};
    const int first = std::min(first_needed(region_, image(i), done_), held.end);
    if (first == held.begin) return;
    if (first == held.end) return b.pieces.clear();
    const Rows rest{first, held.end};
    Node view = slice(whole(i), 1, first - held.begin, rest.count(), rows_name(i, rest));
    lay(i, view.outputs[0], first);
    b.pieces = {{rest, append(std::move(view))}};
    const Waits where = waits_[static_cast<size_t>(i)];
    if (where == Waits::at_end) return;
    if (where == Waits::elsewhere) b.root = b.home;
    move(i);
    if (where == Waits::elsewhere) b.home = b.root;
  }

  // Moves all pieces to the start of the buffer, which may be a new one.
  void move(int i) {
    Buffer& b = buffer(i);
    const Rows rows{b.pieces.front().rows.begin, b.pieces.back().rows.end};
    Node node = slice(whole(i), 1, 0, rows.count(), rows_name(i, rows) + "/moved");
    b.base = rows.begin;
    lay(i, node.outputs[0], rows.begin);
    b.pieces = {{rows, append(std::move(node))}};
  }

  // Makes room for a strip behind the rows that wait.
  void prepare(int i, Rows strip) {
    Buffer& b = buffer(i);
    if (image(i).kept || b.prepared == strip.begin) return;
    b.prepared = strip.begin;
    const bool elsewhere = b.home != kNone && b.root == b.home;
    if (b.pieces.empty()) {
      b.base = strip.begin;
      if (waits_[static_cast<size_t>(i)] == Waits::elsewhere) b.root = kNone;
      return;
    }
    if (b.pieces.front().rows.begin == b.base && !elsewhere) return;
    if (elsewhere) b.root = kNone;
    move(i);
  }

  // Lays a strip in the buffer of its image, or where the node that overwrites it will put its own.
  void settle(int i, ValueId v, Rows rows) {
    if (!buffer(i).direct) {
      if (image(i).kept && buffer(i).root == kNone) buffer(i).root = image(i).value;
      prepare(i, rows);
      return lay(i, v, rows.begin);
    }
    for (int reader : image(i).readers)
      if (const int over = row_node(reader).overwrites;
          over != kNone && row_node(reader).inputs[static_cast<size_t>(over)] == i)
        return settle(row_node(reader).output, v, rows);
  }

  void emit(const Strip& strip) {
    const RowNode& n = row_node(strip.node);
    const Node node = original(strip.node);
    std::vector<ValueId> inputs = node.inputs;
    int height = 0;
    for (size_t k = 0; k < inputs.size(); ++k) {
      const int i = n.inputs[k];
      if (i == kNone) continue;
      height = image(i).height;
      inputs[k] = read(strip.node, i, window(strip.node, i, strip.rows));
    }
    const RowImage& output = image(n.output);
    Node made = make_rows(graph_, node, n.rule, strip.rows, height, std::move(inputs));
    if (output.kept && strip.rows.count() == output.height)
      made.outputs[0] = output.value;
    else
      settle(n.output, made.outputs[0], strip.rows);
    buffer(n.output).pieces.push_back({strip.rows, append(std::move(made))});
    done_[static_cast<size_t>(strip.node)] = strip.rows.end;
    for (int i : n.inputs)
      if (i != kNone) release(i);
  }

  // What is read outside the region is one value again.
  void finish(int i) {
    if (!image(i).kept || image(i).maker == kNone) return;
    const ValueId all = whole(i);
    for (Node& node : nodes_) {
      std::replace(node.inputs.begin(), node.inputs.end(), all, image(i).value);
      std::replace(node.outputs.begin(), node.outputs.end(), all, image(i).value);
    }
  }

  Graph& graph_;
  const RowRegion& region_;
  const std::vector<Strip>& strips_;
  const std::vector<Waits>& waits_;
  const std::vector<Node> original_nodes_ = graph_.nodes;
  std::vector<Buffer> buffers_;
  std::vector<int> done_;  // rows made, by the region's node
  std::vector<Node> nodes_;
};

// Nodes that may run in strips: what they read in rows is made by others of them, or by nodes that
// depend on none of them.
std::vector<bool> find_candidates(const Graph& graph) {
  std::vector<bool> candidates(graph.nodes.size()), depends(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const auto rule = row_rule(graph, node);
    bool may = rule.has_value();
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      const NodeId producer = v == kNone ? kNone : graph.value(v).producer;
      if (producer == kNone) continue;
      const auto p = static_cast<size_t>(producer);
      if (depends[p] || candidates[p]) depends[n] = true;
      // Whole inputs, and planes of what the region makes, would have to be complete before.
      if (rule && candidates[p] && (!rule->from_rows[i] || rule->axis != 1)) may = false;
      if (depends[p] && !candidates[p]) may = false;
    }
    candidates[n] = may;
  }
  return candidates;
}

// The graph with the region's nodes replaced by strips.
Graph with_strips(const Graph& graph, const RowRegion& region, const std::vector<Strip>& strips,
                  const std::vector<Waits>& waits) {
  Graph tiled = graph;
  tiled.nodes = graph.nodes;
  std::vector<Node> emitted = StripEmitter(tiled, region, strips, waits).emit();
  // What the region reads before it, all else behind it.
  std::vector<bool> inside(graph.nodes.size()), after(graph.nodes.size());
  for (const RowNode& node : region.nodes) inside[static_cast<size_t>(node.id)] = true;
  const NodeId end = region.nodes.back().id;
  std::vector<Node> before, rest;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (inside[n]) continue;
    after[n] = static_cast<NodeId>(n) > end;
    for (ValueId v : graph.nodes[n].inputs)
      if (v != kNone && graph.value(v).producer != kNone) {
        const auto p = static_cast<size_t>(graph.value(v).producer);
        after[n] = after[n] || inside[p] || after[p];
      }
    (after[n] ? rest : before).push_back(graph.nodes[n]);
  }
  tiled.nodes = std::move(before);
  tiled.nodes.insert(tiled.nodes.end(), emitted.begin(), emitted.end());
  tiled.nodes.insert(tiled.nodes.end(), rest.begin(), rest.end());
  tiled.index();
  return tiled;
}

struct Choice {
  NodeId end = kNone;
  std::vector<int> rows;       // by the region's node
  int64_t peak = INT64_MAX;    // expected
  int64_t around = INT64_MAX;  // before and after the region, which no strips change
  size_t strips = 0;
};

// Looks for a region and its strips.
class Chooser {
 public:
  // `arena`: bytes without strips. `room`: how many times its bytes a region takes when packed.
  Chooser(const Graph& graph, int64_t arena, int64_t budget, double room)
      : graph_(graph), budget_(budget), room_(room), candidates_(find_candidates(graph)) {
    const int steps = static_cast<int>(graph.nodes.size());
    storage_ = assign_storage(graph);
    live_ = storage_.live_bytes(steps);
    best_.peak = arena;
  }

  // An end of kNone: nothing is gained.
  Choice choose() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (candidates_[n]) consider_end(static_cast<NodeId>(n));
    if (best_.end != kNone) refine();
    return best_;
  }

 private:
  // What the graph takes while the region does not run, and what others take while it does.
  struct Around {
    int64_t peak = 0, aside = 0;
  };

  Around around(const RowRegion& region) const {
    Around result;
    const int first = region.nodes.front().id, last = region.nodes.back().id;
    for (size_t i = 0; i < live_.size(); ++i)  // entry i: step i - 1
      if (static_cast<int>(i) - 1 < first || static_cast<int>(i) - 1 > last)
        result.peak = std::max(result.peak, live_[i]);
    std::vector<bool> ours(storage_.storages.size());
    for (const RowImage& image : region.images)
      ours[static_cast<size_t>(storage_.of_value[static_cast<size_t>(image.value)])] = true;
    for (size_t s = 0; s < storage_.storages.size(); ++s) {
      const Storage& storage = storage_.storages[s];
      if (storage.in_arena && !ours[s] && storage.life.first <= last && storage.life.last >= first)
        result.aside += storage.bytes;
    }
    return result;
  }

  // Whether this is better than the best so far; then it is the best.
  bool consider(const RowRegion& region, const Around& around, std::vector<int> rows) {
    const std::vector<Strip> strips = stream(region, rows);
    const double bytes = room_ * static_cast<double>(stream_bytes(region, strips));
    const int64_t peak =
        std::max({around.peak, around.aside + static_cast<int64_t>(bytes), budget_});
    if (std::tuple(peak, strips.size()) >= std::tuple(std::max(best_.peak, budget_), best_.strips))
      return false;
    best_ = {region.nodes.back().id, std::move(rows), peak, around.peak, strips.size()};
    return true;
  }

  void consider_end(NodeId end) {
    const RowRegion region = row_region(graph_, candidates_, end);
    const Around outside = around(region);
    if (outside.peak > best_.peak) return;
    const int end_height = region.images[static_cast<size_t>(region.nodes.back().output)].height;
    int most = 1;
    for (const RowImage& image : region.images) most = std::max(most, image.height);
    for (int count = 1; count < most; count *= 2) {
      std::vector<int> alike, in_step;
      for (const RowNode& node : region.nodes) {
        const int height = region.images[static_cast<size_t>(node.output)].height;
        alike.push_back(count);
        in_step.push_back(std::max(1, static_cast<int>(int64_t{count} * height / end_height)));
      }
      consider(region, outside, std::move(alike));
      if (count < end_height) consider(region, outside, std::move(in_step));
    }
  }

  // Makes more rows at once, for all images of a height, while that does no harm.
  void refine() {
    const RowRegion region = row_region(graph_, candidates_, best_.end);
    const Around outside = around(region);
    std::set<int> heights;
    for (const RowNode& node : region.nodes)
      heights.insert(region.images[static_cast<size_t>(node.output)].height);
    for (bool better = true; better;) {
      better = false;
      for (int height : heights) {
        std::vector<int> rows = best_.rows;
        bool possible = false;
        for (size_t n = 0; n < rows.size(); ++n)
          if (region.images[static_cast<size_t>(region.nodes[n].output)].height == height &&
              rows[n] < height) {
            rows[n] *= 2;
            possible = true;
          }
        if (possible && consider(region, outside, std::move(rows))) better = true;
      }
    }
  }

  const Graph& graph_;
  const int64_t budget_;
  const double room_;
  const std::vector<bool> candidates_;
  StorageMap storage_;
  std::vector<int64_t> live_;
  Choice best_;
};

// Tries for each image where its rows may wait, in the order of their size, and keeps what packs
// best.
Graph best_packed(const Graph& graph, const RowRegion& region, const std::vector<Strip>& strips,
                  int64_t* best) {
  std::vector<Waits> waits(region.images.size(), Waits::at_end);
  Graph scratch = graph, result;
  std::vector<int> images;
  {
    const StripEmitter emitter(scratch, region, strips, waits);
    for (int i = 0; i < static_cast<int>(region.images.size()); ++i)
      if (emitter.waits(i)) images.push_back(i);
  }
  std::stable_sort(images.begin(), images.end(), [&](int a, int b) {
    return region.images[static_cast<size_t>(a)].row_bytes >
           region.images[static_cast<size_t>(b)].row_bytes;
  });
  const auto consider = [&](const std::vector<Waits>& candidate) {
    Graph tiled = with_strips(graph, region, strips, candidate);
    const int64_t bytes = plan_memory(tiled, PackEffort::quick).arena_bytes;
    if (bytes >= *best) return false;
    *best = bytes, result = std::move(tiled), waits = candidate;
    return true;
  };
  for (const Waits all : kAllWaits) consider(std::vector<Waits>(waits.size(), all));
  for (bool better = true; better;) {
    better = false;
    for (int i : images)
      for (const Waits where : kAllWaits) {
        std::vector<Waits> candidate = waits;
        if (candidate[static_cast<size_t>(i)] == where) continue;
        candidate[static_cast<size_t>(i)] = where;
        better |= consider(candidate);
      }
  }
  return result;
}

}  // namespace

bool tile_rows(Graph& graph, int64_t budget_bytes) {
  graph.index();
  if (fits(graph, budget_bytes)) return false;
  const int64_t arena = plan_memory(graph, PackEffort::quick).arena_bytes;
  int64_t best = arena;
  bool tiled = false;
  Graph untiled = graph;
  // What packing wastes shows afterwards: first less and less for the fewest strips within the
  // budget, then for the smallest peak.
  std::vector<std::pair<int64_t, double>> tries;
  if (budget_bytes > 0)
    for (const double share : {1.0, 0.92, 0.84, 0.76, 0.68, 0.6})
      tries.push_back({static_cast<int64_t>(share * static_cast<double>(budget_bytes)), 1.0});
  for (const double room : {1.0, 1.08, 1.16, 1.25, 1.4}) tries.push_back({0, room});
  for (const auto& [budget, room] : tries) {
    if (best <= budget_bytes) break;
    const Choice choice = Chooser(untiled, arena, budget, room).choose();
    if (choice.end == kNone) continue;
    const RowRegion region = row_region(untiled, find_candidates(untiled), choice.end);
    Graph packed = best_packed(untiled, region, stream(region, choice.rows), &best);
    if (!packed.nodes.empty()) graph = std::move(packed), tiled = true;
    if (budget == 0 && best <= choice.around) break;
  }
  return tiled;
}

}  // namespace attune
