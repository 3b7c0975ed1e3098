#include "sparse_update/pipeline/export.h"

#include <doctest/doctest.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "sparse_update/pipeline/model_tensors.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

namespace fs = std::filesystem;

// A folder that goes away.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "attune_export_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const onnx::TensorProto& initializer(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer())
    if (tensor.name() == name) return tensor;
  FAIL("no initializer " << name);
  return model.graph().initializer(0);
}

// A model, a plan of it and a session that has trained.
struct Trained {
  OnnxModel model;
  LoadedPlan plan;
  std::unique_ptr<Session> session;

  Trained(OnnxModel m, const CompileOptions& options, int steps = 3)
      : model(std::move(m)),
        plan(compile(model, options).plan),
        session(make_session(plan.plan())) {
    train(*session, steps);
  }
  OnnxModel exported() const {
    return OnnxModel::parse(exported_model(model, plan.plan(), session->state()), "adapted.onnx");
  }
};

// The exported model, imported and interpreted, predicts what the session predicts.
void check_predictions(const Trained& t, const OnnxModel& exported) {
  fill_inputs(*t.session, ProgramKind::predict, 77);
  const int batch = t.session->batch(ProgramKind::predict);
  const Graph graph = exported.import({.real = DType::f64, .batch = batch, .input_shapes = {}});
  const Tensor x = t.session->port(ProgramKind::predict, PortRole::input).tensor;
  HostTensor input{x.dtype, x.shape, {x.as<std::byte>(), x.as<std::byte>() + x.bytes()}};
  input = HostTensor::of_reals(DType::f64, x.shape, input.reals());
  const auto values = interpret(graph, {{graph.inputs.front().name, input}});
  const std::vector<double> expected = values[graph.outputs.front().value].reals();
  REQUIRE(t.session->run(ProgramKind::predict).is_ok());
  const Tensor y = t.session->output(ProgramKind::predict, graph.outputs.front().name);
  REQUIRE(y);
  REQUIRE(y.shape.elements() == static_cast<int64_t>(expected.size()));
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double ours = y.dtype == DType::f64 ? y.as<double>()[i] : y.as<float>()[i];
    difference += (ours - expected[i]) * (ours - expected[i]);
    norm += expected[i] * expected[i];
  }
  CHECK(std::sqrt(difference) <= 1e-5 * std::sqrt(norm));
  CHECK(norm > 0);
}

// Everything but the named initializers is as it was.
void check_untouched(const OnnxModel& before, const OnnxModel& after,
                     const std::vector<std::string>& changed) {
  onnx::ModelProto a = before.proto(), b = after.proto();
  REQUIRE(a.graph().initializer_size() == b.graph().initializer_size());
  for (int i = 0; i < a.graph().initializer_size(); ++i) {
    const auto& name = a.graph().initializer(i).name();
    REQUIRE(b.graph().initializer(i).name() == name);
    if (std::find(changed.begin(), changed.end(), name) == changed.end()) {
      CHECK(a.graph().initializer(i).SerializeAsString() ==
            b.graph().initializer(i).SerializeAsString());
    } else {
      CHECK(before.reals(name) != after.reals(name));
      CHECK(before.reals(name).size() == after.reals(name).size());
      CHECK(a.graph().initializer(i).data_type() == b.graph().initializer(i).data_type());
    }
  }
  a.mutable_graph()->clear_initializer();
  b.mutable_graph()->clear_initializer();
  CHECK(a.SerializeAsString() == b.SerializeAsString());
}

bool onnx_checker_accepts(const OnnxModel& model) {
  if (std::system("/usr/bin/python3 -c 'import onnx.checker' >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: python3 has no onnx");
    return true;
  }
  Folder folder;
  const std::string path = folder / "model.onnx";
  std::ofstream(path, std::ios::binary) << model.proto().SerializeAsString();
  const std::string command =
      "/usr/bin/python3 -c 'import onnx; onnx.checker.check_model(\"" + path +
      "\", full_check=True); m = onnx.load(\"" + path +
      "\"); onnx.shape_inference.infer_shapes(m, check_type=True, strict_mode=True)'";
  return std::system(command.c_str()) == 0;
}

