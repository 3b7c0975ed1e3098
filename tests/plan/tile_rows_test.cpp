#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "engine/random.h"
#include "graph/ir/interpret.h"
#include "graph/memory/memory_plan.h"
#include "graph/passes/passes.h"
#include "graph/plan/read_plan.h"
#include "graph/slicing/row_stream.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

// A forward network of images, built by hand.
class Network {
 public:
  Network(int32_t height, int32_t width, int32_t channels, uint64_t seed = 1) : random_(seed, 7) {
    x = graph.add_input("x", DType::f32, {1, height, width, channels});
  }

  struct Window {
    int32_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  };

  ValueId conv(ValueId from, int32_t channels, Window w) {
    const int32_t in = graph.shape(from)[3];
    return graph.emit(Op::conv2d, attrs(w),
                      {from, constant({channels, w.kernel, w.kernel, in}), constant({channels})},
                      "conv");
  }
  ValueId depthwise(ValueId from, Window w) {
    const int32_t c = graph.shape(from)[3];
    return graph.emit(Op::depthwise_conv2d, attrs(w),
                      {from, constant({w.kernel, w.kernel, c}), constant({c})}, "depthwise");
  }
  ValueId pool(Op op, ValueId from, Window w) {
    Pool2dAttrs a;
    a.kernel_h = a.kernel_w = w.kernel;
    a.stride_h = a.stride_w = w.stride;
    a.pad_top = a.pad_left = a.pad_bottom = a.pad_right = w.pad;
    a.count_padding = op == Op::avg_pool2d;
    return graph.emit(op, a, {from}, "pool");
  }
  ValueId op(Op op, std::vector<ValueId> from, AnyAttrs attrs = NoAttrs{}) {
    return graph.emit(op, std::move(attrs), std::move(from), op_name(op));
  }
  ValueId clamp(ValueId from) { return op(Op::clamp, {from}, ClampAttrs{-0.5, 0.5}); }
  void output(const char* port, ValueId v) { graph.outputs.push_back({port, v}); }

  ValueId constant(Shape shape) {
    std::vector<double> reals(static_cast<size_t>(shape.elements()));
    for (double& r : reals) r = static_cast<double>(random_.below(2001)) / 1000 - 1;
    return graph.add_constant("c", shape, std::move(reals));
  }

  Graph graph;
  ValueId x = kNone;

 private:
  static Conv2dAttrs attrs(Window w) {
    Conv2dAttrs a;
    a.stride_h = a.stride_w = w.stride;
    a.pad_top = a.pad_left = a.pad_bottom = a.pad_right = w.pad;
    a.dilation_h = a.dilation_w = w.dilation;
    return a;
  }
  Random random_;
};

Compiled plan_of(Graph graph) {
  Compiled compiled;
  PlanProgram program{ProgramKind::predict, 1, std::move(graph), {}};
  program.memory = plan_memory(program.graph);
  compiled.contents.loss = "cross_entropy";
  compiled.contents.optimizer = "sgd";
  compiled.contents.programs.push_back(std::move(program));
  compiled.plan = write_plan(compiled.contents);
  return compiled;
}

using Bytes = std::vector<std::byte>;

// What a session of the plan computes, its arena poisoned and guarded.
std::vector<Bytes> outputs_of(const Graph& graph, BackendChoice backend) {
  const Compiled compiled = plan_of(graph);
  const LoadedPlan loaded(compiled.plan);
  SessionOptions options;
  options.backend = backend;
  options.poison = true;
  const auto session = make_session(loaded.plan(), options);
  std::vector<Bytes> outputs;
  for (uint64_t run = 0; run < 2; ++run) {
    fill_inputs(*session, ProgramKind::predict, 3 + run);
    const Status status = session->run(ProgramKind::predict);
    REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
    for (const Port& port : graph.outputs) {
      const Tensor tensor = session->output(ProgramKind::predict, port.name);
      const auto* bytes = tensor.as<std::byte>();
      outputs.emplace_back(bytes, bytes + tensor.bytes());
    }
  }
  return outputs;
}

