#include "tests/plan/support.h"

#include <doctest/doctest.h>
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/format/plan_tensor.h"
#include "engine/random.h"
#include "graph/ir/error.h"

namespace attune::test {

AlignedBytes::AlignedBytes(std::span<const std::byte> bytes, size_t misalignment)
    : misalignment_(misalignment), size_(bytes.size()) {
  // Exactly as large as needed at its end, so that sanitizers see what is read beyond it.
  void* memory = nullptr;
  REQUIRE(::posix_memalign(&memory, kSegmentAlignment, misalignment + bytes.size() + 1) == 0);
  memory_.reset(static_cast<std::byte*>(memory));
  if (!bytes.empty()) std::memcpy(memory_.get() + misalignment, bytes.data(), bytes.size());
}

LoadedPlan::LoadedPlan(std::span<const std::byte> bytes) : memory_(bytes) {
  const Status status = Plan::from_memory(memory_.bytes(), "test.att", &plan_);
  REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
}

std::unique_ptr<Session> make_session(const Plan& plan, const SessionOptions& options) {
  std::unique_ptr<Session> session;
  const Status status = Session::create(plan, options, &session);
  REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
  return session;
}

void set_checksum(std::span<std::byte> plan_bytes) {
  PlanHeader header;
  std::memcpy(&header, plan_bytes.data(), sizeof(header));
  header.checksum = hash64(plan_bytes.subspan(sizeof(header)));
  std::memcpy(plan_bytes.data(), &header, sizeof(header));
}

namespace {

class ConvnetBuilder {
 public:
  explicit ConvnetBuilder(const ConvnetOptions& options) : options_(options), random_(3, 0) {
    model_.set_ir_version(options.inputs_listed ? 3 : 8);
    model_.add_opset_import()->set_version(13);
    graph().set_name("convnet");
  }

  OnnxModel build() {
    port(graph().add_input(), "x", {-1, 3, 9, 9});
    std::string y = conv("stem", "x", {6, 3, 3, 3}, 2, 1, 1);
    y = norm("stem_bn", y, 6);
    scalar("zero", 0);
    scalar("six", 6);
    const std::string block = node("Clip", {y, "zero", "six"}, "stem_act");
    y = conv("depthwise", block, {6, 1, 3, 3}, 1, 1, 6);
    y = node("Relu", {norm("depthwise_bn", y, 6)}, "depthwise_act");
    y = norm("project_bn", conv("project", y, {6, 6, 1, 1}, 1, 0, 1), 6);
    y = node("Add", {y, block}, "sum");
    y = node("MaxPool", {y}, "largest");
    set_ints("kernel_shape", {2, 2});
    y = node("GlobalAveragePool", {y}, "pooled");
    y = flatten(y);
    tensor("fc.weight", {5, 6}, 0.5, options_.type);
    tensor("fc.bias", {5}, 0.1, options_.type);
    if (options_.type != 1) {
      cast("fc.weight");
      cast("fc.bias");
    }
    const std::string suffix = options_.type != 1 ? "_f32" : "";
    y = node("Gemm", {y, "fc.weight" + suffix, "fc.bias" + suffix}, "scores");
    set_int("transB", 1);
    info(graph().add_value_info(), "scores", {-1, 5});
    std::vector<int64_t> dims = {-1, 5};
    if (!options_.last_reshape.empty()) {
      ints("last_shape", options_.last_reshape);
      y = node("Reshape", {y, "last_shape"}, "reshaped");
      dims = options_.last_reshape;
    }
    if (options_.softmax) y = node("Softmax", {y}, "probabilities_out");
    port(graph().add_output(), y, dims);
    if (options_.inputs_listed)
      for (const auto& initializer : graph().initializer())
        info(graph().add_input(), initializer.name(),
             {initializer.dims().begin(), initializer.dims().end()}, initializer.data_type());
    return OnnxModel::parse(model_.SerializeAsString(), options_.path);
  }

 private:
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  void info(onnx::ValueInfoProto* info, const std::string& name, const std::vector<int64_t>& dims,
            int type = 1) {
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    auto* shape = info->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int64_t d : dims)
      if (d < 0)
        shape->add_dim()->set_dim_param("N");
      else
        shape->add_dim()->set_dim_value(d);
  }
  void port(onnx::ValueInfoProto* p, const std::string& name, const std::vector<int64_t>& dims) {
    info(p, name, dims);
  }

