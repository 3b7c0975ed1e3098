#include "tests/random/random_network.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace attune::test {
namespace {

using Dims = std::vector<int64_t>;

// A tensor of the network under construction; dims without the batch.
struct Place {
  std::string name;
  Dims dims;
};

class Builder {
 public:
  explicit Builder(Draw& draw)
      : draw_(draw), net_(static_cast<int>(draw.one_of<int64_t>({13, 17, 20}))) {}

  RandomNetwork build() {
    const int64_t kind = draw_.number(0, 9);
    if (kind < 3) {
      at_ = {"x", {draw_.number(1, 9)}};
    } else if (kind < 6) {
      at_ = {"x", {draw_.number(1, 6), draw_.number(3, 20)}};
    } else {
      at_ = {"x", {draw_.number(1, 5), draw_.number(3, 12), draw_.number(3, 12)}};
    }
    Dims input = {-1};
    input.insert(input.end(), at_.dims.begin(), at_.dims.end());
    net_.input("x", input);
    const int64_t layers = draw_.number(1, 7);
    if (draw_.chance(10)) normalise_input();
    for (int64_t i = 0; i < layers; ++i) {
      if (at_.dims.size() == 1)
        dense_step();
      else
        spatial_step();
    }
    const Loss loss = head();
    net_.node("Identity", {at_.name}, {"y"});
    net_.output("y");
    return {net_.model(), loss,
            loss == Loss::cross_entropy ? static_cast<int>(at_.dims.back()) : 0};
  }

 private:
  std::string fresh(const char* what) { return what + std::to_string(++count_); }

  std::string tensor(const std::string& name, const Dims& dims, double range = 0.6,
                     double centre = 0) {
    net_.tensor(name, dims);
    auto& graph = *net_.proto().mutable_graph();
    auto* made = graph.mutable_initializer(graph.initializer_size() - 1);
    for (float& x : *made->mutable_float_data())
      x = static_cast<float>(centre + range * draw_.real());
    return name;
  }

  onnx::NodeProto& node(const char* op, std::vector<std::string> inputs, const Dims& dims) {
    const std::string name = fresh(op);
    onnx::NodeProto& made = net_.node(op, inputs, {name});
    at_ = {name, dims};
    return made;
  }

  // A bias that an earlier layer has too, now and then.
  std::string bias(int64_t size) {
    for (const Place& known : biases_)
      if (known.dims == Dims{size} && draw_.chance(35)) return known.name;
    biases_.push_back({tensor(fresh("bias"), {size}), {size}});
    return biases_.back().name;
  }

  std::string weight(const Dims& dims) {
    for (const Place& known : weights_)
      if (known.dims == dims && draw_.chance(35)) return known.name;
    weights_.push_back({tensor(fresh("weight"), dims), dims});
    return weights_.back().name;
  }

  void normalise_input() {
    Dims per_channel = {1, at_.dims[0]};
    per_channel.resize(at_.dims.size() + 1, 1);
    node("Sub", {at_.name, tensor(fresh("mean"), per_channel)}, at_.dims);
    node("Div", {at_.name, tensor(fresh("std"), per_channel, 0.2, 1)}, at_.dims);
  }

  void activation() {
    const char* op = draw_.one_of<const char*>({"Relu", "Relu", "Relu", "Clip", "Sigmoid", "Tanh",
                                                "HardSwish", "HardSigmoid", "Softplus"});
    if (op != std::string("Clip")) return void(node(op, {at_.name}, at_.dims));
    const std::string low = fresh("low"), high = fresh("high");
    net_.tensor(low, {}, draw_.chance(50) ? 0 : -0.4f, 0).tensor(high, {}, 0.7f, 0);
    node("Clip", {at_.name, low, high}, at_.dims);
  }

  // One number, or one for each channel.
  void scale() {
    Dims dims = {};
    if (draw_.chance(60)) {
      dims = {at_.dims[0]};
      if (at_.dims.size() > 1) dims.resize(at_.dims.size(), 1);
    }
    const char* op = draw_.one_of<const char*>({"Mul", "Add", "Sub", "Div"});
    const std::string by = tensor(fresh("scale"), dims, 0.3, op == std::string("Div") ? 1.2 : 0.5);
    std::vector<std::string> inputs = {at_.name, by};
    if (op != std::string("Div") && draw_.chance(30)) std::swap(inputs[0], inputs[1]);
    node(op, inputs, at_.dims);
  }

