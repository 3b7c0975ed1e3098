#include <algorithm>
#include <utility>

#include "tests/random/random_network.h"

namespace attune::test {
namespace {

using Dims = std::vector<int64_t>;

// A tensor of the graph under construction; dims without the batch.
struct Place {
  std::string name;
  Dims dims;

  int64_t elements() const {
    int64_t count = 1;
    for (const int64_t d : dims) count *= d;
    return count;
  }
};

// Operators of every kind, one behind the other and across, over tensors of any shape.
class Builder {
 public:
  explicit Builder(Draw& draw) : draw_(draw), net_(23) {}

  RandomNetwork build() {
    at_.name = "x";
    for (int64_t axes = draw_.number(1, 3); axes > 0; --axes) at_.dims.push_back(size());
    Dims input = {-1};
    input.insert(input.end(), at_.dims.begin(), at_.dims.end());
    net_.input("x", input);
    for (int64_t steps = draw_.number(2, 9); steps > 0; --steps) {
      live_.push_back(at_);
      if (draw_.chance(20)) at_ = draw_.one_of(live_);
      step();
      if (at_.elements() > 300) reduce("ReduceMean");
      if (draw_.chance(25)) unary("Tanh");  // what grows is bounded again
    }
    return head();
  }

 private:
  int64_t size() { return draw_.number(1, 6); }
  int64_t rank() const { return static_cast<int64_t>(at_.dims.size()); }
  int64_t any_axis() { return draw_.number(0, rank() - 1); }
  int64_t& dim(int64_t axis) { return at_.dims[static_cast<size_t>(axis)]; }
  std::string fresh(const std::string& what) { return what + std::to_string(++count_); }

  std::string tensor(const Dims& dims, double range = 0.6, double centre = 0) {
    const std::string name = fresh("weight");
    net_.tensor(name, dims);
    auto& graph = *net_.proto().mutable_graph();
    auto* made = graph.mutable_initializer(graph.initializer_size() - 1);
    for (float& x : *made->mutable_float_data())
      x = static_cast<float>(centre + range * draw_.real());
    return name;
  }
  std::string number(float value) {
    const std::string name = fresh("number");
    net_.tensor(name, {}, value, 0);
    return name;
  }
  std::string ints(const Dims& values) {
    const std::string name = fresh("ints");
    net_.ints(name, values);
    return name;
  }
  std::string indices(int64_t count, int64_t limit) {
    Dims values;
    for (int64_t i = 0; i < count; ++i) values.push_back(draw_.number(-limit, limit - 1));
    return ints(values);
  }

  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const Dims& dims) {
    const std::string name = fresh(op);
    onnx::NodeProto& made = net_.node(op, inputs, {name});
    at_ = {name, dims};
    return made;
  }
  onnx::NodeProto& unary(const char* op) { return node(op, {at_.name}, at_.dims); }
  void with_number(const char* op, float value) { node(op, {at_.name, number(value)}, at_.dims); }
  void reshape(const Dims& dims) {
    Dims target = {0};
    target.insert(target.end(), dims.begin(), dims.end());
    node("Reshape", {at_.name, ints(target)}, dims);
  }

  // The graph's tensors of this shape.
  std::vector<std::string> names_alike() const {
    std::vector<std::string> names = {at_.name};
    for (const Place& place : live_)
      if (place.dims == at_.dims && place.name != at_.name) names.push_back(place.name);
    return names;
  }

  // One of those, or a weight.
  std::string partner() {
    return draw_.chance(30) ? tensor(at_.dims) : draw_.one_of(names_alike());
  }

  void step() {
    switch (draw_.number(0, 9)) {
      case 0:
      case 1:
        return function();
      case 2:
        return binary();
      case 3:
        return reduction();
      case 4:
      case 5:
        return move();
      case 6:
        return choose();
      case 7:
        return norm();
      default:
        return layer();
    }
  }

  // ---- Element by element -----------------------------------------------------------------------

  void positive() {
    unary("Abs");
    with_number("Add", 0.5f);
  }