TEST_CASE("a session that has not trained exports the model's own values") {
  for (const int type : {1, 10, 11}) {
    CAPTURE(type);
    const Trained t(convnet({.type = type}), options_with("full"), 0);
    const OnnxModel exported = t.exported();
    for (const auto& tensor : t.model.proto().graph().initializer()) {
      if (tensor.data_type() == onnx::TensorProto::INT64) continue;
      const auto before = t.model.reals(tensor.name());
      const auto after = exported.reals(tensor.name());
      CHECK(before == after);
    }
  }
}

TEST_CASE("what was trained is exported, and nothing else is touched") {
  const std::vector<std::string> head = {"fc.weight", "fc.bias"};
  SUBCASE("head") {
    const Trained t(convnet(), options_with("head"));
    check_untouched(t.model, t.exported(), head);
    check_predictions(t, t.exported());
    CHECK(onnx_checker_accepts(t.exported()));
  }
  SUBCASE("biases, which are betas of batch norm") {
    const Trained t(convnet(), options_with("bias:2"));
    check_untouched(t.model, t.exported(),
                    {"fc.weight", "fc.bias", "project_bn.beta", "depthwise_bn.beta"});
    check_predictions(t, t.exported());
  }
  SUBCASE("everything, batch norm kept") {
    const Trained t(convnet(), options_with("full"));
    std::vector<std::string> names;
    for (const auto& tensor : t.model.proto().graph().initializer())
      if (const auto& n = tensor.name();
          !n.ends_with("mean") && !n.ends_with("var") && n != "zero" && n != "six")
        names.push_back(n);
    check_untouched(t.model, t.exported(), names);
    check_predictions(t, t.exported());
    CHECK(onnx_checker_accepts(t.exported()));
  }
  SUBCASE("in double") {
    const Trained t(convnet(),
                    options_with("full", [](CompileOptions& o) { o.real = DType::f64; }));
    check_predictions(t, t.exported());
  }
}

TEST_CASE("channels that a scheme leaves alone keep their bits") {
  Folder folder;
  const std::string scheme = folder / "scheme.json";
  std::ofstream(scheme) << R"({"head": false, "parameters": [
      {"name": "project.weight", "input_channels": [1, 4]},
      {"name": "stem.weight", "output_channels": [5]}]})";
  const Trained t(convnet(), options_with(scheme));
  const OnnxModel exported = t.exported();
  check_untouched(t.model, exported, {"project.weight", "stem.weight"});
  check_predictions(t, exported);
  // [O, I, 1, 1]
  const auto before = t.model.reals("project.weight");
  const auto after = exported.reals("project.weight");
  for (size_t i = 0; i < before.size(); ++i)
    CHECK((before[i] != after[i]) == (i % 6 == 1 || i % 6 == 4));
  const auto stem_before = t.model.reals("stem.weight");
  const auto stem_after = exported.reals("stem.weight");
  for (size_t i = 0; i < 5 * 27; ++i) CHECK(stem_before[i] == stem_after[i]);
}

TEST_CASE("doubles keep their precision where training left them alone") {
  Folder folder;
  const std::string scheme = folder / "scheme.json";
  std::ofstream(scheme)
      << R"({"head": false, "parameters": [{"name": "fc.weight", "output_channels": [2]}]})";
  const Trained t(convnet({.type = onnx::TensorProto::DOUBLE}), options_with(scheme));
  const OnnxModel exported = t.exported();
  const auto before = t.model.reals("fc.weight");
  const auto after = exported.reals("fc.weight");
  for (size_t i = 0; i < before.size(); ++i) CHECK((before[i] == after[i]) == (i / 6 != 2));
  CHECK(before[0] != static_cast<double>(static_cast<float>(before[0])));
}

TEST_CASE("halves are rounded to the nearest") {
  const Trained t(convnet({.type = onnx::TensorProto::FLOAT16}), options_with("head"));
  const OnnxModel exported = t.exported();
  const auto half = exported.reals("fc.weight");
  std::vector<ModelTensor> tensors = trained_tensors(t.plan.plan(), t.session->state());
  const auto& trained = std::find_if(tensors.begin(), tensors.end(), [](const auto& x) {
                          return x.name == "fc.weight";
                        })->reals;
  REQUIRE(half.size() == trained.size());
  int moved = 0;
  for (size_t i = 0; i < half.size(); ++i) {
    CHECK(std::fabs(half[i] - trained[i]) <= std::ldexp(std::fabs(trained[i]), -11));
    moved += half[i] != trained[i];
  }
  CHECK(moved > 0);
}