  void residual(const Place& before) {
    if (before.dims != at_.dims || before.name == at_.name) return;
    node(draw_.one_of<const char*>({"Add", "Add", "Mul", "Sub"}), {at_.name, before.name},
         at_.dims);
  }

  // ---- Dense ----------------------------------------------------------------------------------

  void gemm(int64_t outputs) {
    const int64_t inputs = at_.dims[0];
    std::string x = at_.name;
    const bool turned = draw_.chance(15), transposed = draw_.chance(70);
    if (turned) {
      x = fresh("turned");
      set_ints(net_.node("Transpose", {at_.name}, {x}), "perm", {1, 0});
    }
    std::vector<std::string> names = {
        x, weight(transposed ? Dims{outputs, inputs} : Dims{inputs, outputs})};
    if (draw_.chance(80)) {
      const int64_t shape = draw_.number(0, 9);
      if (shape < 7)
        names.push_back(bias(outputs));
      else if (shape == 7)
        names.push_back(tensor(fresh("row"), {1, outputs}));
      else if (shape == 8)
        names.push_back(tensor(fresh("number"), {1}));
      else
        names.push_back(tensor(fresh("number"), {}));
    }
    onnx::NodeProto& made = node("Gemm", names, {outputs});
    if (turned) set_int(made, "transA", 1);
    if (transposed) set_int(made, "transB", 1);
    if (draw_.chance(20)) set_float(made, "alpha", 0.5f);
    if (draw_.chance(25)) set_float(made, "beta", draw_.chance(20) ? 0.f : 1.5f);
  }

  void matmul(int64_t outputs) {
    Dims dims = at_.dims;
    const int64_t inputs = std::exchange(dims.back(), outputs);
    node("MatMul", {at_.name, weight({inputs, outputs})}, dims);
    if (draw_.chance(70)) node("Add", {at_.name, bias(outputs)}, dims);
  }

  // The same weight, several times over.
  void repeated() {
    const int64_t size = at_.dims[0];
    const std::string w = weight({size, size}), b = bias(size);
    for (int64_t i = draw_.number(2, 4); i > 0; --i) {
      set_int(node("Gemm", {at_.name, w, b}, {size}), "transB", draw_.chance(80));
      if (draw_.chance(60)) activation();
    }
  }

  void layer_norm() {
    const int64_t size = at_.dims.back();
    if (net_.proto().opset_import(0).version() < 17) return activation();
    node("LayerNormalization",
         {at_.name, tensor(fresh("gamma"), {size}, 0.3, 1), tensor(fresh("beta"), {size})},
         at_.dims);
  }

  void dense_step() {
    const Place before = at_;
    const int64_t size = draw_.chance(40) ? at_.dims[0] : draw_.number(1, 10);
    switch (draw_.number(0, 9)) {
      case 0:
        repeated();
        break;
      case 1:
        return scale();
      case 2:
        return layer_norm();
      case 3:
      case 4:
        matmul(size);
        break;
      default:
        gemm(size);
    }
    if (draw_.chance(60)) activation();
    if (draw_.chance(30)) residual(before);
  }

  // ---- Over time, or images -------------------------------------------------------------------

  // A filter's size, padding and step along an axis, such that at least one place remains.
  struct Axis {
    int64_t kernel = 1, stride = 1, before = 0, after = 0, dilation = 1, size = 1;
  };
  Axis draw_axis(int64_t size, bool keep) {
    Axis axis;
    axis.kernel = draw_.number(1, std::min<int64_t>(5, size));
    if (keep) {
      axis.kernel |= 1;
      axis.before = axis.after = axis.kernel / 2;
    } else {
      if (draw_.chance(25)) axis.dilation = 2;
      if ((axis.kernel - 1) * axis.dilation + 1 > size) axis.dilation = 1;
      const int64_t reach = (axis.kernel - 1) * axis.dilation;
      axis.stride = draw_.number(1, 3);
      if (draw_.chance(60)) {
        axis.before = draw_.number(0, std::min<int64_t>(2, reach));
        axis.after = draw_.number(0, std::min<int64_t>(2, reach));
      }
    }
    const int64_t reach = (axis.kernel - 1) * axis.dilation + 1;
    axis.size = (size + axis.before + axis.after - reach) / axis.stride + 1;
    return axis;
  }
  std::vector<Axis> draw_axes(bool keep) {
    std::vector<Axis> axes;
    for (size_t i = 1; i < at_.dims.size(); ++i) axes.push_back(draw_axis(at_.dims[i], keep));
    return axes;
  }
  static Dims each(const std::vector<Axis>& axes, int64_t Axis::*field) {
    Dims values;
    for (const Axis& axis : axes) values.push_back(axis.*field);
    return values;
  }
  static void set_window(onnx::NodeProto& made, const std::vector<Axis>& axes, bool with_pads) {
    set_ints(made, "kernel_shape", each(axes, &Axis::kernel));
    set_ints(made, "strides", each(axes, &Axis::stride));
    Dims pads = each(axes, &Axis::before);
    const Dims after = each(axes, &Axis::after);
    pads.insert(pads.end(), after.begin(), after.end());
    if (with_pads) set_ints(made, "pads", pads);
  }