  void function() {
    const std::vector<const char*> plain = {
        "Erf",  "Sin",       "Cos",      "Abs",        "Sigmoid", "Softplus",       "Softsign",
        "Mish", "HardSwish", "Gelu",     "Elu",        "Selu",    "Celu",           "LeakyRelu",
        "Neg",  "Relu",      "Identity", "LogSoftmax", "Softmax", "ThresholdedRelu"};
    switch (draw_.number(0, 7)) {
      case 0:
        unary("Tanh");
        return void(unary("Exp"));
      case 1:
        positive();
        return void(unary(draw_.one_of<const char*>({"Sqrt", "Log", "Reciprocal"})));
      case 2:
        return with_number("Pow", draw_.chance(50) ? 2.f : 3.f);
      case 3:
        positive();
        return void(node("Pow", {at_.name, tensor({}, 0.5, 1)}, at_.dims));
      case 4: {
        Dims slopes(at_.dims.size(), 1);
        slopes[0] = at_.dims[0];
        return void(node("PRelu", {at_.name, tensor(slopes)}, at_.dims));
      }
      case 5: {  // a step function, beside what has a gradient
        const std::string before = at_.name;
        unary(draw_.one_of<const char*>({"Floor", "Ceil", "Round", "Sign"}));
        return void(node("Add", {at_.name, before}, at_.dims));
      }
      default:
        break;
    }
    const std::string op = draw_.one_of(plain);
    onnx::NodeProto& made = unary(op.c_str());
    if (op == "Gelu" && draw_.chance(50)) set_text(made, "approximate", "tanh");
    if (op == "Softmax" || op == "LogSoftmax") set_int(made, "axis", any_axis() + 1);
  }

  void binary() {
    const std::string other = partner();
    switch (draw_.number(0, 3)) {
      case 0:
        return void(node(draw_.one_of<const char*>({"Min", "Max"}), {at_.name, other}, at_.dims));
      case 1: {
        const Place own = at_;
        const char* op = draw_.one_of<const char*>({"Less", "GreaterOrEqual", "Greater"});
        node(op, {own.name, other}, own.dims);
        if (draw_.chance(30)) unary("Not");
        return void(node("Where", {at_.name, own.name, other}, own.dims));
      }
      default:
        return void(
            node(draw_.one_of<const char*>({"Add", "Mul", "Sub"}), {at_.name, other}, at_.dims));
    }
  }

  // ---- Along an axis ----------------------------------------------------------------------------

  void reduce(const char* op) {
    const int64_t axis = any_axis();
    const bool keep = rank() == 1 || draw_.chance(50);
    Dims dims = at_.dims;
    if (keep)
      dims[static_cast<size_t>(axis)] = 1;
    else
      dims.erase(dims.begin() + axis);
    set_int(node(op, {at_.name, ints({axis + 1})}, dims), "keepdims", keep ? 1 : 0);
  }

  void reduction() {
    const char* op = draw_.one_of<const char*>({"ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
                                                "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare",
                                                "ReduceMean", "ReduceSum", "CumSum", "CumSum"});
    if (op != std::string("CumSum")) return reduce(op);
    onnx::NodeProto& made = node("CumSum", {at_.name, ints({any_axis() + 1})}, at_.dims);
    set_int(made, "exclusive", draw_.chance(30));
    set_int(made, "reverse", draw_.chance(30));
  }

  // ---- Places -----------------------------------------------------------------------------------