TEST_CASE("half precision at its edges: subnormal, ties, overflow") {
  const Trained t(convnet({.type = onnx::TensorProto::FLOAT16}), options_with("head"), 0);
  const std::vector<std::pair<float, double>> cases = {
      {65504.0f, 65504.0},
      {-65519.0f, -65504.0},
      {65520.0f, std::numeric_limits<double>::infinity()},
      {0x1p-24f, 0x1p-24},
      {0x1p-25f, 0.0},                    // a tie, to even
      {0x1.8p-24f, 0x1p-23},              // a tie, to even
      {0x1.ff8p-15f, 0x1.ff8p-15},        // a subnormal with all its bits
      {0x1.fffp-15f, 0x1p-14},            // rounds up to the smallest normal
      {1.0f + 0x1p-11f, 1.0},             // a tie, to even
      {1.0f + 0x1.8p-10f, 1.0 + 0x1p-9},  // a tie, to even
      {2.0f - 0x1p-12f, 2.0},             // carries into the exponent
      {-0.0f, 0.0}};
  std::vector<std::byte> state(t.session->state().begin(), t.session->state().end());
  // The trained parameters come first: the weight, then the bias, in some order of five and thirty.
  std::vector<ModelTensor> tensors = trained_tensors(t.plan.plan(), state);
  size_t offset = 0;
  if (tensors[0].name != "fc.weight") offset = 64;
  for (size_t i = 0; i < cases.size(); ++i)
    std::memcpy(state.data() + offset + 4 * i, &cases[i].first, 4);
  const OnnxModel exported =
      OnnxModel::parse(exported_model(t.model, t.plan.plan(), state), "adapted.onnx");
  const auto half = exported.reals("fc.weight");
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i].first);
    CHECK(half[i] == cases[i].second);
  }
  CHECK(std::signbit(half[cases.size() - 1]));
}

TEST_CASE("a fresh classifier gives initializers and outputs their new size") {
  const auto with_classes = [](CompileOptions& o) { o.classes = 9; };
  ConvnetOptions build;
  SUBCASE("flatten") {}
  SUBCASE("reshape to [0, -1]") { build.flatten = "Reshape"; }
  SUBCASE("softmax") { build.softmax = true; }
  SUBCASE("a reshape that follows the scores") { build.last_reshape = {-1, 1, 1, 0}; }
  SUBCASE("old files list initializers as inputs") { build.inputs_listed = true; }
  if (!build.last_reshape.empty()) build.last_reshape = {0, -1};
  const Trained t(convnet(build), options_with("head", with_classes));
  const OnnxModel exported = t.exported();
  const auto& proto = exported.proto();
  CHECK(initializer(proto, "fc.weight").dims(0) == 9);
  CHECK(initializer(proto, "fc.weight").dims(1) == 6);
  CHECK(initializer(proto, "fc.bias").dims(0) == 9);
  CHECK(proto.graph().value_info_size() == 0);
  if (build.last_reshape.empty()) {
    const auto& shape = proto.graph().output(0).type().tensor_type().shape();
    REQUIRE(shape.dim_size() == 2);
    CHECK(shape.dim(0).dim_param() == "N");
    CHECK(shape.dim(1).dim_value() == 9);
  }
  CHECK(proto.graph().output(0).name() == t.model.proto().graph().output(0).name());
  for (const auto& input : proto.graph().input())
    if (input.name() == "fc.bias")
      CHECK(input.type().tensor_type().shape().dim(0).dim_value() == 9);
  check_predictions(t, exported);
  CHECK(onnx_checker_accepts(exported));
}

