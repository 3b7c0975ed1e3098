#include "graph/slicing/piece_emitter.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "graph/ir/error.h"

namespace attune {
namespace {

// Some rows of what is known, as a constant of its own.
Value cut_constant(const Value& whole, int axis, Rows rows) {
  Value part = whole;
  part.shape[axis] = rows.count();
  const int64_t run = whole.shape.product(axis + 1, whole.shape.rank) * rows.count();
  const int64_t step = run / rows.count() * whole.shape[axis];
  const auto read = [&](auto element, auto make) {
    std::vector<decltype(element)> elements(static_cast<size_t>(part.shape.elements()));
    for (int64_t at = 0, from = run / rows.count() * rows.begin;
         at < static_cast<int64_t>(elements.size()); at += run, from += step)
      whole.data->read(
          static_cast<size_t>(from),
          std::span(elements).subspan(static_cast<size_t>(at), static_cast<size_t>(run)));
    part.data = make(std::move(elements));
  };
  if (whole.data->is_real())
    read(double{}, Data::of_reals);
  else
    read(int64_t{}, Data::of_ints);
  return part;
}

class PieceEmitter {
 public:
  PieceEmitter(const Graph& graph, Graph& result, const Region& region,
               const std::vector<Piece>& pieces, const std::vector<Waits>& waits,
               const std::string& unit)
      : graph_(graph),
        result_(result),
        region_(region),
        waits_(waits),
        unit_(unit),
        buffers_(region.values.size()),
        done_(region.nodes.size()),
        last_row_(region.nodes.size()) {
    for (size_t i = 0; i < buffers_.size(); ++i)
      buffers_[i].direct = of(static_cast<int>(i)).maker != kNone && !of(static_cast<int>(i)).kept;
    for (int i : waiting_values(region, pieces)) buffer(i).direct = false;
    for (const Piece& piece : pieces) last_row_[static_cast<size_t>(piece.node)] = piece.rows.end;
  }

  std::vector<Node> emit(const std::vector<Piece>& pieces) {
    // All views of old values come before the first of them is overwritten.
    for (const Piece& piece : pieces)
      if (op_info(original(piece.node).op).kind == OpKind::update)
        for (int i : region_.node(piece.node).inputs)
          if (i != kNone && of(i).maker == kNone) read(i, piece.rows);
    for (const Piece& piece : pieces) emit(piece);
    for (size_t i = 0; i < buffers_.size(); ++i) {
      const CutValue& value = of(static_cast<int>(i));
      if (value.kept && value.maker != kNone &&
          done_[static_cast<size_t>(value.maker)] == value.rows)
        whole(static_cast<int>(i));
    }
    return std::exchange(nodes_, {});
  }

 private:
  struct Part {
    Rows rows;
    ValueId value;
  };
  struct Buffer {
    bool direct = false;      // readers take pieces as they are
    ValueId root = kNone;     // what the parts lie in
    std::vector<Part> parts;  // one behind the other; of a direct value, its pieces
    int base = 0;             // the row at the start of the root
    ValueId home = kNone;     // where rows wait elsewhere
    int prepared = -1;        // the first row of the piece that there is a place for
  };

  const CutValue& of(int i) const { return region_.value(i); }
  const Node& original(int n) const {
    return graph_.nodes[static_cast<size_t>(region_.node(n).id)];
  }
  Buffer& buffer(int i) { return buffers_[static_cast<size_t>(i)]; }

  ValueId append(Node node) {
    nodes_.push_back(std::move(node));
    return nodes_.back().outputs[0];
  }

  // Lays a value where the rows from `row` on of a buffered value go. The first makes the buffer.
  void lay(int i, ValueId v, int row) {
    Buffer& b = buffer(i);
    if (b.root == kNone) b.root = v;
    if (v == b.root) return;
    const int64_t row_elements = graph_.shape(of(i).value).elements() / of(i).rows;
    result_.value(v).lies_in = b.root;
    result_.value(v).lies_at = (row - b.base) * row_elements;
  }

