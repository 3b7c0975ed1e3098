#include "graph/memory/memory_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "graph/passes/passes.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

// Whether two storages at these offsets share a byte at some time.
bool overlap(const Storage& a, int64_t a_at, const Storage& b, int64_t b_at) {
  for (const StorageRange& p : a.ranges)
    for (const StorageRange& q : b.ranges) {
      if (a_at + p.offset >= b_at + q.offset + q.bytes ||
          b_at + q.offset >= a_at + p.offset + p.bytes)
        continue;
      for (const Life& x : p.lives)
        for (const Life& y : q.lives)
          if (x.first <= y.last && y.first <= x.last) return true;
    }
  return false;
}

void check_plan(const Graph& graph, const MemoryPlan& plan) {
  const auto& storages = plan.storage.storages;
  int64_t top = 0;
  for (size_t a = 0; a < storages.size(); ++a) {
    if (!storages[a].in_arena) {
      CHECK(plan.offsets[a] == -1);
      continue;
    }
    REQUIRE(plan.offsets[a] >= 0);
    CHECK(plan.offsets[a] % storages[a].alignment == 0);
    if (storages[a].bytes >= static_cast<int64_t>(kTensorAlignment))
      CHECK(storages[a].alignment == static_cast<int64_t>(kTensorAlignment));
    top = std::max(top, plan.offsets[a] + storages[a].bytes);
    for (size_t b = 0; b < a; ++b)
      if (storages[b].in_arena &&
          overlap(storages[a], plan.offsets[a], storages[b], plan.offsets[b]))
        FAIL_CHECK(graph.value(storages[a].root).name
                   << " and " << graph.value(storages[b].root).name << " overlap");
  }
  CHECK(top == plan.arena_bytes);
  CHECK(plan.lower_bound <= plan.arena_bytes);
}

// What each value holds is there until its last reader, step by step: independent of storages' own
// idea of when they live.
void check_contents(const Graph& graph, const MemoryPlan& plan) {
  const int steps = static_cast<int>(graph.nodes.size());
  std::vector<int> last(graph.values.size(), -1);
  // Parts of a value that are seen where they lie are there as long as it, or as they are read.
  std::vector<std::vector<ValueId>> parts(graph.values.size());
  for (int s = 0; s < steps; ++s) {
    const Node& node = graph.nodes[static_cast<size_t>(s)];
    if (node.op == Op::slice && is_view(graph, node))
      parts[static_cast<size_t>(node.inputs[0])].push_back(node.outputs[0]);
    else
      for (ValueId v : node.inputs)
        if (v != kNone) last[static_cast<size_t>(v)] = s;
  }
  for (const Port& port : graph.outputs) last[static_cast<size_t>(port.value)] = steps;

  const auto in_arena = [&](ValueId v) {
    const int storage = plan.storage.of_value[static_cast<size_t>(v)];
    return storage >= 0 && plan.storage.storages[static_cast<size_t>(storage)].in_arena;
  };
  const auto bytes = [&](ValueId v) {
    const Value& value = graph.value(v);
    return static_cast<int64_t>(
        dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements())));
  };
  std::vector<ValueId> alive;
  const std::function<void(ValueId)> comes_alive = [&](ValueId v) {
    alive.push_back(v);
    for (ValueId part : parts[static_cast<size_t>(v)]) comes_alive(part);
  };
  for (const Port& port : graph.inputs) comes_alive(port.value);
  for (int s = 0; s < steps; ++s) {
    const Node& node = graph.nodes[static_cast<size_t>(s)];
    // Parts put together where they lie, and parts of what lies there, are not written.
    const bool view = node.op != Op::reshape && is_view(graph, node);
    for (ValueId y : node.outputs) {
      if (y == kNone || !in_arena(y)) continue;
      if (view) {
        if (node.op == Op::concat) comes_alive(y);
        continue;
      }
      for (ValueId x : alive) {
        // Read later, or by this node: then only an operator that works in place may write there.
        if (last[static_cast<size_t>(x)] < s || !in_arena(x)) continue;
        const int64_t a = plan.offset_of(y), b = plan.offset_of(x);
        if (a >= b + bytes(x) || b >= a + bytes(y)) continue;
        bool allowed = node.op == Op::reshape && node.inputs[0] == x;
        for (size_t i = 0; i < node.inputs.size(); ++i)
          if (node.inputs[i] == x && (op_info(node.op).in_place >> i & 1) && y == node.outputs[0])
            allowed |= last[static_cast<size_t>(x)] == s && a == b && bytes(x) == bytes(y);
        // A view's source may be read on; the two are the same bytes.
        for (ValueId v = x; !allowed && graph.value(v).producer != kNone;) {
          const Node& maker = graph.nodes[static_cast<size_t>(graph.value(v).producer)];
          if (maker.op != Op::reshape) break;
          v = maker.inputs[0];
          allowed = node.op == Op::reshape && node.inputs[0] == v;
        }
        if (!allowed)
          FAIL_CHECK(node.name << " writes " << graph.value(y).name << " over "
                               << graph.value(x).name << ", which is still read");
      }
      comes_alive(y);
    }
  }
}

