#include "sparse_update/cost/representative.h"

#include <fmt/format.h>

#include "graph/import/model_writer.h"

namespace attune {

ModelPtr mobile_network(const MobileNetwork& options) {
  ModelWriter net({3, options.resolution, options.resolution});
  const bool norm = options.norms;
  const auto activate = [&] { options.hard_swish ? net.plain("HardSwish") : net.clamp6(); };
  net.convolution(options.widths.front(), {3, 3, 2, false, norm});
  activate();
  for (size_t stage = 0; stage < options.widths.size(); ++stage)
    for (int block = 0; block < options.blocks; ++block) {
      const std::string before = net.at();
      const int64_t inputs = net.channels(), outputs = options.widths[stage];
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      net.convolution(inputs * options.expansion, {1, 1, 1, false, norm});
      activate();
      net.convolution(net.channels(), {options.kernel, options.kernel, stride, true, norm});
      activate();
      net.convolution(outputs, {1, 1, 1, false, norm});
      if (stride == 1 && inputs == outputs) net.add_from(before);
    }
  net.convolution(options.widths.back() * 4, {1, 1, 1, false, norm});
  activate();
  net.classifier(10);
  return net.finish("mobile");
}

ModelPtr residual_network(int resolution, const std::vector<int>& widths) {
  ModelWriter net({3, resolution, resolution});
  net.convolution(widths.front(), {7, 7, 2});
  net.plain("Relu");
  net.max_pool();
  for (size_t stage = 0; stage < widths.size(); ++stage) {
    if (stage > 0) {
      net.convolution(widths[stage], {3, 3, 2});
      net.plain("Relu");
    }
    const std::string before = net.at();
    net.convolution(widths[stage], {3, 3, 1});
    net.plain("Relu");
    net.convolution(widths[stage], {3, 3, 1});
    net.add_from(before);
    net.plain("Relu");
  }
  net.classifier(10);
  return net.finish("residual");
}

ModelPtr keyword_network(int width) {
  ModelWriter net({1, 49, 10});
  net.convolution(width, {10, 4, 2});
  net.plain("Relu");
  for (int block = 0; block < 3; ++block) {
    net.convolution(width, {3, 3, 1, true, true});
    net.plain("Relu");
    net.convolution(width, {1, 1, 1, false, true});
    net.plain("Relu");
  }
  net.average_pool(24, 5);
  net.plain("Flatten");
  net.linear(10);
  return net.finish("keywords");
}

ModelPtr dense_network(const std::vector<int>& widths) {
  ModelWriter net({widths.front()});
  for (size_t i = 1; i < widths.size(); ++i) {
    net.linear(widths[i]);
    if (i + 1 < widths.size()) net.plain("Relu");
  }
  return net.finish("dense");
}

std::vector<RepresentativePlan> representative_plans() {
  std::vector<RepresentativePlan> plans;
  const auto add = [&](const ModelPtr& model, const std::string& name, const std::string& scheme,
                       int batch, OptimizerKind optimizer = OptimizerKind::momentum,
                       CompileOptions options = {}) {
    options.scheme = scheme;
    options.batch = batch;
    options.optimizer.kind = optimizer;
    const std::string shown = scheme.starts_with('{') ? "slices" : scheme;
    plans.push_back({fmt::format("{}, {}, batch {}", name, shown, batch), model, options});
  };
  const std::string half = R"({"bias_last": 20, "layers": [{"layer": 10, "input_channels": 0.5},
      {"layer": 13, "input_channels": 0.25}, {"layer": 16, "input_channels": 0.5},
      {"layer": 17, "output_channels": 0.5}, {"layer": 19, "input_channels": 0.5},
      {"layer": 22}, {"layer": 25, "input_channels": 0.125}]})";
  const ModelPtr narrow = mobile_network({128, {8, 16, 24, 40, 56, 96}, 4, 3, 2, false, false});
  const ModelPtr wide = mobile_network({224, {16, 24, 32, 64, 96, 320}, 6, 3, 2, true, false});
  const ModelPtr fives = mobile_network({96, {16, 24, 40, 72, 112}, 5, 5, 2, true, true});
  const ModelPtr sevens = mobile_network({160, {16, 24, 40, 80, 96}, 3, 7, 1, false, false});
  for (const int batch : {1, 8}) {
    add(narrow, "narrow mobile network", "full", batch);
    add(narrow, "narrow mobile network", half, batch);
    add(wide, "wide mobile network", "full", batch);
    add(wide, "wide mobile network", "bias:12", batch);
    add(fives, "mobile network of 5x5", "full", batch, OptimizerKind::adam);
    add(fives, "mobile network of 5x5", half, batch, OptimizerKind::adam);
    add(sevens, "mobile network of 7x7", "full", batch, OptimizerKind::sgd);
    add(residual_network(96, {32, 64, 128, 256}), "residual network", "full", batch);
    add(keyword_network(64), "keyword network", "full", batch);
    add(keyword_network(32), "keyword network", "last:3", batch);
    add(dense_network({784, 512, 256, 10}), "dense network", "full", batch);
  }
  const auto in_little_memory = [&](int side, bool bytes) {
    CompileOptions options;
    options.tile = options.split_gradients = true;
    if (bytes) {
      options.preprocess.front_end = FrontEnd::image;
      options.preprocess.image.width = options.preprocess.image.height = side;
    }
    return options;
  };
  CompileOptions masks;
  masks.remake_masks = true;
  add(narrow, "narrow mobile network, masks made again", "full", 1, OptimizerKind::sgd, masks);
  add(narrow, "narrow mobile network in little memory", half, 1, OptimizerKind::sgd,
      in_little_memory(128, true));
  add(fives, "mobile network of 5x5 in little memory", half, 1, OptimizerKind::momentum,
      in_little_memory(96, false));
  add(residual_network(64, {16, 32, 64}), "residual network", "last:2", 32);
  add(dense_network({128, 1024, 1024, 10}), "dense network", "full", 64, OptimizerKind::adam);
  return plans;
}

}  // namespace attune