  void conv(int64_t outputs, bool keep) {
    const int64_t channels = at_.dims[0];
    const std::vector<Axis> axes = draw_axes(keep);
    int64_t groups = 1;
    if (draw_.chance(30)) {
      if (draw_.chance(60))
        groups = outputs = channels;
      else if (channels % 2 == 0 && outputs % 2 == 0)
        groups = 2;
    }
    Dims w = {outputs, channels / groups}, y = {outputs};
    for (const Axis& axis : axes) w.push_back(axis.kernel), y.push_back(axis.size);
    std::string x = at_.name;
    const bool apart = !keep && draw_.chance(15);  // its padding is a node of its own
    if (apart) {
      Dims pads(at_.dims.size() + 1, 0);
      pads[0] = pads[1] = 0;
      for (size_t i = 0; i < axes.size(); ++i) pads[i + 2] = axes[i].before;
      pads.insert(pads.end(), {0, 0});
      for (const Axis& axis : axes) pads.push_back(axis.after);
      const std::string name = fresh("pads");
      net_.ints(name, pads);
      x = fresh("padded");
      net_.node("Pad", {at_.name, name}, {x});
    }
    std::vector<std::string> names = {x, weight(w)};
    if (draw_.chance(65)) names.push_back(bias(outputs));
    onnx::NodeProto& made = node("Conv", names, y);
    set_window(made, axes, !apart);
    set_ints(made, "dilations", each(axes, &Axis::dilation));
    set_int(made, "group", groups);
  }

  void batch_norm() {
    const int64_t channels = at_.dims[0];
    node("BatchNormalization",
         {at_.name, tensor(fresh("gamma"), {channels}, 0.3, 1), tensor(fresh("beta"), {channels}),
          tensor(fresh("mean"), {channels}), tensor(fresh("var"), {channels}, 0.3, 0.9)},
         at_.dims);
  }

  void pool() {
    std::vector<Axis> axes = draw_axes(false);
    for (Axis& axis : axes) {
      // Windows that see padding alone are refused.
      if (axis.dilation > 1) axis.before = axis.after = 0, axis.dilation = 1;
      axis.before = std::min(axis.before, axis.kernel / 2);
      axis.after = std::min(axis.after, axis.kernel / 2);
    }
    Dims y = {at_.dims[0]};
    for (size_t i = 0; i < axes.size(); ++i)
      y.push_back(
          (at_.dims[i + 1] + axes[i].before + axes[i].after - axes[i].kernel) / axes[i].stride + 1);
    const bool largest = draw_.chance(50);
    onnx::NodeProto& made = node(largest ? "MaxPool" : "AveragePool", {at_.name}, y);
    set_window(made, axes, true);
    if (!largest && draw_.chance(40)) set_int(made, "count_include_pad", 1);
  }

  // Squeeze and excite.
  void gate() {
    const Place before = at_;
    Dims ones(at_.dims.size(), 1);
    ones[0] = at_.dims[0];
    node("GlobalAveragePool", {at_.name}, ones);
    Dims w(at_.dims.size() + 1, 1);
    w[0] = w[1] = at_.dims[0];
    node("Conv", {at_.name, weight(w), bias(w[0])}, ones);
    node("Sigmoid", {at_.name}, ones);
    node("Mul", {before.name, at_.name}, before.dims);
  }

  // Two branches, joined along the channels.
  void branches() {
    const Place before = at_;
    conv(draw_.number(1, 5), true);
    const Place left = at_;
    at_ = before;
    if (draw_.chance(50)) activation();
    Dims dims = before.dims;
    dims[0] += left.dims[0];
    std::vector<std::string> names = {left.name, at_.name};
    if (draw_.chance(50)) std::swap(names[0], names[1]);
    set_int(node("Concat", names, dims), "axis", 1);
  }

