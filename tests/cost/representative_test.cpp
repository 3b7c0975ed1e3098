// What a machine is profiled with.
#include "sparse_update/cost/representative.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/cost/support.h"

namespace attune::test {
namespace {

TEST_CASE("the built-in plans have every operator of networks that are usually trained") {
  std::set<std::string> ops;
  for (const RepresentativePlan& plan : representative_plans()) {
    CAPTURE(plan.name);
    CompileOptions options = plan.options;
    options.batch = 1;
    const Compiled compiled = compile(*plan.model, options);
    for (const PlanProgram& program : compiled.contents.programs)
      for (const Node& node : program.graph.nodes) ops.insert(op_name(node.op));
  }
  for (const char* op : {"conv2d",
                         "conv2d_grad_input",
                         "conv2d_grad_weight",
                         "depthwise_conv2d",
                         "depthwise_conv2d_grad_input",
                         "depthwise_conv2d_grad_weight",
                         "linear",
                         "matmul",
                         "batch_norm",
                         "batch_norm_grad_input",
                         "batch_norm_grad_gamma",
                         "add",
                         "mask_grad",
                         "clamp_mask",
                         "hard_swish",
                         "hard_swish_grad",
                         "max_pool2d",
                         "max_pool2d_grad",
                         "avg_pool2d",
                         "reduce",
                         "broadcast_to",
                         "gather",
                         "slice",
                         "concat",
                         "normalize",
                         "softmax_cross_entropy",
                         "softmax_cross_entropy_grad",
                         "count_correct",
                         "sgd",
                         "momentum",
                         "adam"}) {
    CAPTURE(std::string(op));
    CHECK(ops.contains(op));
  }
}

TEST_CASE("gradients of a built-in network neither vanish nor explode") {
  CompileOptions options;
  options.scheme = "full";
  options.batch = 2;
  options.expose_gradients = true;
  const ModelPtr model =
      mobile_network({.resolution = 64, .widths = {8, 16, 24, 40}, .expansion = 4});
  const CompiledPlan compiled(*model, options);
  const auto session = compiled.session({});
  const Tensor x = session->port(ProgramKind::train_step, PortRole::input).tensor;
  for (int64_t i = 0; i < x.shape.elements(); ++i)
    x.as<float>()[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  for (const char* port : {"labels", "weights", "learning_rate"}) {
    const Tensor t = session->input(ProgramKind::train_step, port);
    for (int64_t i = 0; i < t.shape.elements(); ++i) {
      if (t.dtype == DType::i32)
        t.as<int32_t>()[i] = 0;
      else
        t.as<float>()[i] = port == std::string("weights") ? 1.0f : 0.0f;
    }
  }
  require(session->run(ProgramKind::train_step));
  int weights = 0;
  for (const format::Parameter* p : compiled.parameters()) {
    if (p->model_shape()->size() < 2) continue;
    CAPTURE(p->name()->str());
    double sum = 0;
    const std::vector<double> gradient =
        reals_of(session->output(ProgramKind::train_step, "grad:" + p->name()->str()));
    for (const double g : gradient) sum += g * g;
    const double rms = std::sqrt(sum / static_cast<double>(gradient.size()));
    CHECK(rms > 1e-6);
    CHECK(rms < 1e3);
    ++weights;
  }
  CHECK(weights > 20);
}

}  // namespace
}  // namespace attune::test
