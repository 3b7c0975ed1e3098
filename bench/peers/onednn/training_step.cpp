#include "bench/peers/onednn/training_step.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "bench/peers/onednn/loops.h"

namespace onednn_peer {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;

memory::desc any(const Dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

memory::desc plain(const Dims& dims) {
  using Tag = memory::format_tag;
  constexpr Tag kTags[] = {Tag::a, Tag::ab, Tag::abc, Tag::abcd, Tag::abcde};
  return {dims, memory::data_type::f32, kTags[dims.size() - 1]};
}

int64_t elements(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Batch, channels, and the size of what a window sees.
Dims windowed(const Dims& input, int64_t channels, const Node& node, const Dims& kernel) {
  Dims dims{input[0], channels};
  for (size_t i = 0; i < 2; ++i)
    dims.push_back(
        (input[i + 2] + node.pad_begin[i] + node.pad_end[i] - kernel[i]) / node.stride[i] + 1);
  return dims;
}

}  // namespace

TrainingStep::TrainingStep(Description description, bool collect)
    : given_(std::move(description)), collect_(collect) {
  look_ahead();
  build_forward();
  build_loss();
  build_backward();
  give_scratchpads();
}

float TrainingStep::run() {
  for (const auto& step : steps_) step();
  collect_ = false;
  return loss_;
}

void TrainingStep::write_gradients(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  for (const Layer& layer : layers_)
    for (const auto* gradient : {&layer.weight_gradient, &layer.bias_gradient})
      file.write(reinterpret_cast<const char*>(gradient->data()),
                 static_cast<std::streamsize>(gradient->size() * sizeof(float)));
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

// ---- Building blocks ----

TrainingStep::Buffer TrainingStep::buffer(const Desc& desc) {
  Pool::Hold hold = pool_.take(desc.get_size());
  return {memory(desc, engine_, hold.get()), hold};
}

TrainingStep::Buffer TrainingStep::kept(const Desc& desc) {
  Pool::Hold hold = pool_.keep(desc.get_size());
  return {memory(desc, engine_, hold.get()), hold};
}

dnnl::primitive_attr TrainingStep::attributes(const Node* clamping) const {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (clamping && clamping->clamps) {
    dnnl::post_ops ops;
    if (clamping->is_relu())
      ops.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
    else
      ops.append_eltwise(1, algorithm::eltwise_clip_v2, clamping->low, clamping->high);
    attr.set_post_ops(ops);
  }
  return attr;
}

template <class Primitive>
void TrainingStep::add(const typename Primitive::primitive_desc& pd, Args args) {
  if (pd.scratchpad_desc().get_size() > 0) {
    const memory scratchpad(pd.scratchpad_desc(), engine_, nullptr);
    scratchpads_.push_back(scratchpad);
    args[DNNL_ARG_SCRATCHPAD] = scratchpad;
  }
  steps_.push_back([this, primitive = Primitive(pd), args = std::move(args)] {
    primitive.execute(stream_, args);
  });
}

// Primitives run one after the other, so all share one scratchpad.
void TrainingStep::give_scratchpads() {
  size_t most = 0;
  for (const memory& s : scratchpads_) most = std::max(most, s.get_desc().get_size());
  const Pool::Hold room = pool_.keep(most);
  for (memory& s : scratchpads_) s.set_data_handle(room.get());
}

// Once, while building.
void TrainingStep::reorder_now(const memory& from, const memory& to) {
  memory source = from, target = to;
  dnnl::reorder(source, target).execute(stream_, source, target);
  stream_.wait();
}

TrainingStep::Buffer TrainingStep::in_layout(const Buffer& from, const Desc& desc) {
  if (from.desc() == desc) return from;
  const Buffer to = buffer(desc);
  add<dnnl::reorder>({from.mem, to.mem, attributes()},
                     {{DNNL_ARG_FROM, from.mem}, {DNNL_ARG_TO, to.mem}});
  return to;
}

TrainingStep::Buffer TrainingStep::sum(const Buffer& a, const Buffer& b, const Buffer& to,
                                       const Node* clamping) {
  const dnnl::binary::desc desc(algorithm::binary_add, a.desc(), b.desc(), to.desc());
  add<dnnl::binary>({desc, attributes(clamping), engine_},
                    {{DNNL_ARG_SRC_0, a.mem}, {DNNL_ARG_SRC_1, b.mem}, {DNNL_ARG_DST, to.mem}});
  return to;
}

// Where a gradient has other holders, what is made of it goes elsewhere.
TrainingStep::Buffer TrainingStep::writable(const Buffer& gradient) {
  return gradient.hold.use_count() == 1 ? gradient : buffer(gradient.desc());
}

prop_kind TrainingStep::kind(const Value& output) const {
  return output.needs_gradient ? prop_kind::forward_training : prop_kind::forward_inference;
}

void TrainingStep::look_ahead() {
  values_.resize(given_.nodes.size() + 1);
  for (size_t i = 0; i < given_.nodes.size(); ++i) {
    const Node& node = given_.nodes[i];
    Value& output = values_[i + 1];
    bool saves_input = false;
    if (node.is_layer()) {
      Layer layer;
      layer.weight_trained = saves_input = given_.weight_trained[layers_.size()];
      layer.bias_trained = given_.bias_trained[layers_.size()];
      output.needs_gradient = layer.weight_trained || layer.bias_trained;
      layers_.push_back(std::move(layer));
    }
    for (int v : node.inputs) {
      output.needs_gradient |= value(v).needs_gradient;
      value(v).saved |= saves_input;
      value(v).last_reader = i;
    }
    output.saved |= node.clamps && output.needs_gradient;
  }
}

// ---- Forward ----

void TrainingStep::build_forward() {
  Value& images = values_[0];
  images.dims = given_.input;
  images.desc = plain(given_.input);
  images.data = kept(images.desc);
  std::copy(given_.images.begin(), given_.images.end(), images.data.data());
  next_parameter_ = given_.parameters.data();
  auto layer = layers_.begin();
  for (size_t i = 0; i < given_.nodes.size(); ++i) {
    const Node& node = given_.nodes[i];
    Value& output = values_[i + 1];
    if (node.op == "conv") {
      conv_forward(node, *layer++, output);
    } else if (node.op == "linear") {
      linear_forward(node, *layer++, output);
    } else if (node.op == "add") {
      const Value &a = value(node.inputs[0]), &b = value(node.inputs[1]);
      output.dims = a.dims;
      const Buffer other = in_layout(b.data, a.desc);
      output.data = sum(a.data, other, buffer(a.desc), &node);
    } else {
      pool_forward(i, output);
    }
    output.desc = output.data.desc();
    for (int v : node.inputs)
      if (value(v).last_reader == i && !value(v).saved) value(v).data = {};
  }
}

void TrainingStep::conv_forward(const Node& node, Layer& layer, Value& output) {
  const Value& input = value(node.inputs[0]);
  const Dims& w = node.weight;
  layer.dims = w;
  if (node.groups > 1) layer.dims = {node.groups, w[0] / node.groups, w[1], w[2], w[3]};
  output.dims = windowed(input.dims, w[0], node, {w[2], w[3]});
  const dnnl::convolution_forward::desc desc(
      kind(output), algorithm::convolution_direct, any(input.dims), any(layer.dims), plain({w[0]}),
      any(output.dims), node.stride, node.pad_begin, node.pad_end);
  layer.conv.emplace(desc, attributes(&node), engine_);
  layer_forward<dnnl::convolution_forward>(*layer.conv, layer, input, output);
}

void TrainingStep::linear_forward(const Node& node, Layer& layer, Value& output) {
  const Value& input = value(node.inputs[0]);
  layer.dims = {node.weight[0], node.weight[1], 1, 1};
  output.dims = {input.dims[0], node.weight[0]};
  const dnnl::inner_product_forward::desc desc(kind(output), any(input.dims), any(layer.dims),
                                               plain({node.weight[0]}), any(output.dims));
  layer.linear.emplace(desc, attributes(&node), engine_);
  layer_forward<dnnl::inner_product_forward>(*layer.linear, layer, input, output);
}

template <class Forward>
void TrainingStep::layer_forward(const typename Forward::primitive_desc& pd, Layer& layer,
                                 const Value& input, Value& output) {
  const int64_t weights = elements(layer.dims), outputs = output.dims[1];
  layer.weight = kept(pd.weights_desc());
  layer.bias = kept(plain({outputs}));
  reorder_now(memory(plain(layer.dims), engine_, const_cast<float*>(next_parameter_)),
              layer.weight.mem);
  std::copy_n(next_parameter_ + weights, outputs, layer.bias.data());
  next_parameter_ += weights + outputs;
  if (layer.weight_trained) layer.weight_velocity = kept(layer.weight.desc());
  if (layer.bias_trained) layer.bias_velocity = kept(layer.bias.desc());

  const Buffer source = in_layout(input.data, pd.src_desc());
  output.data = buffer(pd.dst_desc());
  add<Forward>(pd, {{DNNL_ARG_SRC, source.mem},
                    {DNNL_ARG_WEIGHTS, layer.weight.mem},
                    {DNNL_ARG_BIAS, layer.bias.mem},
                    {DNNL_ARG_DST, output.data.mem}});
}

void TrainingStep::pool_forward(size_t i, Value& output) {
  Node window = given_.nodes[i];
  const Value& input = value(window.inputs[0]);
  algorithm how = algorithm::pooling_max;
  if (window.op == "mean") {
    how = algorithm::pooling_avg_exclude_padding;
    window.kernel = {input.dims[2], input.dims[3]};
  } else if (window.op != "max_pool") {
    throw std::runtime_error("no primitive for the operator " + window.op);
  }
  output.dims = windowed(input.dims, input.dims[1], window, window.kernel);
  const dnnl::pooling_forward::desc desc(kind(output), how, input.desc, any(output.dims),
                                         window.stride, window.kernel, window.pad_begin,
                                         window.pad_end);
  Pooling pooling{window, {desc, attributes(&window), engine_}, {}};
  output.data = buffer(pooling.forward.dst_desc());
  Args args{{DNNL_ARG_SRC, input.data.mem}, {DNNL_ARG_DST, output.data.mem}};
  if (pooling.forward.workspace_desc().get_size() > 0) {
    pooling.workspace = buffer(pooling.forward.workspace_desc());
    args[DNNL_ARG_WORKSPACE] = pooling.workspace.mem;
  }
  add<dnnl::pooling_forward>(pooling.forward, std::move(args));
  poolings_.emplace(i, std::move(pooling));
}

void TrainingStep::build_loss() {
  Value& scores = values_.back();
  const Buffer logits = in_layout(scores.data, plain(scores.dims));
  const Buffer gradient = buffer(plain(scores.dims));
  steps_.push_back(
      [this, from = logits.data(), to = gradient.data(), n = scores.dims[0],
       classes = scores.dims[1]] { loss_ = cross_entropy(from, given_.labels, to, n, classes); });
  scores.gradient = in_layout(gradient, scores.desc);
}

// ---- Backward ----

void TrainingStep::build_backward() {
  size_t layer = layers_.size();
  for (size_t i = given_.nodes.size(); i-- > 0;) {
    const Node& node = given_.nodes[i];
    Value& output = values_[i + 1];
    if (node.is_layer()) --layer;
    if (output.needs_gradient) {
      if (node.clamps) mask_gradient(node, output);
      if (node.op == "conv") {
        conv_backward(node, layers_[layer], output);
      } else if (node.op == "linear") {
        linear_backward(node, layers_[layer], output);
      } else if (node.op == "add") {
        for (int v : node.inputs) contribute(value(v), output.gradient);
      } else {
        pool_backward(poolings_.at(i), output, value(node.inputs[0]));
      }
    }
    // All that reads it comes later in the network: it is done with.
    output.gradient = {}, output.data = {};
  }
}

void TrainingStep::mask_gradient(const Node& node, Value& output) {
  const bool relu = node.is_relu();
  const algorithm how =
      relu ? algorithm::eltwise_relu_use_dst_for_bwd : algorithm::eltwise_clip_v2_use_dst_for_bwd;
  const float alpha = node.low, beta = relu ? 0 : node.high;
  const dnnl::eltwise_forward::primitive_desc hint(
      {prop_kind::forward_training, how, output.desc, alpha, beta}, engine_);
  const dnnl::eltwise_backward::desc desc(how, output.desc, output.desc, alpha, beta);
  const Buffer to = writable(output.gradient);
  add<dnnl::eltwise_backward>({desc, attributes(), engine_, hint},
                              {{DNNL_ARG_DST, output.data.mem},
                               {DNNL_ARG_DIFF_DST, output.gradient.mem},
                               {DNNL_ARG_DIFF_SRC, to.mem}});
  output.gradient = to;
}

void TrainingStep::contribute(Value& to, const Buffer& gradient) {
  if (!to.needs_gradient) return;
  const Buffer part = in_layout(gradient, to.desc);
  to.gradient = to.gradient.hold ? sum(to.gradient, part, writable(to.gradient)) : part;
}

void TrainingStep::conv_backward(const Node& node, Layer& layer, Value& output) {
  using Data = dnnl::convolution_backward_data;
  using Weights = dnnl::convolution_backward_weights;
  constexpr auto kHow = algorithm::convolution_direct;
  Value& input = value(node.inputs[0]);
  const Desc x = any(input.dims), w = any(layer.dims), y = any(output.dims);
  if (input.needs_gradient) {
    const Data::desc desc(kHow, x, w, y, node.stride, node.pad_begin, node.pad_end);
    data_backward<Data>({desc, attributes(), engine_, *layer.conv}, layer, output, input);
  }
  const auto desc = layer.bias_trained
                        ? Weights::desc(kHow, x, w, layer.bias.desc(), y, node.stride,
                                        node.pad_begin, node.pad_end)
                        : Weights::desc(kHow, x, w, y, node.stride, node.pad_begin, node.pad_end);
  weights_backward<Weights>({desc, attributes(), engine_, *layer.conv}, layer, output, input);
}

void TrainingStep::linear_backward(const Node& node, Layer& layer, Value& output) {
  using Data = dnnl::inner_product_backward_data;
  using Weights = dnnl::inner_product_backward_weights;
  Value& input = value(node.inputs[0]);
  const Desc x = any(input.dims), w = any(layer.dims), y = any(output.dims);
  if (input.needs_gradient)
    data_backward<Data>({{x, w, y}, attributes(), engine_, *layer.linear}, layer, output, input);
  const auto desc =
      layer.bias_trained ? Weights::desc(x, w, layer.bias.desc(), y) : Weights::desc(x, w, y);
  weights_backward<Weights>({desc, attributes(), engine_, *layer.linear}, layer, output, input);
}

template <class Backward>
void TrainingStep::data_backward(const typename Backward::primitive_desc& pd, const Layer& layer,
                                 const Value& output, Value& input) {
  Buffer weight = layer.weight;
  if (weight.desc() != pd.weights_desc()) {
    if (layer.weight_trained) {
      weight = in_layout(weight, pd.weights_desc());
    } else {
      weight = kept(pd.weights_desc());
      reorder_now(layer.weight.mem, weight.mem);
    }
  }
  const Buffer from = in_layout(output.gradient, pd.diff_dst_desc());
  const Buffer to = buffer(pd.diff_src_desc());
  add<Backward>(
      pd,
      {{DNNL_ARG_DIFF_DST, from.mem}, {DNNL_ARG_WEIGHTS, weight.mem}, {DNNL_ARG_DIFF_SRC, to.mem}});
  contribute(input, to);
}

// After `data_backward`, which reads the weight before its update.
template <class Backward>
void TrainingStep::weights_backward(const typename Backward::primitive_desc& pd, Layer& layer,
                                    const Value& output, const Value& input) {
  const Buffer bias = buffer(layer.bias.desc());
  if (layer.weight_trained) {
    const Buffer from = in_layout(output.gradient, pd.diff_dst_desc());
    const Buffer source = in_layout(input.data, pd.src_desc());
    const Buffer gradient = buffer(pd.diff_weights_desc());
    Args args{{DNNL_ARG_SRC, source.mem},
              {DNNL_ARG_DIFF_DST, from.mem},
              {DNNL_ARG_DIFF_WEIGHTS, gradient.mem}};
    if (layer.bias_trained) args[DNNL_ARG_DIFF_BIAS] = bias.mem;
    add<Backward>(pd, std::move(args));
    add_update(layer.weight, layer.weight_velocity, in_layout(gradient, layer.weight.desc()),
               layer.dims, &layer.weight_gradient);
  } else if (layer.bias_trained) {
    steps_.push_back([from = output.gradient.mem, to = bias.data()] { bias_gradient(from, to); });
  }
  if (layer.bias_trained)
    add_update(layer.bias, layer.bias_velocity, bias, bias.desc().dims(), &layer.bias_gradient);
}

void TrainingStep::pool_backward(const Pooling& pooling, const Value& output, Value& input) {
  const auto how =
      pooling.window.op == "mean" ? algorithm::pooling_avg_exclude_padding : algorithm::pooling_max;
  if (!input.needs_gradient) return;
  const dnnl::pooling_backward::desc desc(how, input.desc, output.desc, pooling.window.stride,
                                          pooling.window.kernel, pooling.window.pad_begin,
                                          pooling.window.pad_end);
  const Buffer to = buffer(input.desc);
  Args args{{DNNL_ARG_DIFF_DST, output.gradient.mem}, {DNNL_ARG_DIFF_SRC, to.mem}};
  if (pooling.workspace.hold) args[DNNL_ARG_WORKSPACE] = pooling.workspace.mem;
  add<dnnl::pooling_backward>({desc, attributes(), engine_, pooling.forward}, std::move(args));
  contribute(input, to);
}

void TrainingStep::add_update(const Buffer& parameter, const Buffer& velocity,
                              const Buffer& gradient, const Dims& dims,
                              std::vector<float>* collected) {
  // A layout may pad, with zeros that stay zeros.
  steps_.push_back([this, parameter, velocity, from = gradient.mem, dims, collected] {
    if (collect_) {
      collected->resize(static_cast<size_t>(elements(dims)));
      reorder_now(from, memory(plain(dims), engine_, collected->data()));
    }
    update(parameter.data(), velocity.data(), static_cast<const float*>(from.get_data_handle()),
           parameter.floats());
  });
}

}  // namespace onednn_peer