  // Uniform in [centre - range, centre + range).
  void tensor(const std::string& name, const std::vector<int64_t>& dims, double range, int type = 1,
              double centre = 0) {
    auto* t = graph().add_initializer();
    t->set_name(name);
    t->set_data_type(type);
    int64_t n = 1;
    for (int64_t d : dims) {
      t->add_dims(d);
      n *= d;
    }
    for (int64_t i = 0; i < n; ++i) {
      const double value =
          centre + range * (static_cast<double>(random_.below(1u << 20)) / (1u << 19) - 1);
      if (type == onnx::TensorProto::DOUBLE)
        t->add_double_data(value + 1e-12);
      else if (type == onnx::TensorProto::FLOAT16)
        t->add_int32_data(0x3000 + static_cast<int32_t>(i) * 7);  // from 0.125 on
      else
        t->add_float_data(static_cast<float>(value));
    }
  }
  void scalar(const std::string& name, float value) {
    auto* t = graph().add_initializer();
    t->set_name(name);
    t->set_data_type(onnx::TensorProto::FLOAT);
    t->add_float_data(value);
  }
  void ints(const std::string& name, const std::vector<int64_t>& values) {
    auto* t = graph().add_initializer();
    t->set_name(name);
    t->set_data_type(onnx::TensorProto::INT64);
    t->add_dims(static_cast<int64_t>(values.size()));
    for (int64_t v : values) t->add_int64_data(v);
  }

  std::string node(const char* op, const std::vector<std::string>& inputs,
                   const std::string& output) {
    last_ = graph().add_node();
    last_->set_op_type(op);
    last_->set_name(output + "_node");
    for (const auto& input : inputs) last_->add_input(input);
    last_->add_output(output);
    return output;
  }
  void set_int(const char* name, int64_t value) {
    auto* a = last_->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INT);
    a->set_i(value);
  }
  void set_ints(const char* name, const std::vector<int64_t>& values) {
    auto* a = last_->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INTS);
    for (int64_t v : values) a->add_ints(v);
  }
  void cast(const std::string& name) {
    node("Cast", {name}, name + "_f32");
    set_int("to", 1);
  }

  std::string conv(const std::string& name, const std::string& x, const std::vector<int64_t>& w,
                   int64_t stride, int64_t pad, int64_t groups) {
    tensor(name + ".weight", w, 0.6);
    const std::string y = node("Conv", {x, name + ".weight"}, name + "_out");
    set_ints("strides", {stride, stride});
    set_ints("pads", {pad, pad, pad, pad});
    set_int("group", groups);
    return y;
  }
  std::string norm(const std::string& name, const std::string& x, int64_t channels) {
    tensor(name + ".gamma", {channels}, 0.2, 1, 1);
    tensor(name + ".beta", {channels}, 0.3);
    tensor(name + ".mean", {channels}, 0.2);
    tensor(name + ".var", {channels}, 0.3, 1, 0.8);
    return node("BatchNormalization",
                {x, name + ".gamma", name + ".beta", name + ".mean", name + ".var"}, name + "_out");
  }
  std::string flatten(const std::string& x) {
    if (options_.flatten == "Flatten") return node("Flatten", {x}, "flat");
    ints("flat_shape", {0, -1});
    return node("Reshape", {x, "flat_shape"}, "flat");
  }

  const ConvnetOptions& options_;
  Random random_;
  onnx::ModelProto model_;
  onnx::NodeProto* last_ = nullptr;
};

}  // namespace

OnnxModel convnet(const ConvnetOptions& options) { return ConvnetBuilder(options).build(); }

void fill_inputs(Session& session, ProgramKind kind, uint64_t seed) {
  Random random(seed, 1);
  for (int p = 0; p < session.port_count(kind); ++p) {
    const SessionPort port = session.port(kind, p);
    if (!is_fed(port.role)) continue;
    const Tensor& tensor = port.tensor;
    for (int64_t i = 0; i < tensor.shape.elements(); ++i) {
      double value = static_cast<double>(random.below(2001)) / 1000 - 1;
      if (port.role == PortRole::weight || port.role == PortRole::step) value = 1;
      if (port.role == PortRole::rate) value = 0.05;
      if (port.limit > 0) value = static_cast<double>(i % port.limit);
      switch (tensor.dtype) {
        case DType::f32:
          tensor.as<float>()[i] = static_cast<float>(value);
          break;
        case DType::f64:
          tensor.as<double>()[i] = value;
          break;
        case DType::i32:
          tensor.as<int32_t>()[i] = static_cast<int32_t>(value);
          break;
        default:
          tensor.as<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
          break;
      }
    }
  }
}

void train(Session& session, int steps) {
  for (int i = 0; i < steps; ++i) {
    fill_inputs(session, ProgramKind::train_step, static_cast<uint64_t>(i) + 1);
    const Status status = session.run(ProgramKind::train_step);
    REQUIRE_MESSAGE(status.is_ok(), std::string(status.message()));
  }
}

std::optional<OnnxModel> shared_model(const std::string& name) {
  const std::string path = ATTUNE_SOURCE_DIR "/../shared/models/" + name;
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: there is no " << path);
    return std::nullopt;
  }
  return OnnxModel::load(path);
}

std::vector<std::string> shared_models() {
  return {"ds_cnn_kws-f32.onnx", "mbv2-w0.35-f32.onnx", "mcunet-5fps-f32.onnx",
          "proxyless-w0.3-f32.onnx"};
}

}  // namespace attune::test
