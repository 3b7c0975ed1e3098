// ONNX's own tests of its operators. Each case runs with its inputs as the graph's, with all but
// the first as initializers (weights, shapes), and with all of them known, in f32 and in f64.
#include <doctest/doctest.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "graph/import/common/known_tensor.h"
#include "graph/import/onnx/file/onnx_model.h"
#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"

namespace attune {
namespace {

namespace fs = std::filesystem;
// Another folder of the kind may be named, such as one of all cases that the onnx package makes.
const char* const kNamed = std::getenv("ATTUNE_ONNX_NODE_CASES");
const fs::path kCases =
    kNamed != nullptr ? kNamed : fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/onnx_node";

// Cases whose expected output has four decimals only, not all rounded to the nearest.
// Those whose integers are ties of single precision, which double rounds otherwise.
const std::set<std::string> kTies = {"test_dynamicquantizelinear"};
const std::set<std::string> kFourDecimals = {"test_averagepool_2d_ceil_last_window_starts_on_pad",
                                             "test_gridsample_bicubic"};
// Corners of an image of a rounded size are aligned by that size in PyTorch and ONNX Runtime, and
// here; by the size before it is rounded in these.
const std::set<std::string> kOfOtherSizes = {"test_resize_downsample_scales_linear_align_corners",
                                             "test_resize_downsample_scales_cubic_align_corners"};
constexpr int kOldestOpset = 7;

struct Case {
  std::string name, op;
  onnx::ModelProto model;
  std::vector<onnx::TensorProto> inputs, outputs;
};

std::vector<onnx::TensorProto> read_tensors(const fs::path& folder, const std::string& kind) {
  std::vector<onnx::TensorProto> tensors;
  for (int i = 0;; ++i) {
    std::ifstream in(folder / fmt::format("{}_{}.pb", kind, i), std::ios::binary);
    if (!in) return tensors;
    if (!tensors.emplace_back().ParseFromIstream(&in))
      throw_error("{}: bad tensor", folder.string());
  }
}

Case read_case(const std::string& name, const std::string& op) {
  Case result{name, op, {}, {}, {}};
  std::ifstream in(kCases / name / "model.onnx", std::ios::binary);
  if (!result.model.ParseFromIstream(&in)) throw_error("{}: bad model", name);
  result.inputs = read_tensors(kCases / name / "test_data_set_0", "input");
  result.outputs = read_tensors(kCases / name / "test_data_set_0", "output");
  return result;
}

// The inputs from `first_known` on become initializers.
std::string with_known_inputs(const Case& c, int first_known) {
  onnx::ModelProto model = c.model;
  for (int i = first_known; i < model.graph().input_size(); ++i) {
    auto* tensor = model.mutable_graph()->add_initializer();
    *tensor = c.inputs.at(i);
    tensor->set_name(model.graph().input(i).name());
  }
  return model.SerializeAsString();
}

HostTensor host_tensor(const KnownTensor& tensor, DType real) {
  const Shape shape = to_shape(tensor.dims);
  if (tensor.real()) return HostTensor::of_reals(real, shape, tensor.data->reals());
  return HostTensor::of_ints(tensor.type == ElementType::u8 ? DType::u8 : DType::i32, shape,
                             tensor.data->ints());
}

// How a result differs from the expected one, which is of single precision, or of half: what a
// model casts to that is computed in single.
std::string difference(const std::vector<double>& got, const KnownTensor& want, double absolute) {
  const size_t n = static_cast<size_t>(want.elements());
  if (got.size() != n) return fmt::format("{} elements, not {}", got.size(), n);
  std::vector<double> wanted(n);
  want.data->read(0, wanted);
  for (size_t i = 0; i < n; ++i) {
    const double w = wanted[i];
    const double relative = want.type == ElementType::f16 ? 1.0 / 2048 : 1e-5;
    const double tolerance =
        want.real() ? relative * std::fabs(w) + std::min(absolute, 1e-4) : std::floor(absolute);
    if (!(got[i] == w || std::fabs(got[i] - w) <= tolerance ||
          (std::isnan(w) && std::isnan(got[i]))))
      return fmt::format("element {} is {}, not {}", i, got[i], w);
  }
  return "";
}

// Values that say that they are a tensor of the model, its axes permuted, are it.
void check_model_tensors(const Graph& graph, const std::vector<HostTensor>& values,
                         const std::string& output, const KnownTensor& want, double absolute) {
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.model_tensor != output || value.role != Role::temporary) continue;
    Graph back;
    back.real = graph.real;
    const ValueId x = back.add_constant("x", value.shape, values[i].reals());
    TransposeAttrs attrs;
    for (int axis = 0; axis < value.shape.rank; ++axis) attrs.perm[value.model_perm[axis]] = axis;
    const ValueId y = back.emit(Op::transpose, attrs, {x}, "y");
    CHECK(to_dims(back.shape(y)) == want.dims);
    CHECK(difference(interpret(back, {})[y].reals(), want, absolute) == "");
  }
}

