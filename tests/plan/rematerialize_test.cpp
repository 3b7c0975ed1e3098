#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "graph/memory/memory_plan.h"
#include "graph/passes/passes.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

int64_t train_arena(const Compiled& compiled) {
  return compiled.contents.programs[0].memory.arena_bytes;
}

// Trains with both plans; the same bits must come out.
void check_same_training(const Compiled& large, const Compiled& small, int64_t budget) {
  CHECK(train_arena(small) <= budget);
  CHECK(train_arena(large) > budget);
  const LoadedPlan plans[] = {LoadedPlan(large.plan), LoadedPlan(small.plan)};
  std::vector<std::unique_ptr<Session>> sessions;
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  session_options.poison = true;
  for (const LoadedPlan& plan : plans) {
    sessions.push_back(make_session(plan.plan(), session_options));
    train(*sessions.back(), 2);
  }
  const auto a = sessions[0]->state(), b = sessions[1]->state();
  REQUIRE(a.size() == b.size());
  CHECK(std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// Trains with and without a budget.
void check_same_training(const OnnxModel& model, const CompileOptions& options, int64_t budget) {
  CompileOptions small_options = options;
  small_options.arena_budget = budget;
  check_same_training(compile(model, options), compile(model, small_options), budget);
}

size_t computed_twice(const Graph& graph) {
  size_t count = 0;
  for (const Node& node : graph.nodes) count += node.name.ends_with("/again");
  return count;
}

TEST_CASE("a full update with less memory computes activations twice, and the same bits") {
  for (const bool fuse : {true, false})
    for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
      const CompileOptions options = options_with("full", [&](CompileOptions& o) {
        o.fuse = fuse;
        o.optimizer.kind = kind;
      });
      const int64_t whole = train_arena(compile(convnet(), options));
      CAPTURE(whole);
      CAPTURE(fuse);
      check_same_training(convnet(), options, whole * 9 / 10);
    }
}

TEST_CASE("a published network trained in full within half of its memory") {
  const auto model = shared_model("mcunet-5fps-f32.onnx");
  if (!model) return;
  const CompileOptions options = options_with("full", [](CompileOptions& o) {
    o.batch = 1;
    o.classes = 10;
  });
  check_same_training(*model, options, 1700 << 10);
}

TEST_CASE("the less memory, the more is computed twice; nothing where there is enough") {
  const auto model = shared_model("ds_cnn_kws-f32.onnx");
  if (!model) return;
  const CompileOptions options = options_with("full");
  const Compiled compiled = compile(*model, options);
  const Graph& graph = compiled.contents.programs[0].graph;
  const int64_t whole = train_arena(compiled);
  Graph enough = graph;
  CHECK_FALSE(rematerialize(enough, whole));
  CHECK(computed_twice(enough) == 0);
  size_t before = 0;
  for (const int percent : {90, 70, 50}) {
    Graph less = graph;
    REQUIRE(rematerialize(less, whole * percent / 100));
    less.verify();
    CHECK(computed_twice(less) > before);
    CHECK(plan_memory(less).arena_bytes < whole);
    before = computed_twice(less);
  }
}

size_t count_of(const Compiled& compiled, Op op) {
  const auto& nodes = compiled.contents.programs[0].graph.nodes;
  return static_cast<size_t>(
      std::count_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.op == op; }));
}

// Masks made again: less memory, and the same bits.
void check_remade_masks(const OnnxModel& model, CompileOptions options, double share) {
  const Compiled kept = compile(model, options);
  options.remake_masks = true;
  const Compiled remade = compile(model, options);
  CHECK(count_of(kept, Op::clamp_mask) == 0);
  CHECK(count_of(remade, Op::clamp_mask) > 0);
  CHECK(count_of(remade, Op::conv2d) == count_of(kept, Op::conv2d));
  const Graph& graph = remade.contents.programs[0].graph;
  const auto readers = graph.readers();
  for (const Node& node : graph.nodes)
    if (node.output(1) != kNone && graph.value(node.output(1)).dtype == DType::mask)
      CHECK(!readers[static_cast<size_t>(node.output(1))].empty());
  const auto most = static_cast<int64_t>(share * static_cast<double>(train_arena(kept)));
  check_same_training(kept, remade, most);
}

TEST_CASE("masks are made again from outputs that are kept anyway") {
  for (const bool fuse : {true, false}) {
    CAPTURE(fuse);
    for (const int batch : {1, 4})
      check_remade_masks(convnet(),
                         options_with("full",
                                      [&](CompileOptions& o) {
                                        o.fuse = fuse;
                                        o.batch = batch;
                                      }),
                         0.999);
  }
  for (const char* name : {"mcunet-5fps-f32.onnx", "proxyless-w0.3-f32.onnx"})
    if (const auto model = shared_model(name))
      check_remade_masks(*model,
                         options_with("full",
                                      [](CompileOptions& o) {
                                        o.batch = 1;
                                        o.classes = 10;
                                      }),
                         0.98);
}

TEST_CASE("what fits without masks made again fits with them") {
  const OnnxModel model = OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx");
  CompileOptions options = options_with("full", [](CompileOptions& o) {
    o.batch = 4;
    o.micro_batch = 2;
    o.classes = 2;
    o.optimizer.kind = OptimizerKind::sgd;
    o.arena_may_exceed = true;
  });
  for (const int64_t budget : {1, 196544, 230000}) {
    CAPTURE(budget);
    options.arena_budget = budget;
    options.remake_masks = false;
    const int64_t without = train_arena(compile(model, options));
    options.remake_masks = true;
    const int64_t with = train_arena(compile(model, options));
    CHECK(with <= std::max(without, budget));
  }
}

TEST_CASE("graphs without a loss are left alone") {
  const Compiled compiled = compile(convnet(), options_with("head"));
  Graph predict = compiled.contents.programs[2].graph;
  CHECK_FALSE(rematerialize(predict, 1));
  CHECK_FALSE(remake_masks(predict));
}

}  // namespace
}  // namespace attune::test