  std::string part_name(int i, Rows rows) const {
    return fmt::format("{}/{}{}to{}", graph_.value(of(i).value).name, unit_, rows.begin,
                       rows.end - 1);
  }

  // These rows of a value, from one that has them from its row `start` on.
  Node slice(int i, ValueId from, Rows rows, int start) {
    Shape shape = result_.shape(from);
    shape[of(i).axis] = rows.count();
    return result_.make(Op::slice, SliceAttrs{of(i).axis, start}, {from}, part_name(i, rows),
                        &shape);
  }

  // All parts as one value. What is read outside is itself in the end.
  ValueId whole(int i) {
    Buffer& b = buffer(i);
    if (b.parts.size() > 1) {
      std::vector<ValueId> values;
      for (const Part& part : b.parts) values.push_back(part.value);
      const Rows rows{b.parts.front().rows.begin, b.parts.back().rows.end};
      Node node = result_.make(Op::concat, AxisAttrs{of(i).axis}, values, part_name(i, rows));
      if (of(i).kept && rows.count() == of(i).rows) node.outputs[0] = of(i).value;
      lay(i, node.outputs[0], rows.begin);
      b.parts = {{rows, append(std::move(node))}};
    }
    return b.parts.front().value;
  }

  // Some rows of a value, as a node reads them.
  ValueId read(int i, Rows rows) {
    for (const Part& part : buffer(i).parts)
      if (part.rows == rows) return part.value;
    if (of(i).maker == kNone) return read_given(i, rows);
    const ValueId all = whole(i);
    const Rows held = buffer(i).parts.front().rows;
    if (held == rows) return all;
    Node node = slice(i, all, rows, rows.begin - held.begin);
    lay(i, node.outputs[0], rows.begin);
    return append(std::move(node));
  }

  // Rows of what was there before the region: in place where they lie together, else copied each
  // time.
  ValueId read_given(int i, Rows rows) {
    const CutValue& from = of(i);
    if (rows.count() == from.rows) return from.value;
    const Value& whole = graph_.value(from.value);
    ValueId part;
    if (whole.role == Role::constant) {
      part = result_.add_value(cut_constant(whole, from.axis, rows));
    } else {
      part = append(slice(i, from.value, rows, rows.begin));
      if (!from.together) return part;
      Value& value = result_.value(part);
      value.lies_in = graph_.root(from.value);
      value.lies_at =
          whole.lies_at + rows.begin * whole.shape.product(from.axis + 1, whole.shape.rank);
    }
    buffer(i).parts.push_back({rows, part});
    return part;
  }

  // Lets go of the rows of a buffered value that nobody reads any more.
  void release(int i) {
    Buffer& b = buffer(i);
    if (of(i).maker == kNone || of(i).kept || b.direct || b.parts.empty()) return;
    const Rows held{b.parts.front().rows.begin, b.parts.back().rows.end};
    const int first = std::min(first_needed(region_, of(i), done_), held.end);
    if (first == held.begin) return;
    if (first == held.end) return b.parts.clear();
    const Rows rest{first, held.end};
    Node view = slice(i, whole(i), rest, first - held.begin);
    lay(i, view.outputs[0], first);
    b.parts = {{rest, append(std::move(view))}};
    const Waits where = waits_[static_cast<size_t>(i)];
    if (where == Waits::at_end) return;
    if (where == Waits::elsewhere) b.root = b.home;
    move(i);
    if (where == Waits::elsewhere) b.home = b.root;
  }

  // Moves all parts to the start of the buffer, which may be a new one.
  void move(int i) {
    Buffer& b = buffer(i);
    const Rows rows{b.parts.front().rows.begin, b.parts.back().rows.end};
    Node node = slice(i, whole(i), rows, 0);
    b.base = rows.begin;
    lay(i, node.outputs[0], rows.begin);
    b.parts = {{rows, append(std::move(node))}};
  }