std::vector<Bytes> interpreted(const Graph& graph) {
  HostTensor x = HostTensor::zeros(graph.value(graph.inputs[0].value).dtype,
                                   graph.shape(graph.inputs[0].value));
  for (size_t i = 0; i < x.bytes.size(); ++i)
    if (x.dtype == DType::u8) x.bytes[i] = static_cast<std::byte>(i * 31 % 251);
  if (x.dtype == DType::f32)
    for (int64_t i = 0; i < x.shape.elements(); ++i)
      x.as<float>()[i] = static_cast<float>(i * 31 % 251) / 125 - 1;
  const std::vector<HostTensor> values = interpret(graph, {{graph.inputs[0].name, x}});
  std::vector<Bytes> outputs;
  for (const Port& port : graph.outputs)
    outputs.push_back(values[static_cast<size_t>(port.value)].bytes);
  return outputs;
}

// Tiles a graph, for the smallest peak and for budgets between that and the whole, and compares.
void check_tiled(const Graph& graph, bool must_tile = true) {
  graph.verify();
  const std::vector<Bytes> expected = interpreted(graph);
  const std::vector<Bytes> session = outputs_of(graph, BackendChoice::reference);
  const int64_t whole = plan_memory(graph).arena_bytes;
  Graph smallest = graph;
  if (!tile_rows(smallest)) {
    CHECK_FALSE(must_tile);
    return;
  }
  const int64_t least = plan_memory(smallest).arena_bytes;
  CHECK(least < whole);
  for (const int64_t budget : {int64_t{0}, least + (whole - least) / 3}) {
    CAPTURE(budget);
    Graph tiled = graph;
    REQUIRE(tile_rows(tiled, budget));
    tiled.verify();
    CHECK(interpreted(tiled) == expected);
    CHECK(outputs_of(tiled, BackendChoice::reference) == session);
    // The plan read back means the same.
    const Compiled compiled = plan_of(tiled);
    const LoadedPlan loaded(compiled.plan);
    CHECK(interpreted(graph_of_plan(loaded.plan(), ProgramKind::predict, DType::f32)) == expected);
  }
}

TEST_CASE("a chain of layers tiled by rows computes the same bits") {
  for (const int32_t height : {8, 17, 32})
    for (const int32_t kernel : {1, 3, 5, 7})
      for (const int32_t stride : {1, 2, 3}) {
        CAPTURE(height);
        CAPTURE(kernel);
        CAPTURE(stride);
        Network n(height, 11, 4);
        ValueId y = n.conv(n.x, 24, {3, 1, 1, 1});
        y = n.depthwise(y, {kernel, stride, kernel / 2, 1});
        y = n.conv(y, 3, {1, 1, 0, 1});
        y = n.conv(n.clamp(n.conv(y, 16, {1, 1, 0, 1})), 2, {3, 2, 1, 1});
        n.output("y", y);
        check_tiled(n.graph, height > 8);
      }
}

TEST_CASE("rows of a constant image are copied, as nothing lies in a constant") {
  Network n(32, 16, 3);
  const ValueId a = n.clamp(n.conv(n.x, 16, {3, 1, 1, 1}));
  const ValueId wide =
      n.op(Op::concat, {n.constant({1, 32, 16, 4}), a, n.constant({1, 32, 16, 4})}, AxisAttrs{3});
  n.output("y", n.conv(n.clamp(n.conv(wide, 24, {3, 1, 1, 1})), 2, {3, 2, 1, 1}));
  check_tiled(n.graph);
}

TEST_CASE("residual joins keep the rows that the longer way is behind") {
  Network n(24, 16, 4);
  ValueId y = n.conv(n.x, 8, {3, 2, 1, 1});
  for (int block = 0; block < 3; ++block) {
    const ValueId wide = n.clamp(n.conv(y, 32, {1, 1, 0, 1}));
    const ValueId out = n.conv(n.depthwise(wide, {5, 1, 2, 1}), 8, {1, 1, 0, 1});
    y = n.op(Op::add, {y, out});
  }
  n.output("y", n.op(Op::hard_swish, {y}));
  check_tiled(n.graph);
}

