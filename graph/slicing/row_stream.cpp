#include "graph/slicing/row_stream.h"

#include <algorithm>
#include <functional>
#include <map>

namespace attune {
namespace {

int64_t row_bytes(const Value& value, int height) {
  return static_cast<int64_t>(
             dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements()))) /
         height;
}

// Values that somebody outside the region reads.
std::vector<bool> read_outside(const Graph& graph, const std::vector<bool>& inside) {
  std::vector<bool> read(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    if (!inside[n])
      for (ValueId v : graph.nodes[n].inputs)
        if (v != kNone) read[static_cast<size_t>(v)] = true;
  for (const Port& port : graph.outputs) read[static_cast<size_t>(port.value)] = true;
  return read;
}

// The input that a node may write its rows over: read by nobody else, and made in the region.
int overwritten_input(const Graph& graph, const RowRegion& region, const RowNode& node) {
  const Node& n = graph.nodes[static_cast<size_t>(node.id)];
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    if (node.inputs[i] == kNone || !(op_info(n.op).in_place >> i & 1)) continue;
    const RowImage& x = region.images[static_cast<size_t>(node.inputs[i])];
    const Value &from = graph.value(x.value), &to = graph.value(n.outputs[0]);
    if (x.maker == kNone || x.kept || x.readers.size() != 1) continue;
    if (from.dtype == to.dtype && from.shape == to.shape) return static_cast<int>(i);
  }
  return kNone;
}

}  // namespace

RowRegion row_region(const Graph& graph, const std::vector<bool>& candidates, NodeId end) {
  std::vector<bool> inside(graph.nodes.size());
  inside[static_cast<size_t>(end)] = true;
  for (NodeId n = end; n >= 0; --n) {
    if (!inside[static_cast<size_t>(n)]) continue;
    for (ValueId v : graph.nodes[static_cast<size_t>(n)].inputs) {
      const NodeId producer = v == kNone ? kNone : graph.value(v).producer;
      if (producer != kNone && candidates[static_cast<size_t>(producer)])
        inside[static_cast<size_t>(producer)] = true;
    }
  }
  const std::vector<bool> read = read_outside(graph, inside);
  RowRegion region;
  std::map<std::pair<ValueId, int>, int> images;  // by value and axis of the rows
  const auto image_of = [&](ValueId v, int axis) {
    const auto [at, fresh] = images.try_emplace({v, axis}, static_cast<int>(region.images.size()));
    if (fresh) {
      const int height = graph.shape(v)[axis];
      region.images.push_back({v,
                               axis,
                               height,
                               row_bytes(graph.value(v), height),
                               kNone,
                               read[static_cast<size_t>(v)],
                               {}});
    }
    return at->second;
  };
  for (NodeId id = 0; id <= end; ++id) {
    if (!inside[static_cast<size_t>(id)]) continue;
    const Node& node = graph.nodes[static_cast<size_t>(id)];
    const int index = static_cast<int>(region.nodes.size());
    RowNode made{id, *row_rule(graph, node), {}, kNone, kNone};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int axis = made.rule.axes[i];
      made.inputs.push_back(axis >= 0 ? image_of(node.inputs[i], axis) : kNone);
      if (made.inputs.back() != kNone)
        region.images[static_cast<size_t>(made.inputs.back())].readers.push_back(index);
    }
    made.output = image_of(node.outputs[0], 1);
    region.images[static_cast<size_t>(made.output)].maker = index;
    region.nodes.push_back(std::move(made));
  }
  region.end = static_cast<int>(region.nodes.size()) - 1;
  region.images[static_cast<size_t>(region.nodes.back().output)].kept = true;
  for (RowNode& node : region.nodes) node.overwrites = overwritten_input(graph, region, node);
  return region;
}

std::vector<Strip> stream(const RowRegion& region, const std::vector<int>& rows) {
  std::vector<Strip> strips;
  std::vector<int> done(region.nodes.size());
  const std::function<void(int, int)> make = [&](int n, int until) {
    const RowNode& node = region.nodes[static_cast<size_t>(n)];
    const int height = region.images[static_cast<size_t>(node.output)].height;
    int& made = done[static_cast<size_t>(n)];
    while (made < until) {
      const Rows next{made, std::min(made + rows[static_cast<size_t>(n)], height)};
      for (int input : node.inputs) {
        if (input == kNone) continue;
        const RowImage& image = region.images[static_cast<size_t>(input)];
        if (image.maker != kNone)
          make(image.maker, node.rule.windows.reads(next, image.height).end);
      }
      strips.push_back({n, next});
      made = next.end;
    }
  };
  const auto all_of = [&](int n) {
    make(n, region.images[static_cast<size_t>(region.nodes[static_cast<size_t>(n)].output)].height);
  };
  all_of(region.end);
  for (const RowImage& image : region.images)
    if (image.maker != kNone && image.kept) all_of(image.maker);
  return strips;
}

int first_needed(const RowRegion& region, const RowImage& image, const std::vector<int>& done) {
  if (image.kept) return 0;
  int first = image.height;
  for (int reader : image.readers) {
    const RowNode& node = region.nodes[static_cast<size_t>(reader)];
    const int made = done[static_cast<size_t>(reader)];
    if (made == region.images[static_cast<size_t>(node.output)].height) continue;
    first = std::min(first, node.rule.windows.reads({made, made + 1}, image.height).begin);
  }
  return first;
}

int64_t stream_bytes(const RowRegion& region, const std::vector<Strip>& strips) {
  std::vector<int> done(region.nodes.size());
  std::vector<int64_t> held(region.images.size());
  int64_t now = 0, most = 0;
  const auto set = [&](int i, int64_t bytes) {
    now += bytes - held[static_cast<size_t>(i)];
    held[static_cast<size_t>(i)] = bytes;
  };
  const auto settle = [&](int i) {
    const RowImage& image = region.images[static_cast<size_t>(i)];
    const int first = first_needed(region, image, done);
    if (image.maker == kNone) {  // all there, and gone row by row
      set(i, image.row_bytes * (image.height - first));
      return;
    }
    const int made = done[static_cast<size_t>(image.maker)];
    set(i, image.row_bytes * std::max(0, made - first));
  };
  for (size_t i = 0; i < region.images.size(); ++i) settle(static_cast<int>(i));
  for (const Strip& strip : strips) {
    const RowNode& node = region.nodes[static_cast<size_t>(strip.node)];
    const RowImage& output = region.images[static_cast<size_t>(node.output)];
    int64_t passing = output.row_bytes * strip.rows.count();
    if (node.overwrites != kNone) passing = 0;
    // Rows that do not lie together, as those of a planar image, are copied together.
    for (int i : node.inputs) {
      if (i == kNone || region.images[static_cast<size_t>(i)].axis == 1) continue;
      const RowImage& image = region.images[static_cast<size_t>(i)];
      passing += image.row_bytes * node.rule.windows.reads(strip.rows, image.height).count();
    }
    most = std::max(most, now + passing);
    done[static_cast<size_t>(strip.node)] = strip.rows.end;
    for (int i : node.inputs)
      if (i != kNone) settle(i);
    settle(node.output);
  }
  return most;
}

}  // namespace attune
