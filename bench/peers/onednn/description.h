#pragma once

#include <cmath>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

// The network that export_model.py wrote; network.py says what is in the files.
namespace onednn_peer {

using Dims = dnnl::memory::dims;

struct Node {
  std::string op;
  std::vector<int> inputs;
  Dims weight;  // OIHW or OI, of a layer
  Dims stride, kernel, pad_begin{0, 0}, pad_end{0, 0};
  int64_t groups = 1;
  bool clamps = false;
  float low = 0, high = 0;

  bool is_layer() const { return op == "conv" || op == "linear"; }
  bool is_relu() const { return clamps && std::isinf(high); }
};

struct Description {
  Dims input;  // batch first
  std::vector<Node> nodes;
  std::vector<bool> weight_trained, bias_trained;  // by layer
  std::vector<float> parameters;                   // weight and bias of each layer in turn
  std::vector<float> labels, images;
};

// Throws std::runtime_error.
Description read_description(const std::string& folder, const std::string& model,
                             const std::string& scheme, int batch);

}  // namespace onednn_peer