TEST_CASE("pools, dilation, asymmetric padding, and joins of channels are tiled") {
  Network n(29, 13, 3);
  ValueId y = n.conv(n.x, 12, {3, 1, 2, 2});
  const ValueId left = n.pool(Op::max_pool2d, y, {3, 2, 1, 1});
  const ValueId right = n.pool(Op::avg_pool2d, n.op(Op::sigmoid, {y}), {3, 2, 1, 1});
  y = n.op(Op::concat, {left, right}, AxisAttrs{3});
  Conv2dAttrs uneven;
  uneven.pad_top = 2, uneven.pad_bottom = 0, uneven.pad_left = 1, uneven.pad_right = 0;
  y = n.graph.emit(Op::conv2d, uneven, {y, n.constant({5, 3, 3, 24})}, "uneven");
  y = n.op(Op::mul, {y, n.constant({5})});
  n.output("y", n.op(Op::add, {y, n.constant({1, n.graph.shape(y)[1], 1, 5})}));
  n.graph.verify();
  Graph tiled = n.graph;
  // The last join adds rows of a constant, which has no rows to stream: it stays whole.
  CHECK(tile_rows(tiled));
  check_tiled(n.graph);
}

TEST_CASE("what is read behind the tiled layers is whole again") {
  Network n(20, 20, 4);
  const ValueId first = n.conv(n.x, 4, {3, 2, 1, 1});
  const ValueId wide = n.conv(first, 64, {1, 1, 0, 1});
  const ValueId second = n.depthwise(wide, {3, 1, 1, 1});
  const ValueId narrow = n.conv(second, 4, {1, 1, 0, 1});
  n.output("narrow", n.op(Op::tanh, {narrow}));
  ReduceAttrs mean;
  mean.axes = 6, mean.mean = true;
  n.output("mean", n.op(Op::reduce, {first}, mean));  // also read in strips by the wide layer
  check_tiled(n.graph);
}

TEST_CASE("images of bytes, planes, and views of an input are read in strips") {
  {
    Network n(1, 1, 1);
    n.graph = Graph();
    n.x = n.graph.add_input("x", DType::f32, {1, 1, 31, 10});
    const Shape image{1, 31, 10, 1};
    const ValueId view = n.graph.emit(Op::reshape, NoAttrs{}, {n.x}, "view", &image);
    n.output("y", n.conv(n.conv(view, 32, {3, 2, 1, 1}), 2, {3, 2, 1, 1}));
    check_tiled(n.graph);
  }
  {
    // The view lies on an input that something else changes in place behind the strips.
    Network n(1, 1, 1);
    n.graph = Graph();
    n.x = n.graph.add_input("x", DType::f32, {1, 1, 31, 10});
    const Shape image{1, 31, 10, 1};
    const ValueId view = n.graph.emit(Op::reshape, NoAttrs{}, {n.x}, "view", &image);
    n.output("y", n.conv(n.conv(view, 32, {3, 2, 1, 1}), 2, {3, 2, 1, 1}));
    n.output("changed", n.op(Op::tanh, {n.x}));
    check_tiled(n.graph);
  }
  {
    Network n(1, 1, 1);
    n.graph = Graph();
    n.x = n.graph.add_input("x", DType::u8, {1, 31, 9, 3});
    const ValueId image = n.op(Op::normalize, {n.x, n.constant({3}), n.constant({3})});
    n.output("y", n.conv(n.conv(image, 32, {3, 2, 1, 1}), 2, {3, 2, 1, 1}));
    check_tiled(n.graph);
  }
  {
    Network n(1, 1, 1);
    n.graph = Graph();
    n.x = n.graph.add_input("x", DType::f32, {1, 3, 31, 10});
    TransposeAttrs perm;
    perm.perm[1] = 2, perm.perm[2] = 3, perm.perm[3] = 1;
    const ValueId image = n.op(Op::transpose, {n.x}, perm);
    n.output("y", n.conv(n.conv(image, 32, {3, 2, 1, 1}), 2, {3, 2, 1, 1}));
    check_tiled(n.graph);
  }
}