  // Makes room for a piece behind the rows that wait.
  void prepare(int i, Rows piece) {
    Buffer& b = buffer(i);
    if (of(i).kept || b.prepared == piece.begin) return;
    b.prepared = piece.begin;
    const bool elsewhere = b.home != kNone && b.root == b.home;
    if (b.parts.empty()) {
      b.base = piece.begin;
      if (waits_[static_cast<size_t>(i)] == Waits::elsewhere) b.root = kNone;
      return;
    }
    if (b.parts.front().rows.begin == b.base && !elsewhere) return;
    if (elsewhere) b.root = kNone;
    move(i);
  }

  // Lays a piece in the buffer of its value, or where the node that overwrites it will put its own.
  void settle(int i, ValueId v, Rows rows) {
    if (!buffer(i).direct) {
      if (of(i).kept && buffer(i).root == kNone) buffer(i).root = of(i).value;
      prepare(i, rows);
      return lay(i, v, rows.begin);
    }
    for (int reader : of(i).readers)
      if (const CutNode& n = region_.node(reader);
          n.overwrites != kNone && n.inputs[static_cast<size_t>(n.overwrites)] == i)
        return settle(n.outputs[0], v, rows);
  }

  void emit(const Piece& piece) {
    const CutNode& n = region_.node(piece.node);
    const Node& whole = original(piece.node);
    Node made = whole;
    made.name = fmt::format("{}/{}{}", whole.name, unit_, piece.rows.begin);
    for (size_t k = 0; k < made.inputs.size(); ++k) {
      const int i = n.inputs[k];
      ValueId& input = made.inputs[k];
      if (i == kNone) {
        if (const auto chained = chains_.find(input); chained != chains_.end())
          input = chained->second;
        continue;
      }
      const Rows rows = rows_read(region_, n, i, piece.rows);
      if (n.rule.cut.window) n.rule.windows.cut_attrs(made.attrs, piece.rows, of(i).rows);
      Shape shape = graph_.shape(input);
      const bool reshaped = input != of(i).value;
      shape[n.rule.cut.axis[k]] = rows.count();
      input = read(i, rows);
      if (reshaped)
        input = append(result_.make(Op::reshape, NoAttrs{}, {input}, made.name + "/view", &shape));
    }
    for (size_t o = 0; o < made.outputs.size(); ++o)
      if (whole.outputs[o] != kNone) made.outputs[o] = make_output(whole, n, o, piece, made);
    append(made);
    for (size_t o = 0; o < made.outputs.size(); ++o) {
      if (whole.outputs[o] == kNone) continue;
      if (n.outputs[o] != kNone)
        buffer(n.outputs[o]).parts.push_back({piece.rows, made.outputs[o]});
      else if (const ValueId old = graph_.value(whole.outputs[o]).updates; old != kNone)
        chains_[old] = made.outputs[o];
      else
        add_up(whole.outputs[o], made.outputs[o],
               piece.rows.end == last_row_[static_cast<size_t>(piece.node)]);
    }
    done_[static_cast<size_t>(piece.node)] = piece.rows.end;
    for (int i : n.inputs)
      if (i != kNone) release(i);
  }

  // What a piece of a node writes, where it belongs.
  ValueId make_output(const Node& whole, const CutNode& n, size_t output, const Piece& piece,
                      const Node& made) {
    const ValueId id = whole.outputs[output];
    const int i = n.outputs[output];
    if (i != kNone && of(i).kept && piece.rows.count() == of(i).rows) return id;
    Value part = graph_.value(id);
    part.model_tensor.clear();
    for (size_t k = 0; k < whole.inputs.size(); ++k)
      if (part.updates == whole.inputs[k]) part.updates = made.inputs[k];
    if (i == kNone) return result_.add_value(std::move(part));
    part.shape[of(i).axis] = piece.rows.count();
    const ValueId v = result_.add_value(std::move(part));
    settle(i, v, piece.rows);
    return v;
  }

