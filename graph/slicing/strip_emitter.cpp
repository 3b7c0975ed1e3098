#include "graph/slicing/strip_emitter.h"

#include <algorithm>
#include <set>
#include <utility>

#include "graph/ir/error.h"

namespace attune {
namespace {

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
    for (size_t i = 0; i < buffers_.size(); ++i) buffers_[i].direct = true;
    for (int i : waiting_images(region, strips)) buffer(i).direct = false;
    for (size_t i = 0; i < buffers_.size(); ++i)
      if (image(static_cast<int>(i)).maker == kNone || image(static_cast<int>(i)).kept)
        buffers_[i].direct = false;
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
    return row_node(n).rule.windows.reads(rows, image(input).height);
  }
  int64_t row_elements(int i) const {
    const Shape& shape = graph_.shape(image(i).value);
    return shape.elements() / image(i).height;
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
  ValueId read(int i, Rows rows) {
    const RowImage& from = image(i);
    if (from.maker == kNone) return read_given(from, rows);
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

  // Rows of what was there before the region: in place where they lie together, but for constants,
  // in which nothing lies.
  ValueId read_given(const RowImage& from, Rows rows) {
    const int axis = from.axis;
    if (rows.count() == from.height) return from.value;
    Node node = slice(
        from.value, axis, rows.begin, rows.count(),
        fmt::format("{}/rows{}to{}", graph_.value(from.value).name, rows.begin, rows.end - 1));
    const Value& whole = graph_.value(from.value);
    if (whole.role != Role::constant && whole.shape.product(0, axis) == 1) {
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
      inputs[k] = read(i, window(strip.node, i, strip.rows));
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

}  // namespace

std::vector<int> waiting_images(const RowRegion& region, const std::vector<Strip>& strips) {
  std::vector<std::set<std::pair<int, int>>> made(region.images.size());
  std::vector<bool> waits(region.images.size());
  for (const Strip& s : strips)
    made[static_cast<size_t>(region.nodes[static_cast<size_t>(s.node)].output)].insert(
        {s.rows.begin, s.rows.end});
  for (const Strip& s : strips) {
    const RowNode& node = region.nodes[static_cast<size_t>(s.node)];
    for (int i : node.inputs) {
      if (i == kNone) continue;
      const RowImage& image = region.images[static_cast<size_t>(i)];
      const Rows rows = node.rule.windows.reads(s.rows, image.height);
      if (image.maker != kNone && !image.kept &&
          !made[static_cast<size_t>(i)].contains({rows.begin, rows.end}))
        waits[static_cast<size_t>(i)] = true;
    }
  }
  std::vector<int> images;
  for (size_t i = 0; i < waits.size(); ++i)
    if (waits[i]) images.push_back(static_cast<int>(i));
  return images;
}

std::vector<Node> emit_strips(Graph& graph, const RowRegion& region,
                              const std::vector<Strip>& strips, const std::vector<Waits>& waits) {
  return StripEmitter(graph, region, strips, waits).emit();
}

}  // namespace attune
