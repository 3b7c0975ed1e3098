#pragma once

#include <functional>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/peers/onednn/description.h"
#include "bench/peers/onednn/pool.h"

namespace onednn_peer {

// A training step as a fixed list of primitives. Layouts are oneDNN's choice, with reorders where
// two primitives do not agree; clamps are fused into what computes their input; a weight is updated
// as soon as its gradient is there; all memory is set aside when the list is built.
class TrainingStep {
 public:
  // `collect` keeps the gradients of the first step.
  TrainingStep(Description description, bool collect);

  // Returns the loss.
  float run();

  // Weight and bias of each layer in turn, as far as they are trained, in the layout of
  // MODEL.weights.
  void write_gradients(const std::string& path) const;

 private:
  using Desc = dnnl::memory::desc;
  using Args = std::unordered_map<int, dnnl::memory>;

  struct Buffer {
    dnnl::memory mem;
    Pool::Hold hold;

    Desc desc() const { return mem.get_desc(); }
    float* data() const { return static_cast<float*>(mem.get_data_handle()); }
    size_t floats() const { return desc().get_size() / sizeof(float); }
  };

  struct Value {
    Dims dims;
    Desc desc;              // of its data, and of its gradient
    Buffer data, gradient;  // held while they are needed
    bool needs_gradient = false;
    bool saved = false;  // for the backward pass
    size_t last_reader = 0;
  };

  struct Layer {
    Dims dims;
    Buffer weight, bias, weight_velocity, bias_velocity;
    bool weight_trained = false, bias_trained = false;
    std::optional<dnnl::convolution_forward::primitive_desc> conv;
    std::optional<dnnl::inner_product_forward::primitive_desc> linear;
    std::vector<float> weight_gradient, bias_gradient;
  };

  struct Pooling {
    Node window;
    dnnl::pooling_forward::primitive_desc forward;
    Buffer workspace;
  };

  Buffer buffer(const Desc& desc);
  Buffer kept(const Desc& desc);
  dnnl::primitive_attr attributes(const Node* clamping = nullptr) const;
  template <class Primitive>
  void add(const typename Primitive::primitive_desc& pd, Args args);
  void reorder_now(const dnnl::memory& from, const dnnl::memory& to);
  Buffer in_layout(const Buffer& from, const Desc& desc);
  Buffer sum(const Buffer& a, const Buffer& b, const Buffer& to, const Node* clamping = nullptr);
  Buffer writable(const Buffer& gradient);
  Value& value(int v) { return values_[static_cast<size_t>(v)]; }
  dnnl::prop_kind kind(const Value& output) const;

  void look_ahead();
  void build_forward();
  void conv_forward(const Node& node, Layer& layer, Value& output);
  void linear_forward(const Node& node, Layer& layer, Value& output);
  template <class Forward>
  void layer_forward(const typename Forward::primitive_desc& pd, Layer& layer, const Value& input,
                     Value& output);
  void pool_forward(size_t i, Value& output);
  void build_loss();

  void build_backward();
  void mask_gradient(const Node& node, Value& output);
  void contribute(Value& to, const Buffer& gradient);
  void conv_backward(const Node& node, Layer& layer, Value& output);
  void linear_backward(const Node& node, Layer& layer, Value& output);
  template <class Backward>
  void data_backward(const typename Backward::primitive_desc& pd, const Layer& layer,
                     const Value& output, Value& input);
  template <class Backward>
  void weights_backward(const typename Backward::primitive_desc& pd, Layer& layer,
                        const Value& output, const Value& input);
  void pool_backward(const Pooling& pooling, const Value& output, Value& input);
  void add_update(const Buffer& parameter, const Buffer& velocity, const Buffer& gradient,
                  const Dims& dims, std::vector<float>* collected);
  void give_scratchpads();

  Description given_;
  bool collect_;
  float loss_ = 0;
  const float* next_parameter_ = nullptr;
  Pool pool_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<Value> values_;
  std::vector<Layer> layers_;
  std::map<size_t, Pooling> poolings_;
  std::vector<dnnl::memory> scratchpads_;
  std::vector<std::function<void()>> steps_;
};

}  // namespace onednn_peer