  void add_up(ValueId whole, ValueId term, bool last) {
    const auto [found, is_first] = sums_.try_emplace(whole, term, term);
    if (is_first) return;
    auto& [first, so_far] = found->second;
    Node sum = result_.make(Op::add, NoAttrs{}, {so_far, term}, graph_.value(whole).name + "/sum");
    if (last) sum.outputs[0] = whole;
    so_far = append(std::move(sum));
    result_.value(so_far).lies_in = first;
  }

  const Graph& graph_;
  Graph& result_;
  const Region& region_;
  const std::vector<Waits>& waits_;
  const std::string& unit_;
  std::vector<Buffer> buffers_;
  std::vector<int> done_;                                // rows made, by the region's node
  std::vector<int> last_row_;                            // that will be, by the region's node
  std::map<ValueId, std::pair<ValueId, ValueId>> sums_;  // the first term, and the sum so far
  std::map<ValueId, ValueId> chains_;  // what an update goes on from, by what it updates
  std::vector<Node> nodes_;
};

}  // namespace

std::vector<Node> emit_pieces(const Graph& graph, Graph& result, const Region& region,
                              const std::vector<Piece>& pieces, const std::string& unit) {
  return PieceEmitter(graph, result, region, pieces, {}, unit).emit(pieces);
}

Graph in_pieces(const Graph& graph, const Dependencies& dependencies, const Region& region,
                const std::vector<PieceRun>& runs, const std::vector<Waits>& waits,
                const std::string& unit) {
  std::vector<bool> gone(graph.nodes.size());
  for (const CutNode& node : region.nodes) gone[static_cast<size_t>(node.id)] = true;
  for (NodeId reshape : region.reshapes) gone[static_cast<size_t>(reshape)] = true;
  std::vector<Piece> all;
  for (const PieceRun& run : runs) all.insert(all.end(), run.pieces.begin(), run.pieces.end());
  Graph result = graph;
  result.nodes.clear();
  PieceEmitter emitter(graph, result, region, all, waits, unit);
  size_t n = 0;
  for (const PieceRun& run : runs) {
    std::vector<bool> late(graph.nodes.size());
    for (const Piece& piece : run.pieces)
      late[static_cast<size_t>(region.node(piece.node).id)] = true;
    for (size_t m = 0; m < late.size(); ++m)
      if (late[m])
        for (int after : dependencies.after[m]) late[static_cast<size_t>(after)] = true;
    std::vector<Node> waiting;
    for (; n <= static_cast<size_t>(run.behind); ++n)
      if (!gone[n]) (late[n] ? waiting : result.nodes).push_back(graph.nodes[n]);
    for (const auto& nodes : {emitter.emit(run.pieces), std::move(waiting)})
      result.nodes.insert(result.nodes.end(), nodes.begin(), nodes.end());
  }
  for (; n < gone.size(); ++n)
    if (!gone[n]) result.nodes.push_back(graph.nodes[n]);
  result.index();
  return result;
}

std::vector<int> waiting_values(const Region& region, const std::vector<Piece>& pieces) {
  std::vector<std::set<std::pair<int, int>>> made(region.values.size());
  std::vector<bool> waits(region.values.size());
  for (const Piece& piece : pieces)
    for (int i : region.node(piece.node).outputs)
      if (i != kNone) made[static_cast<size_t>(i)].insert({piece.rows.begin, piece.rows.end});
  for (const Piece& piece : pieces) {
    const CutNode& node = region.node(piece.node);
    for (int i : node.inputs) {
      if (i == kNone) continue;
      const CutValue& value = region.value(i);
      const Rows rows = rows_read(region, node, i, piece.rows);
      if (value.maker != kNone && !value.kept &&
          !made[static_cast<size_t>(i)].contains({rows.begin, rows.end}))
        waits[static_cast<size_t>(i)] = true;
    }
  }
  std::vector<int> values;
  for (size_t i = 0; i < waits.size(); ++i)
    if (waits[i]) values.push_back(static_cast<int>(i));
  return values;
}

}  // namespace attune
