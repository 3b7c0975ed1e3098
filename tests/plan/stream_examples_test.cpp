#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "engine/random.h"
#include "graph/ir/interpret.h"
#include "graph/memory/memory_plan.h"
#include "graph/passes/passes.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr WorthStreaming kAlways = {0, 0, 1000};

// The same plan with its training step's first layers one example at a time, or nothing.
std::optional<Compiled> streamed(const Compiled& whole, const WorthStreaming& worth = kAlways) {
  Compiled made = whole;
  PlanProgram& program = made.contents.programs[0];
  if (!stream_examples(program.graph, worth)) return std::nullopt;
  program.graph.verify();
  program.memory = plan_memory(program.graph);
  made.plan = write_plan(made.contents);
  return made;
}

using Results = std::map<std::string, std::vector<double>>;

std::vector<double> reals_of(DType dtype, const std::byte* bytes, size_t size) {
  std::vector<double> reals;
  if (dtype == DType::f64) {
    reals.resize(size / sizeof(double));
    std::memcpy(reals.data(), bytes, size);
  } else {
    for (size_t i = 0; i < size / sizeof(float); ++i) {
      float x;
      std::memcpy(&x, bytes + i * sizeof(float), sizeof(float));
      reals.push_back(x);
    }
  }
  return reals;
}

// Two steps of an untrained plan: the outputs of the last, by port, and the state.
Results results_of(const Compiled& compiled, BackendChoice backend) {
  const LoadedPlan loaded(compiled.plan);
  SessionOptions options;
  options.backend = backend;
  options.poison = true;
  const auto session = make_session(loaded.plan(), options);
  train(*session, 2);
  Results results;
  const Graph& graph = compiled.contents.programs[0].graph;
  for (const Port& port : graph.outputs) {
    const Tensor out = session->output(ProgramKind::train_step, port.name);
    REQUIRE(out);
    results[port.name] = reals_of(out.dtype, out.as<std::byte>(), out.bytes());
  }
  results["state"] = reals_of(graph.real, session->state().data(), session->state().size());
  return results;
}

void check_close(const Results& actual, const Results& expected, double tolerance) {
  REQUIRE(actual.size() == expected.size());
  for (const auto& [port, values] : expected) {
    CAPTURE(port);
    const std::vector<double>& ours = actual.at(port);
    REQUIRE(ours.size() == values.size());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      difference += (ours[i] - values[i]) * (ours[i] - values[i]);
      norm += values[i] * values[i];
    }
    CHECK(std::sqrt(difference) <= tolerance * std::sqrt(norm));
  }
}

int examples_in(const Graph& graph) {
  int count = 0;
  for (const Node& node : graph.nodes) count += node.name.ends_with("/example0");
  return count;
}

// A batch of images in, by hand: one operator after the other.
struct Images {
  explicit Images(Shape shape) : x(graph.add_input("x", DType::f32, shape)) {}

  ValueId constant(Shape shape) {
    std::vector<double> reals(static_cast<size_t>(shape.elements()));
    for (double& r : reals) r = static_cast<double>(random.below(2001)) / 1000 - 1;
    return graph.add_constant("c", shape, std::move(reals));
  }
  ValueId op(Op op, std::vector<ValueId> from, AnyAttrs attrs = NoAttrs{}) {
    return graph.emit(op, std::move(attrs), std::move(from), op_name(op));
  }
  ValueId conv(ValueId from, int32_t channels) {
    Conv2dAttrs attrs;
    attrs.pad_top = attrs.pad_left = attrs.pad_bottom = attrs.pad_right = 1;
    const int32_t in = graph.shape(from)[3];
    return op(Op::conv2d, {from, constant({channels, 3, 3, in}), constant({channels})}, attrs);
  }
  void output(const char* port, ValueId v) { graph.outputs.push_back({port, v}); }

  std::vector<std::vector<std::byte>> interpreted() const {
    HostTensor input = HostTensor::zeros(DType::f32, graph.shape(x));
    for (int64_t i = 0; i < input.shape.elements(); ++i)
      input.as<float>()[i] = static_cast<float>(i * 31 % 251) / 125 - 1;
    const auto values = interpret(graph, {{graph.value(graph.inputs[0].value).name, input}});
    std::vector<std::vector<std::byte>> outputs;
    for (const Port& port : graph.outputs)
      outputs.push_back(values[static_cast<size_t>(port.value)].bytes);
    return outputs;
  }