  void move() {
    const int64_t axis = any_axis(), length = dim(axis);
    Dims dims = at_.dims;
    int64_t& changed = dims[static_cast<size_t>(axis)];
    switch (draw_.number(0, 8)) {
      case 0: {  // to another order, or one axis
        if (rank() == 1) return reshape({1, length});
        if (draw_.chance(30)) return reshape({at_.elements()});
        std::reverse(dims.begin(), dims.end());
        Dims perm = {0};
        for (int64_t i = rank(); i > 0; --i) perm.push_back(i);
        return set_ints(node("Transpose", {at_.name}, dims), "perm", perm);
      }
      case 1: {
        const int64_t step = draw_.chance(50) ? draw_.number(1, 3) : -draw_.number(1, 2);
        const int64_t first = step > 0 ? draw_.number(0, length - 1) : length - 1;
        changed = step > 0 ? (length - first + step - 1) / step : (length - step - 1) / -step;
        return void(node("Slice",
                         {at_.name, ints({first}), ints({step > 0 ? length : -length - 1}),
                          ints({axis + 1}), ints({step})},
                         dims));
      }
      case 2:
        changed = draw_.number(2, 4);
        return set_int(node("Gather", {at_.name, indices(changed, length)}, dims), "axis",
                       axis + 1);
      case 3: {
        Dims counts(at_.dims.size() + 1, 1);
        counts[static_cast<size_t>(axis) + 1] = draw_.number(1, 3);
        changed *= counts[static_cast<size_t>(axis) + 1];
        return void(node("Tile", {at_.name, ints(counts)}, dims));
      }
      case 4: {
        const char* mode = draw_.one_of<const char*>({"constant", "edge", "reflect", "wrap"});
        const int64_t most =
            mode == std::string("reflect") ? length - 1 : std::min<int64_t>(2, length);
        Dims pads(2 * at_.dims.size() + 2, 0);
        pads[static_cast<size_t>(axis) + 1] = draw_.number(0, most);
        pads[at_.dims.size() + static_cast<size_t>(axis) + 2] = draw_.number(0, most);
        for (const int64_t pad : pads) changed += pad;
        return set_text(node("Pad", {at_.name, ints(pads)}, dims), "mode", mode);
      }
      case 5: {
        const std::string other = draw_.one_of(names_alike());
        changed *= 2;
        return set_int(node("Concat", {at_.name, other}, dims), "axis", axis + 1);
      }
      case 6: {
        if (rank() < 2) return unary("Relu"), void();
        return set_int(node("Trilu", {at_.name}, at_.dims), "upper", draw_.chance(50));
      }
      case 7: {
        if (rank() != 3) return unary("Sigmoid"), void();
        const char* mode = draw_.one_of<const char*>({"nearest", "linear", "cubic"});
        // The batch has any size: scales, of which a half is exact.
        Dims scaled = dims;
        for (size_t i = 1; i < 3; ++i) scaled[i] *= 2;
        const std::string scales = fresh("scales");
        net_.tensor(scales, {4}, 1, 0);
        auto& graph = *net_.proto().mutable_graph();
        auto* made = graph.mutable_initializer(graph.initializer_size() - 1);
        made->set_float_data(2, 2), made->set_float_data(3, 2);
        onnx::NodeProto& resize = node("Resize", {at_.name, "", scales}, scaled);
        set_text(resize, "mode", mode);
        set_text(resize, "coordinate_transformation_mode",
                 draw_.one_of<const char*>({"half_pixel", "asymmetric", "align_corners"}));
        return;
      }
      default: {
        if (rank() != 3) return unary("Tanh"), void();
        if (dims[0] % 4 == 0) {
          const Dims spread = {dims[0] / 4, dims[1] * 2, dims[2] * 2};
          onnx::NodeProto& made = node("DepthToSpace", {at_.name}, spread);
          set_text(made, "mode", draw_.chance(50) ? "CRD" : "DCR");
          return set_int(made, "blocksize", 2);
        }
        if (dims[1] % 2 != 0 || dims[2] % 2 != 0) return unary("Sigmoid"), void();
        return set_int(node("SpaceToDepth", {at_.name}, {dims[0] * 4, dims[1] / 2, dims[2] / 2}),
                       "blocksize", 2);
      }
    }
  }

  // By what is computed.
  void choose() {
    const int64_t axis = any_axis(), length = dim(axis);
    const Place own = at_;
    Dims one = at_.dims;
    one[static_cast<size_t>(axis)] = 1;
    switch (draw_.number(0, 2)) {
      case 0: {
        Dims fewer = at_.dims;
        fewer[static_cast<size_t>(axis)] = draw_.number(1, length);
        const std::string values = fresh("values");
        onnx::NodeProto& made =
            net_.node("TopK", {at_.name, ints({fewer[static_cast<size_t>(axis)]})},
                      {values, fresh("places")});
        set_int(made, "axis", axis + 1);
        set_int(made, "largest", draw_.chance(60));
        at_ = {values, fewer};
        return;
      }
      case 1:
        set_int(node("ArgMax", {at_.name}, one), "axis", axis + 1);
        return set_int(node("GatherElements", {own.name, at_.name}, one), "axis", axis + 1);
      default: {
        set_int(node("ArgMax", {at_.name}, one), "axis", axis + 1);
        const std::string places = at_.name;
        at_ = own;
        node("ReduceSum", {own.name, ints({axis + 1})}, one);
        return set_int(node("ScatterElements", {own.name, places, at_.name}, own.dims), "axis",
                       axis + 1);
      }
    }
  }

  // ---- Layers -----------------------------------------------------------------------------------

  void norm() {
    const int64_t last = at_.dims.back();
    switch (draw_.number(0, 4)) {
      case 0:
        return void(node("LayerNormalization", {at_.name, tensor({last}, 0.3, 1), tensor({last})},
                         at_.dims));
      case 1:
        return void(node("RMSNormalization", {at_.name, tensor({last}, 0.3, 1)}, at_.dims));
      case 2: {
        positive();
        onnx::NodeProto& made = unary("LpNormalization");
        set_int(made, "axis", any_axis() + 1);
        return set_int(made, "p", draw_.number(1, 2));
      }
      case 3: {
        if (rank() < 2) return unary("Relu"), void();
        const int64_t channels = at_.dims[0];
        return void(node("InstanceNormalization",
                         {at_.name, tensor({channels}, 0.3, 1), tensor({channels})}, at_.dims));
      }
      default: {
        if (rank() < 2 || at_.dims[0] % 2 != 0) return unary("Tanh"), void();
        const int64_t channels = at_.dims[0];
        return set_int(node("GroupNormalization",
                            {at_.name, tensor({channels}, 0.3, 1), tensor({channels})}, at_.dims),
                       "num_groups", 2);
      }
    }
  }