TEST_CASE("a fresh classifier that is frozen is exported as well") {
  Folder folder;
  const std::string scheme = folder / "scheme.json";
  std::ofstream(scheme) << R"({"head": false, "bias_last": 1})";
  SUBCASE("wholly") {}
  SUBCASE("but for its bias") {
    std::ofstream(scheme) << R"({"head": false, "parameters": [{"name": "fc.bias"}]})";
  }
  const Trained t(convnet(),
                  options_with(scheme, [](CompileOptions& o) { o.classes = 3, o.seed = 11; }));
  const OnnxModel exported = t.exported();
  CHECK(initializer(exported.proto(), "fc.weight").dims(0) == 3);
  CHECK(initializer(exported.proto(), "fc.bias").dims(0) == 3);
  check_predictions(t, exported);
}

TEST_CASE("a reshape that fixes the old number of classes is named") {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{-1, 5}, {1, 5}}) {
    // Nine classes are no rows of five; ten are two, which is as wrong.
    for (const int classes : {9, 10}) {
      const Trained t(convnet({.last_reshape = shape}),
                      options_with("head",
                                   [&](CompileOptions& o) {
                                     o.classes = classes;
                                     if (shape[0] == 1) o.batch = 1;
                                   }),
                      0);
      const std::string error = error_of([&] { (void)t.exported(); });
      CHECK(contains(error, "reshaped_node"));
      CHECK(contains(error, "the old number of classes, 5"));
    }
  }
}

TEST_CASE("another model and the model's own path are refused, and nothing is written") {
  Folder folder;
  const std::string path = folder / "model.onnx", link = folder / "link.onnx",
                    out = folder / "out.onnx";
  const std::string original = convnet({.path = path}).proto().SerializeAsString();
  std::ofstream(path, std::ios::binary) << original;
  fs::create_symlink(path, link);
  const Trained t(OnnxModel::load(path), options_with("head"));

  for (const std::string& same : {path, link}) {
    CHECK(contains(error_of([&] { export_model(t.model, *t.session, same); }), "original model"));
    CHECK(bytes_of(path) == original);
  }
  const OnnxModel other = convnet({.softmax = true});
  CHECK(contains(error_of([&] { export_model(other, *t.session, out); }), "another model"));
  CHECK(!fs::exists(out));
  CHECK(contains(error_of([&] { export_model(t.model, *t.session, folder / "no/out.onnx"); }),
                 "cannot be created in its folder"));

  export_model(t.model, *t.session, out);
  check_untouched(t.model, OnnxModel::load(out), {"fc.weight", "fc.bias"});
  CHECK(bytes_of(path) == original);
}

TEST_CASE("external data moves into the exported file") {
  Folder folder;
  onnx::ModelProto proto = convnet().proto();
  std::string data;
  for (auto& tensor : *proto.mutable_graph()->mutable_initializer()) {
    if (tensor.name() != "fc.weight" && tensor.name() != "stem.weight") continue;
    std::string raw(reinterpret_cast<const char*>(tensor.float_data().data()),
                    static_cast<size_t>(tensor.float_data_size()) * 4);
    tensor.clear_float_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      auto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", "weights.bin");
    add("offset", std::to_string(data.size()));
    add("length", std::to_string(raw.size()));
    data += raw;
  }
  std::ofstream(folder / "weights.bin", std::ios::binary) << data;
  std::ofstream(folder / "model.onnx", std::ios::binary) << proto.SerializeAsString();
  const Trained t(OnnxModel::load(folder / "model.onnx"), options_with("head"));
  export_model(t.model, *t.session, folder / "out.onnx");
  fs::remove(folder / "weights.bin");
  const OnnxModel exported = OnnxModel::load(folder / "out.onnx");
  CHECK(exported.reals("stem.weight") == convnet().reals("stem.weight"));
  CHECK(exported.reals("fc.weight") != convnet().reals("fc.weight"));
  check_predictions(t, exported);
}

TEST_CASE("shared models are exported, with fresh classifiers too") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model) continue;
    for (const int classes : {0, 4}) {
      CAPTURE(name);
      CAPTURE(classes);
      const Trained t(
          *model,
          options_with("bias:2", [&](CompileOptions& o) { o.classes = classes, o.batch = 1; }), 1);
      check_predictions(t, t.exported());
      CHECK(onnx_checker_accepts(t.exported()));
    }
  }
}

}  // namespace
}  // namespace attune::test