  // The first layers go by examples, and compute the same bits.
  void check_streamed() {
    graph.verify();
    const auto expected = interpreted();
    REQUIRE(stream_examples(graph, kAlways));
    graph.verify();
    CHECK(interpreted() == expected);
  }

  Random random{3, 1};
  Graph graph;
  ValueId x;
};

TEST_CASE("first layers of one example after the other train what whole batches train") {
  const OnnxModel model = convnet();
  for (const std::string scheme : {"full", "last:1", "last:2", "bias:1", "head"})
    for (const OptimizerKind optimizer : {OptimizerKind::sgd, OptimizerKind::adam})
      for (const int batch : {2, 5, 16, 34}) {
        CAPTURE(scheme);
        CAPTURE(batch);
        const Compiled whole = compile(model, options_with(scheme, [&](CompileOptions& o) {
                                         o.batch = batch;
                                         o.real = DType::f64;
                                         o.optimizer.kind = optimizer;
                                         o.expose_gradients = true;
                                       }));
        const auto parts = streamed(whole);
        REQUIRE(parts);
        CHECK(examples_in(parts->contents.programs[0].graph) >= 3);
        check_close(results_of(*parts, BackendChoice::reference),
                    results_of(whole, BackendChoice::reference), 1e-9);
      }
}

TEST_CASE("one example, and a batch that has no such parts, stay whole") {
  const OnnxModel model = convnet();
  for (const int batch : {1, 17})
    CHECK_FALSE(streamed(
        compile(model, options_with("full", [&](CompileOptions& o) { o.batch = batch; }))));
  // What fits in a cache, too, and layers whose weights are as large as an example.
  const Compiled small = compile(model, options_with("full"));
  CHECK_FALSE(streamed(compile(model, options_with("full")), {0, 1 << 20}));
  CHECK_FALSE(streamed(small, {1000, 0}));
  // And layers that compute for longer than they read.
  CHECK(streamed(small, {0, 0, 100}));
  CHECK_FALSE(streamed(small, {0, 0, 0}));
}

TEST_CASE("frozen first layers need the memory of one example") {
  Images net({8, 32, 32, 3});
  const ValueId y = net.conv(net.conv(net.x, 16), 16);
  net.output("y", net.op(Op::reduce, {y}, ReduceAttrs{0b0110, true}));
  const int64_t whole = plan_memory(net.graph).arena_bytes;
  net.check_streamed();
  const int64_t input = net.graph.shape(net.x).elements() * 4;
  CHECK(plan_memory(net.graph).arena_bytes - input < (whole - input) / 6);
}

TEST_CASE("all operators that keep examples apart go by examples") {
  Images net({4, 9, 7, 4});
  const ValueId a = net.conv(net.x, 4);
  const ValueId b = net.op(Op::hard_swish, {net.op(Op::add, {a, net.x})});
  const ValueId c = net.op(Op::mul, {net.op(Op::sigmoid, {b}), net.constant({4})});
  Pool2dAttrs pool;
  pool.kernel_h = pool.kernel_w = 3;
  pool.stride_h = pool.stride_w = 2;
  const ValueId d = net.op(Op::max_pool2d, {c}, pool);
  TransposeAttrs turn;
  turn.perm[1] = 3, turn.perm[2] = 1, turn.perm[3] = 2;
  const ValueId e = net.op(Op::transpose, {net.op(Op::avg_pool2d, {d}, pool)}, turn);
  net.output("early", b);
  net.output("y", net.op(Op::tanh, {e}));
  const size_t nodes = net.graph.nodes.size();
  net.check_streamed();
  CHECK(examples_in(net.graph) == static_cast<int>(nodes));
}

TEST_CASE("what mixes examples sees the whole batch") {
  Images net({4, 6, 6, 2});
  const ValueId a = net.conv(net.conv(net.x, 4), 4);
  TransposeAttrs across;
  across.perm[0] = 1, across.perm[1] = 0;
  const ValueId b = net.op(Op::transpose, {a}, across);
  net.output("turned", net.op(Op::tanh, {b}));
  net.output("mean", net.op(Op::reduce, {a}, ReduceAttrs{0b0001, true}));
  net.check_streamed();
  CHECK(examples_in(net.graph) == 2);
  // A weight with as many rows as the batch has examples is no batch.
  Images alike({4, 6, 6, 4});
  alike.output("y", alike.conv(alike.op(Op::add, {alike.conv(alike.x, 4), alike.x}), 4));
  alike.check_streamed();
  // One for each example is, however it came about.
  Images table({4, 6, 6, 4});
  table.output("y", table.op(Op::add, {table.x, table.constant({4, 1, 1, 4})}));
  CHECK_FALSE(stream_examples(table.graph, kAlways));
}