// Throws Error where the case cannot be imported.
void run_case(const Case& c, int first_known, DType real) {
  CAPTURE(first_known);
  CAPTURE(std::string(dtype_name(real)));
  const double absolute = kTies.contains(c.name) ? 1 : kFourDecimals.contains(c.name) ? 1e-4 : 1e-6;
  ImportOptions options;
  options.real = real;
  options.batch = 0;
  Graph graph = OnnxModel::parse(with_known_inputs(c, first_known), c.name).import(options);
  graph.verify();
  std::map<std::string, HostTensor> inputs;
  for (int i = 0; i < std::min<int>(first_known, c.model.graph().input_size()); ++i)
    inputs[c.model.graph().input(i).name()] =
        host_tensor(read_tensor(c.inputs.at(i), "input"), real);
  const auto check = [&](const char* stage) {
    CAPTURE(std::string(stage));
    graph.verify();
    const std::vector<HostTensor> values = interpret(graph, inputs);
    for (int i = 0; i < c.model.graph().output_size(); ++i) {
      const std::string& name = c.model.graph().output(i).name();
      const KnownTensor want = read_tensor(c.outputs.at(i), "output");
      const ValueId id = graph.output(name);
      REQUIRE(id != kNone);
      CHECK(to_dims(graph.shape(id)) == want.dims);
      CHECK(difference(values[id].reals(), want, absolute) == "");
      check_model_tensors(graph, values, name, want, absolute);
    }
  };
  check("import");
  to_channels_last(graph);
  check("to_channels_last");
  fold_constants(graph);
  check("fold_constants");
  const bool trains = std::any_of(graph.values.begin(), graph.values.end(),
                                  [](const Value& value) { return value.role == Role::parameter; });
  if (first_known == 0 && !trains) CHECK(graph.nodes.size() == 0);
}

}  // namespace

namespace {

constexpr int kNewestOpset = 25;

// Operators whose cases are left out, with the reason.
const std::map<std::string, std::string> kLeftOut = {
    {"Adagrad", "optimizers"},
    {"Adam", "optimizers"},
    {"Momentum", "optimizers"},
    {"Gradient", "optimizers"},
    {"NegativeLogLikelihoodLoss", "losses"},
    {"SoftmaxCrossEntropyLoss", "losses"},
    {"ConvInteger", "integer arithmetic"},
    {"MatMulInteger", "integer arithmetic"},
    {"QLinearConv", "integer arithmetic"},
    {"QLinearMatMul", "integer arithmetic"},
    {"DynamicQuantizeLinear", "integer arithmetic"},
};

bool has_our_types(const onnx::ModelProto& model) {
  const std::set<int> ours = {onnx::TensorProto::FLOAT, onnx::TensorProto::DOUBLE,
                              onnx::TensorProto::INT32, onnx::TensorProto::INT64,
                              onnx::TensorProto::BOOL};
  const auto fits = [&](const auto& ports) {
    return std::all_of(ports.begin(), ports.end(), [&](const auto& port) {
      return ours.contains(port.type().tensor_type().elem_type());
    });
  };
  return fits(model.graph().input()) && fits(model.graph().output());
}

bool is_empty(const onnx::TensorProto& tensor) {
  return std::count(tensor.dims().begin(), tensor.dims().end(), 0) > 0;
}

// Why a case is none of ours; empty: it has to pass.
std::string reason_to_leave_out(const Case& c, const std::string& ops, int opset) {
  for (const auto& [op, reason] : kLeftOut)
    if (ops.find(op) != std::string::npos) return reason;
  if (c.name.starts_with("test_batchnorm") && c.name.ends_with("_training_mode"))
    return "statistics of the batch";
  if (c.name.starts_with("test_training_dropout") && c.name.find("zero_ratio") == std::string::npos)
    return "random numbers";
  for (const auto* tensors : {&c.inputs, &c.outputs})
    if (std::any_of(tensors->begin(), tensors->end(), is_empty)) return "no elements";
  if (kOfOtherSizes.contains(c.name)) return "rounded sizes";
  if (opset < kOldestOpset) return "opset below 7";
  if (opset > kNewestOpset) return "opset above 25";
  if (!has_our_types(c.model)) return "other types of elements";
  return "";
}

// Whether all of a case's inputs decide shapes, so that all are constants.
bool is_all_shapes(const Case& c) {
  return std::set<std::string>{"Constant", "ConstantOfShape", "Range", "Shape", "Size"}.contains(
      c.op);
}

}  // namespace

TEST_CASE("ONNX's own tests of operators pass, but for those that are left out") {
  std::ifstream index(kCases / "INDEX.tsv");
  if (!index) {
    MESSAGE("skipped: there is no " << kCases.string());
    return;
  }
  int ran = 0;
  std::map<std::string, int> left_out;
  std::string line;
  std::getline(index, line);
  while (std::getline(index, line)) {
    std::istringstream fields(line);
    std::string name, op;
    std::getline(fields, name, '\t');
    std::getline(fields, op, '\t');
    int opset = 0;
    if (!(fields >> opset)) continue;
    CAPTURE(name);
    const Case c = read_case(name, op);
    if (const std::string reason = reason_to_leave_out(c, op, opset); !reason.empty()) {
      ++left_out[reason];
      continue;
    }
    std::set<int> passed;
    std::string reason;
    for (const int first_known : {255, 1, 0}) {
      for (const DType real : {DType::f32, DType::f64}) {
        try {
          run_case(c, first_known, real);
          passed.insert(first_known);
        } catch (const Error& error) {
          if (reason.empty()) reason = error.what();
          CHECK_MESSAGE(std::string(error.what()).find("bug of Attune") == std::string::npos,
                        error.what());
        }
      }
    }
    const bool good =
        passed.contains(255) || passed.contains(1) || (passed.contains(0) && is_all_shapes(c));
    CHECK_MESSAGE(good, name << ": " << reason);
    ran += good;
  }
  std::string table = fmt::format("{:24}{:>6}\n", "ran", ran);
  for (const auto& [reason, count] : left_out) table += fmt::format("{:24}{:>6}\n", reason, count);
  MESSAGE(table);
  if (kNamed == nullptr) CHECK(ran >= 465);
}

}  // namespace attune