TEST_CASE("no two tensors of shared models overlap, and the arena is near the lower bound") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model) continue;
    for (const char* scheme : {"full", "head", "bias:5", "last:2"})
      for (const int batch : {1, 8}) {
        const Compiled compiled =
            compile(*model, options_with(scheme, [&](CompileOptions& o) { o.batch = batch; }));
        for (const PlanProgram& program : compiled.contents.programs) {
          CAPTURE(name);
          CAPTURE(std::string(scheme));
          CAPTURE(batch);
          CAPTURE(program_name(program.kind));
          check_plan(program.graph, program.memory);
          check_contents(program.graph, program.memory);
          // Programs share an arena: one that needs less than training is packed no further.
          const double training =
              static_cast<double>(program.kind == ProgramKind::train_step
                                      ? 0
                                      : compiled.contents.programs[0].memory.arena_bytes);
          CHECK(static_cast<double>(program.memory.arena_bytes) <=
                std::max(training, 1.01 * static_cast<double>(program.memory.lower_bound)));
        }
      }
  }
}

TEST_CASE("a sparse scheme needs less memory than a full one") {
  const auto arena = [](const char* scheme) {
    const Compiled compiled = compile(convnet(), options_with(scheme));
    return compiled.contents.programs.front().memory.arena_bytes;
  };
  CHECK(arena("head") < arena("full"));
  CHECK(arena("head") <= arena("bias:2"));
}

TEST_CASE("scheduling never raises the peak and changes no value") {
  for (const char* scheme : {"full", "bias:3"}) {
    Compiled compiled = compile(convnet(), options_with(scheme));
    for (PlanProgram& program : compiled.contents.programs) {
      Graph again = program.graph;
      schedule(again);
      again.verify();
      CHECK(plan_memory(again).lower_bound <= program.memory.lower_bound);
    }
  }
}

TEST_CASE("a graph without temporaries needs no arena but its inputs") {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {3});
  graph.outputs.push_back({"y", x});
  const MemoryPlan plan = plan_memory(graph);
  CHECK(plan.arena_bytes == 16);
  CHECK(plan.lower_bound == 16);
  CHECK(plan_memory(Graph()).arena_bytes == 0);
}

// y = tanh(x) in rows of a buffer: two rows of x[1,4,64], then the two others over them.
Graph rows_in_a_buffer(bool read_first_rows_late) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {1, 4, 64});
  const Shape half{1, 2, 64};
  const ValueId a = graph.emit(Op::slice, SliceAttrs{1, 0}, {x}, "a", &half);
  const ValueId b = graph.emit(Op::slice, SliceAttrs{1, 2}, {x}, "b", &half);
  const ValueId first = graph.emit(Op::tanh, NoAttrs{}, {a}, "first");
  graph.outputs.push_back({"early", graph.emit(Op::reduce, ReduceAttrs{7}, {first}, "early")});
  const ValueId second = graph.emit(Op::tanh, NoAttrs{}, {b}, "second");
  graph.value(second).lies_in = first;
  if (read_first_rows_late)
    graph.outputs.push_back({"late", graph.emit(Op::reduce, ReduceAttrs{7}, {first}, "late")});
  graph.outputs.push_back({"end", graph.emit(Op::reduce, ReduceAttrs{7}, {second}, "end")});
  graph.value(a).lies_in = graph.value(b).lies_in = x;
  graph.value(b).lies_at = 128;
  graph.index();
  graph.verify();
  return graph;
}

TEST_CASE("values in one buffer share its memory, one after the other") {
  const Graph graph = rows_in_a_buffer(false);
  CHECK(is_view(graph, graph.nodes[0]));
  CHECK(is_view(graph, graph.nodes[1]));
  const MemoryPlan plan = plan_memory(graph);
  check_plan(graph, plan);
  // Half of x is gone when the buffer is there.
  CHECK(plan.arena_bytes < 1024 + 512 + 3 * 64);
  CHECK(contains(error_of([] { plan_memory(rows_in_a_buffer(true)); }),
                 "overwrites 'first' before its last reader"));
}

TEST_CASE("values that cannot lie where they are said to are refused") {
  Graph graph = rows_in_a_buffer(false);
  graph.value(graph.nodes[0].outputs[0]).lies_at = -1;
  CHECK(contains(error_of([&] { graph.verify(); }), "cannot lie -1 elements into 'x'"));
}

TEST_CASE("the same graph gives the same memory plan") {
  const Compiled compiled = compile(convnet(), options_with("full"));
  for (const PlanProgram& program : compiled.contents.programs)
    for (const PackEffort effort : {PackEffort::quick, PackEffort::full, PackEffort::thorough})
      CHECK(plan_memory(program.graph, effort).offsets ==
            plan_memory(program.graph, effort).offsets);
  const PlanProgram& train = compiled.contents.programs.front();
  CHECK(plan_memory(train.graph).offsets == train.memory.offsets);
}

// x and `depth` functions of it, one of the other; then their sum, from the last to the first: as
// in training, what comes first is kept to the end.
Graph deep_graph(int depth) {
  Graph graph;
  std::vector<ValueId> kept = {graph.add_input("x", DType::f32, {64})};
  for (int i = 0; i < depth; ++i)
    kept.push_back(graph.emit(Op::tanh, NoAttrs{}, {kept.back()}, "tanh"));
  ValueId sum = kept.back();
  for (int i = depth - 1; i >= 0; --i)
    sum = graph.emit(Op::add, NoAttrs{}, {sum, kept[static_cast<size_t>(i)]}, "sum");
  graph.outputs.push_back({"y", sum});
  graph.index();
  return graph;
}

// By pairs of what is alive together, 20,000 tensors would take hours, and the pairs 10 GB.
TEST_CASE("a deep graph is scheduled and packed in time by its depth") {
  constexpr int kDepth = 20'000;
  Graph graph = deep_graph(kDepth);
  schedule(graph);
  const MemoryPlan plan = plan_memory(graph);
  CHECK(plan.lower_bound >= int64_t{256} * kDepth);
  CHECK(plan.is_tight());
}

}  // namespace
}  // namespace attune::test