TEST_CASE("signals are tiled along time, through reshapes that keep it") {
  // [1,1,T,C] and [1,T,C] in turn, as an importer makes them.
  for (const int32_t kernel : {1, 4, 5})
    for (const int32_t stride : {1, 3}) {
      CAPTURE(kernel);
      CAPTURE(stride);
      Network n(1, 1, 1);
      n.graph = Graph();
      n.x = n.graph.add_input("x", DType::f32, {1, 3, 200});
      TransposeAttrs perm;
      perm.perm[1] = 2, perm.perm[2] = 1;
      ValueId y = n.op(Op::transpose, {n.x}, perm);
      const auto conv = [&](int32_t channels, int32_t size, int32_t step) {
        const Shape from = n.graph.shape(y), image{1, 1, from[1], from[2]};
        y = n.graph.emit(Op::reshape, NoAttrs{}, {y}, "image", &image);
        Conv2dAttrs attrs;
        attrs.stride_w = step;
        attrs.pad_left = size / 2, attrs.pad_right = (size - 1) / 2;
        y = n.op(Op::conv2d, {y, n.constant({channels, 1, size, from[2]})}, attrs);
        const Shape sequence{1, n.graph.shape(y)[2], channels};
        y = n.graph.emit(Op::reshape, NoAttrs{}, {y}, "sequence", &sequence);
      };
      conv(24, kernel, 1);
      y = n.clamp(y);
      const ValueId early = y;
      conv(16, 3, stride);
      y = n.op(Op::hard_swish, {y});
      conv(2, kernel, 2);
      n.output("y", n.op(Op::tanh, {y}));
      check_tiled(n.graph);
      // Read outside, and as another shape.
      n.output("early", n.op(Op::reduce, {early}, ReduceAttrs{2, true}));
      check_tiled(n.graph);
    }
}

TEST_CASE("rows of constants are cut when compiling") {
  Network n(32, 16, 3);
  const ValueId a = n.clamp(n.conv(n.x, 16, {3, 1, 1, 1}));
  const ValueId wide =
      n.op(Op::concat, {n.constant({1, 32, 16, 4}), a, n.constant({1, 32, 16, 4})}, AxisAttrs{3});
  n.output("y", n.conv(n.clamp(n.conv(wide, 24, {3, 1, 1, 1})), 2, {3, 2, 1, 1}));
  check_tiled(n.graph);
}

TEST_CASE("random networks tiled by rows compute the same bits") {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    CAPTURE(seed);
    Random random(seed, 5);
    const auto pick = [&](int32_t low, int32_t high) {
      return low + static_cast<int32_t>(random.below(static_cast<uint32_t>(high - low + 1)));
    };
    Network n(pick(9, 40), pick(3, 12), pick(1, 5), seed);
    std::vector<ValueId> images = {n.x};
    ValueId y = n.x;
    for (int layer = 0; layer < 9; ++layer) {
      const int32_t height = n.graph.shape(y)[1], width = n.graph.shape(y)[2];
      const int32_t kernel = std::min({pick(0, 3) * 2 + 1, height, width});
      const Network::Window w{kernel, height > 5 ? pick(1, 2) : 1, kernel / 2, 1};
      switch (pick(0, 6)) {
        case 0:
        case 1:
          y = n.conv(y, pick(1, 24), w);
          break;
        case 2:
          y = n.depthwise(y, w);
          break;
        case 3:
          y = n.pool(pick(0, 1) ? Op::max_pool2d : Op::avg_pool2d, y, w);
          break;
        case 4:
          y = n.op(Op::hard_swish, {y});
          break;
        default:
          for (ValueId other : images)
            if (other != y && n.graph.shape(other) == n.graph.shape(y)) {
              y = n.op(Op::add, {other, y});
              break;
            }
      }
      images.push_back(y);
    }
    if (n.graph.nodes.empty()) continue;
    n.output("y", y == n.x ? n.op(Op::tanh, {y}) : y);
    if (const ValueId tap = images[static_cast<size_t>(pick(1, 8))]; tap != n.x && tap != y)
      n.output("tap", tap);
    remove_dead(n.graph);
    n.graph.index();
    check_tiled(n.graph, false);
  }
}