  void layer() {
    if (rank() == 2 && draw_.chance(40)) return recurrent();
    if (rank() >= 2 && draw_.chance(60)) return window();
    const int64_t outputs = size();
    Dims dims = at_.dims;
    const int64_t inputs = std::exchange(dims.back(), outputs);
    node("MatMul", {at_.name, tensor({inputs, outputs})}, dims);
    if (draw_.chance(60)) node("Add", {at_.name, tensor({outputs})}, dims);
  }

  // Over [time, features], forward, backward or both ways.
  void recurrent() {
    const char* op = draw_.one_of<const char*>({"LSTM", "GRU", "RNN"});
    const int64_t gates = op[0] == 'L' ? 4 : op[0] == 'G' ? 3 : 1;
    const int64_t time = at_.dims[0], inputs = at_.dims[1], hidden = draw_.number(1, 4);
    const char* direction = draw_.one_of<const char*>({"forward", "reverse", "bidirectional"});
    const int64_t ways = direction[0] == 'b' ? 2 : 1;
    set_ints(node("Transpose", {at_.name}, at_.dims), "perm", {1, 0, 2});
    std::vector<std::string> names = {at_.name, tensor({ways, gates * hidden, inputs}),
                                      tensor({ways, gates * hidden, hidden})};
    if (draw_.chance(70)) names.push_back(tensor({ways, 2 * gates * hidden}));
    onnx::NodeProto& made = node(op, names, {});  // [T, ways, N, hidden]
    set_int(made, "hidden_size", hidden);
    set_text(made, "direction", direction);
    if (op[0] == 'G' && draw_.chance(60)) set_int(made, "linear_before_reset", 1);
    set_ints(node("Transpose", {at_.name}, {time, ways, hidden}), "perm", {2, 0, 1, 3});
    reshape({time, ways * hidden});
  }

  // A convolution, transposed or not, or a pool, over what is behind the first axis.
  void window() {
    const int64_t channels = at_.dims[0], outputs = size();
    const size_t spatial = at_.dims.size() - 1;
    Dims kernel(spatial), w, dims = {outputs};
    const int64_t kind = draw_.number(0, 4);
    for (size_t i = 0; i < spatial; ++i)
      kernel[i] = draw_.number(1, std::min<int64_t>(3, at_.dims[i + 1]));
    const bool wide = kind == 1;
    for (size_t i = 0; i < spatial; ++i)
      dims.push_back(wide ? at_.dims[i + 1] + kernel[i] - 1 : at_.dims[i + 1] - kernel[i] + 1);
    if (kind < 3) {
      w = wide ? Dims{channels, outputs} : Dims{outputs, channels};
      w.insert(w.end(), kernel.begin(), kernel.end());
      std::vector<std::string> names = {at_.name, tensor(w)};
      if (draw_.chance(60)) names.push_back(tensor({outputs}));
      return void(node(wide ? "ConvTranspose" : "Conv", names, dims));
    }
    dims[0] = channels;
    onnx::NodeProto& made = node(kind == 3 ? "MaxPool" : "AveragePool", {at_.name}, dims);
    set_ints(made, "kernel_shape", kernel);
  }

  RandomNetwork head() {
    const Loss loss = draw_.chance(60) ? Loss::cross_entropy : Loss::mean_squared_error;
    const int64_t outputs = draw_.number(2, 5), inputs = at_.elements();
    reshape({inputs});
    node("MatMul", {at_.name, tensor({inputs, outputs})}, {outputs});
    node("Add", {at_.name, tensor({outputs})}, {outputs});
    net_.node("Identity", {at_.name}, {"y"});
    net_.output("y");
    return {net_.model(), loss, loss == Loss::cross_entropy ? static_cast<int>(outputs) : 0};
  }

  Draw& draw_;
  OnnxBuilder net_;
  Place at_;
  std::vector<Place> live_;
  int count_ = 0;
};

}  // namespace

RandomNetwork random_operators(Draw& draw) { return Builder(draw).build(); }

}  // namespace attune::test