TEST_CASE("a sum over the batch in the middle of the first layers ends them") {
  Images net({8, 8, 8, 3});
  const ValueId a = net.conv(net.conv(net.x, 4), 4);
  const ValueId sum = net.op(Op::reduce, {a}, ReduceAttrs{0b0111});
  const ValueId mean = net.op(Op::scale, {sum}, ScaleAttrs{.factor = 1.0 / 512});
  net.output("y", net.op(Op::tanh, {net.op(Op::sub, {a, mean})}));
  net.check_streamed();
  CHECK(examples_in(net.graph) == 2);
}

TEST_CASE("a computed weight with as many rows as the batch has examples is no batch") {
  Images net({8, 6, 6, 3});
  const ValueId a = net.conv(net.x, 4);
  Node& first = net.graph.nodes.back();
  std::get<Conv2dAttrs>(first.attrs).clamp_min = 0;
  const ValueId mask = net.graph.want_output(first, 1);
  const ValueId w = net.op(Op::scale, {net.constant({8, 3, 3, 4})}, ScaleAttrs{.factor = 2});
  const ValueId b = net.op(Op::conv2d, {a, w}, Conv2dAttrs{});
  const ValueId labels = net.graph.add_input("labels", DType::i32, {8});
  const ValueId weights = net.graph.add_input("weights", DType::f32, {8});
  const Shape flat = {8, 8};
  const ValueId mean = net.op(Op::reduce, {b}, ReduceAttrs{0b0110, true});
  const ValueId logits = net.graph.emit(Op::reshape, NoAttrs{}, {mean}, "logits", &flat);
  net.output("loss", net.op(Op::softmax_cross_entropy, {logits, labels, weights}));
  // As if it came from the loss.
  const ValueId dy = net.op(Op::tanh, {net.constant({8, 4, 4, 8})});
  Conv2dAttrs sized;
  sized.input_h = sized.input_w = 6;
  net.output("dx", net.op(Op::conv2d_grad_input, {dy, w, mask}, sized));
  net.graph.verify();
  CHECK(stream_examples(net.graph, kAlways));
  net.graph.verify();
}

TEST_CASE("networks from images to images train by examples up to their loss") {
  OnnxBuilder net;
  net.tensor("w1", {8, 3, 3, 3}, 0.1, 0).tensor("w2", {3, 8, 3, 3}, 0.1, 0);
  for (int layer = 1; layer <= 2; ++layer) {
    onnx::NodeProto& conv = net.node("Conv", {layer == 1 ? "x" : "r", "w" + std::to_string(layer)},
                                     {layer == 1 ? "c" : "y"});
    set_ints(conv, "pads", {1, 1, 1, 1});
    if (layer == 1) net.node("Relu", {"c"}, {"r"});
  }
  net.input("x", {-1, 3, 16, 16}).output("y");
  const Compiled whole = compile(net.model(), options_with("full", [](CompileOptions& o) {
                                   o.loss = Loss::mean_squared_error;
                                   o.batch = 8;
                                   o.real = DType::f64;
                                   o.stream = false;
                                   o.expose_gradients = true;
                                 }));
  const auto parts = streamed(whole);
  REQUIRE(parts);
  check_close(results_of(*parts, BackendChoice::reference),
              results_of(whole, BackendChoice::reference), 1e-9);
}

TEST_CASE("published networks train alike with whole batches and by examples") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model) continue;
    CAPTURE(name);
    for (const std::string scheme : {"full", "bias:9"}) {
      CompileOptions options = options_with(scheme, [](CompileOptions& o) { o.classes = 10; });
      const Compiled parts = compile(*model, options);
      options.stream = false;
      const Compiled whole = compile(*model, options);
      CAPTURE(scheme);
      const bool images = !name.starts_with("ds_cnn");
      CHECK((examples_in(parts.contents.programs[0].graph) > 0) == images);
      if (!images) continue;
      const auto arena = [](const Compiled& c) {
        return c.contents.programs[0].memory.arena_bytes;
      };
      if (scheme != "full") CHECK(10 * arena(parts) < 6 * arena(whole));
      for (const BackendChoice backend : {BackendChoice::simd, BackendChoice::best})
        check_close(results_of(parts, backend), results_of(whole, backend), 1e-4);
    }
  }
}

}  // namespace
}  // namespace attune::test