TEST_CASE("operators that need all rows, several examples or masks are not cut") {
  const auto last_is_cut = [](const Graph& graph) {
    return find_row_rules(graph).back().has_value();
  };
  Network n(8, 8, 4);
  const ValueId y = n.conv(n.x, 4, {3, 1, 1, 1});
  CHECK(last_is_cut(n.graph));
  Network masked = n;
  masked.graph.want_output(masked.graph.nodes[0], 1);
  CHECK_FALSE(last_is_cut(masked.graph));
  ReduceAttrs sum;
  sum.axes = 2;
  n.op(Op::reduce, {y}, sum);
  CHECK_FALSE(last_is_cut(n.graph));
  Graph batch;
  const ValueId x = batch.add_input("x", DType::f32, {2, 8, 8, 4});
  batch.emit(Op::sigmoid, NoAttrs{}, {x}, "y");
  CHECK_FALSE(last_is_cut(batch));
}

// --- whole training plans

void check_same_training(const OnnxModel& model, const CompileOptions& options,
                         BackendChoice backend, bool exact) {
  CompileOptions tiled_options = options;
  tiled_options.tile = true;
  const Compiled whole = compile(model, options), tiled = compile(model, tiled_options);
  const auto arena = [](const Compiled& c) { return c.contents.programs[0].memory.arena_bytes; };
  CHECK(arena(tiled) < arena(whole));
  const LoadedPlan plans[] = {LoadedPlan(whole.plan), LoadedPlan(tiled.plan)};
  std::vector<std::unique_ptr<Session>> sessions;
  SessionOptions session_options;
  session_options.backend = backend;
  session_options.poison = true;
  for (const LoadedPlan& plan : plans) {
    sessions.push_back(make_session(plan.plan(), session_options));
    train(*sessions.back(), 2);
  }
  const auto a = sessions[0]->state(), b = sessions[1]->state();
  REQUIRE(a.size() == b.size());
  if (exact) {
    CHECK(std::memcmp(a.data(), b.data(), a.size()) == 0);
  } else {
    const auto* x = reinterpret_cast<const float*>(a.data());
    const auto* y = reinterpret_cast<const float*>(b.data());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a.size() / 4; ++i) {
      difference += (x[i] - y[i]) * (x[i] - y[i]);
      norm += x[i] * x[i];
    }
    CHECK(difference <= 1e-10 * norm);
  }
  for (const ProgramKind kind : {ProgramKind::evaluate, ProgramKind::predict}) {
    std::vector<Bytes> results;
    for (const auto& session : sessions) {
      fill_inputs(*session, kind, 9);
      const Status status = session->run(kind);
      REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
      const Tensor out = session->output(kind, kind == ProgramKind::evaluate ? "loss" : "output");
      results.emplace_back(out.as<std::byte>(), out.as<std::byte>() + out.bytes());
    }
    if (exact) CHECK(results[0] == results[1]);
  }
}

TEST_CASE("published networks train to the same bits with and without tiling") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model || name.starts_with("ds_cnn")) continue;
    CAPTURE(name);
    const CompileOptions options = options_with("bias:9", [](CompileOptions& o) {
      o.batch = 1;
      o.classes = 10;
    });
    check_same_training(*model, options, BackendChoice::simd, true);
    if (!name.starts_with("mcunet")) continue;
    check_same_training(*model, options, BackendChoice::reference, true);
    check_same_training(*model, options, BackendChoice::best, false);
  }
}

TEST_CASE("an arena within a budget, with no more strips than that takes") {
  const auto model = shared_model("mcunet-5fps-f32.onnx");
  if (!model) return;
  const auto steps_within = [&](int64_t budget) {
    const Compiled compiled = compile(*model, options_with("bias:9", [&](CompileOptions& o) {
      o.batch = 1;
      o.classes = 10;
      o.arena_budget = budget;
    }));
    for (const PlanProgram& program : compiled.contents.programs)
      CHECK(program.memory.arena_bytes <= budget);
    return compiled.contents.programs[0].graph.nodes.size();
  };
  const size_t whole = steps_within(700 << 10), some = steps_within(450 << 10),
               many = steps_within(312 << 10);
  CHECK(whole < some);
  CHECK(some < many);
  CHECK(contains(error_of([&] { steps_within(100 << 10); }), "needs an arena of"));
}

}  // namespace
}  // namespace attune::test