  // Halves along an axis that change places.
  void halves() {
    const int64_t axis = draw_.number(0, static_cast<int64_t>(at_.dims.size()) - 1);
    const int64_t size = at_.dims[static_cast<size_t>(axis)];
    if (size < 2) return activation();
    const int64_t first = draw_.number(1, size - 1);
    const std::string sizes = fresh("sizes"), a = fresh("half"), b = fresh("half");
    net_.ints(sizes, {first, size - first});
    set_int(net_.node("Split", {at_.name, sizes}, {a, b}), "axis", axis + 1);
    const bool both = draw_.chance(70);
    Dims dims = at_.dims;
    if (!both) dims[static_cast<size_t>(axis)] = size - first;
    if (both)
      set_int(node("Concat", {b, a}, dims), "axis", axis + 1);
    else
      at_ = {b, dims};
  }

  void spatial_step() {
    const Place before = at_;
    switch (draw_.number(0, 13)) {
      case 0:
        return pool();
      case 1:
        return gate();
      case 2:
        return branches();
      case 3:
        return halves();
      case 4:
        return scale();
      case 5:
        return batch_norm();
      case 6: {  // a block of two convolutions
        conv(draw_.number(1, 7), true);
        activation();
        conv(before.dims[0], true);
        break;
      }
      default:
        conv(draw_.chance(40) ? at_.dims[0] : draw_.number(1, 7), draw_.chance(40));
        if (draw_.chance(40)) batch_norm();
    }
    if (draw_.chance(60)) activation();
    if (draw_.chance(40)) residual(before);
  }

  // ---- The end --------------------------------------------------------------------------------

  void flatten() {
    int64_t size = 1;
    for (const int64_t d : at_.dims) size *= d;
    if (draw_.chance(50)) {
      node("Flatten", {at_.name}, {size});
    } else {
      const std::string shape = fresh("shape");
      net_.ints(shape, {draw_.chance(50) ? 0 : -1, size});
      node("Reshape", {at_.name, shape}, {size});
    }
  }

  void average() {
    Dims ones(at_.dims.size(), 1);
    ones[0] = at_.dims[0];
    node("GlobalAveragePool", {at_.name}, ones);
  }

  Loss head() {
    const Loss loss = draw_.chance(70) ? Loss::cross_entropy : Loss::mean_squared_error;
    const int64_t outputs = draw_.number(loss == Loss::cross_entropy ? 2 : 1, 6);
    if (at_.dims.size() == 1) {
      if (draw_.chance(70))
        gemm(outputs);
      else
        matmul(outputs);
    } else {
      switch (draw_.number(0, 4)) {
        case 0: {  // a convolution is the classifier
          Dims w(at_.dims.size() + 1, 1), y = at_.dims;
          w[0] = y[0] = outputs, w[1] = at_.dims[0];
          node("Conv", {at_.name, weight(w), bias(outputs)}, y);
          if (draw_.chance(50)) activation();
          average();
          flatten();
          break;
        }
        case 1: {  // an output for each place, or position
          const int64_t channels = at_.dims[0];
          int64_t places = 1;
          for (size_t i = 1; i < at_.dims.size(); ++i) places *= at_.dims[i];
          const std::string shape = fresh("shape");
          net_.ints(shape, {0, channels, places});
          node("Reshape", {at_.name, shape}, {channels, places});
          set_ints(node("Transpose", {at_.name}, {places, channels}), "perm", {0, 2, 1});
          if (draw_.chance(30)) layer_norm();
          matmul(outputs);
          break;
        }
        case 2:
          flatten();
          gemm(outputs);
          break;
        default:
          average();
          flatten();
          if (loss == Loss::mean_squared_error && draw_.chance(40)) return loss;  // what was pooled
          gemm(outputs);
      }
    }
    if (loss == Loss::cross_entropy && at_.dims.back() > 1 && draw_.chance(25))
      set_int(node("Softmax", {at_.name}, at_.dims), "axis", -1);
    if (loss == Loss::cross_entropy && at_.dims.back() < 2) return Loss::mean_squared_error;
    return loss;
  }

  Draw& draw_;
  OnnxBuilder net_;
  Place at_;
  std::vector<Place> weights_, biases_;
  int count_ = 0;
};

}  // namespace

RandomNetwork random_network(Draw& draw) { return Builder(draw).build(); }

}  // namespace attune::test
