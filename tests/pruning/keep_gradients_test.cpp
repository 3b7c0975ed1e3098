#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "attune/parameters.h"
#include "sparse_update/pipeline/bake_kernels.h"
#include "tests/pruning/subjects.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/transformer.h"

// Gradients by the model's names, as applications read them, against the slope of the loss when a
// parameter is set, again by name: whatever a scheme trains, and however a plan computes it.
namespace attune::test {
namespace {

constexpr ProgramKind kTrain = ProgramKind::train_step;

CompileOptions keeping(const std::string& scheme, bool fuse, DType real) {
  CompileOptions options = compile_options(scheme, fuse);
  options.batch = 4;
  options.real = real;
  options.expose_gradients = true;
  return options;
}

// Reads or writes the whole of a tensor as doubles, whatever its type.
std::vector<double> unpacked(const std::vector<std::byte>& bytes, DType real) {
  return reals_of({.data = const_cast<std::byte*>(bytes.data()),
                   .dtype = real,
                   .shape = {static_cast<int32_t>(bytes.size() / dtype_bytes(real, 1))}});
}

std::vector<double> value_of(const Session& session, int index) {
  const ParameterInfo info = parameter(session.plan(), index);
  std::vector<std::byte> bytes(info.bytes());
  require(get_parameter(session, index, bytes));
  return unpacked(bytes, info.dtype);
}

std::vector<double> gradient_of(const Session& session, int index) {
  const ParameterInfo info = parameter(session.plan(), index);
  std::vector<std::byte> bytes(info.bytes());
  require(get_gradient(session, index, bytes));
  return unpacked(bytes, info.dtype);
}

// Ids, or numbers, labels and weights that are not all the same; the rate is 0.
void feed(Session& session) {
  for (int p = 0; p < session.port_count(kTrain); ++p) {
    const SessionPort port = session.port(kTrain, p);
    if (!is_fed(port.role)) continue;
    for (int64_t i = 0; i < port.tensor.shape.elements(); ++i) {
      const double value = port.role == PortRole::rate     ? 0
                           : port.role == PortRole::step   ? 1
                           : port.role == PortRole::weight ? 0.5 + static_cast<double>(i % 3)
                           : port.limit > 0 ? static_cast<double>((3 * i + i * i) % port.limit)
                                            : test_element(7 * i + 3);
      if (port.tensor.dtype == DType::i32)
        port.tensor.as<int32_t>()[i] = static_cast<int32_t>(value);
      else if (port.tensor.dtype == DType::f64)
        port.tensor.as<double>()[i] = value;
      else
        port.tensor.as<float>()[i] = static_cast<float>(value);
    }
  }
}

void run(Session& session) {
  feed(session);
  require(session.run(kTrain));
}

// The loss where one element of a parameter is another; an optimizer's state does not matter to it.
double loss_with(Session& session, int index, size_t element, double by) {
  session.reset_state();
  std::vector<double> moved = value_of(session, index);
  moved[element] += by;
  require(set_parameter(session, index, std::as_bytes(std::span(moved))));
  run(session);
  return *session.port(kTrain, PortRole::loss).tensor.as<double>();
}

// Whether an element of the model's tensor is trained, by what the list says.
bool is_trained(const ParameterInfo& info, size_t element) {
  if (info.slice_axis < 0) return info.trained == info.elements;
  size_t inner = 1;
  for (size_t axis = info.shape.size(); axis-- > static_cast<size_t>(info.slice_axis) + 1;)
    inner *= static_cast<size_t>(info.shape[axis]);
  const auto channel = static_cast<int32_t>(
      element / inner % static_cast<size_t>(info.shape[static_cast<size_t>(info.slice_axis)]));
  return std::binary_search(info.slice.begin(), info.slice.end(), channel);
}

// A few elements of every parameter, in double: its gradient, of a session whose dead memory is
// NaN, and the slope, of another. A channel that a clamp holds for all examples has a slope of 0.
void check_slopes(Session& poisoned, Session& session) {
  REQUIRE(parameter_count(session.plan()) > 0);
  run(poisoned);
  bool any = false;
  for (int index = 0; index < parameter_count(session.plan()); ++index) {
    const ParameterInfo info = parameter(session.plan(), index);
    CAPTURE(std::string(info.name));
    if (info.statistic) {
      std::vector<std::byte> bytes(info.bytes());
      CHECK(contains(get_gradient(poisoned, index, bytes).message(), "is a statistic"));
      continue;
    }
    CHECK(info.has_gradient);
    const std::vector<double> gradient = gradient_of(poisoned, index);
    double largest = 0;
    int64_t trained = 0;
    std::vector<size_t> looked_at;
    for (size_t i = 0; i < gradient.size(); ++i) {
      largest = std::max(largest, std::abs(gradient[i]));
      trained += is_trained(info, i);
      if (is_trained(info, i)) looked_at.push_back(i);
      if (!is_trained(info, i) && gradient[i] != 0) FAIL_CHECK("a gradient of what is frozen");
    }
    CHECK(trained == info.trained);
    any |= largest > 0;
    for (size_t part = 0; part < 3; ++part) {
      const size_t element = looked_at[part * (looked_at.size() - 1) / 2];
      CAPTURE(element);
      constexpr double kBy = 1e-6;
      const double slope =
          (loss_with(session, index, element, kBy) - loss_with(session, index, element, -kBy)) /
          (2 * kBy);
      CHECK(std::abs(gradient[element] - slope) < 1e-4 * largest + 1e-8);
    }
  }
  CHECK(any);
}

void check_slopes(const Model& model, const CompileOptions& options) {
  const CompiledPlan compiled(model, options);
  SessionOptions poison;
  poison.poison = true;
  check_slopes(*compiled.session(poison), *compiled.session({}));
}

}  // namespace

TEST_CASE("kept gradients are the slopes of the loss, for every kind of scheme") {
  for (const Subject& subject : small_subjects())
    for (const std::string& scheme : session_schemes(subject)) {
      CAPTURE(subject.name);
      CAPTURE(scheme);
      check_slopes(subject.model, keeping(scheme, true, DType::f64));
    }
  for (const char* scheme : {"full", "last:1", "bias:2"}) {
    CAPTURE(scheme);
    check_slopes(transformer(Family::bert, Exporter::torchscript),
                 keeping(scheme, true, DType::f64));
  }
}

TEST_CASE("kept gradients are the slopes of the loss, however a plan computes them") {
  for (const Subject& subject : small_subjects()) {
    CAPTURE(subject.name);
    const std::string scheme = subject.sliced.back().first;
    for (const std::string& chosen : {std::string("full"), scheme}) {
      CAPTURE(chosen);
      CompileOptions options = keeping(chosen, true, DType::f64);
      for (const int micro_batch : {1, 2}) {
        CAPTURE(micro_batch);
        options.micro_batch = micro_batch;
        check_slopes(subject.model, options);
      }
      options.micro_batch = 0;
      options.optimizer.kind = OptimizerKind::adam;
      options.split_gradients = options.remake_masks = options.tile = true;
      check_slopes(subject.model, options);
      options.batch = 1;
      check_slopes(subject.model, options);
    }
    if (!subject.has_norms) continue;
    CompileOptions options = keeping(scheme, false, DType::f64);
    options.batch_norm = BatchNorm::update;
    check_slopes(subject.model, options);
  }
}

TEST_CASE("gradients of a table of ids are whole, also where only its rows are updated") {
  const auto model = transformer(Family::distilbert, Exporter::torchscript);
  for (const int micro_batch : {0, 2}) {
    CompileOptions options = keeping("full", true, DType::f64);
    options.micro_batch = micro_batch;
    check_slopes(model, options);
  }
}

TEST_CASE("single precision, threads and baked kernels give the same gradients") {
  for (const Subject& subject : small_subjects()) {
    CAPTURE(subject.name);
    const std::string scheme = subject.sliced.front().first;
    const CompiledPlan exact(subject.model, keeping(scheme, true, DType::f64));
    Compiled compiled = compile(subject.model, keeping(scheme, true, DType::f32));
    bake_kernels(compiled, {});
    const CompiledPlan baked(std::move(compiled));
    const auto one = exact.session({}), two = baked.session({.threads = 2});
    run(*one);
    run(*two);
    CHECK(one->memory().kept_gradients == 2 * two->memory().kept_gradients);
    size_t bytes = 0;
    for (int index = 0; index < parameter_count(exact.plan()); ++index) {
      bytes += static_cast<size_t>(parameter(baked.plan(), index).trained) * sizeof(float);
      const std::vector<double> wanted = gradient_of(*one, index), got = gradient_of(*two, index);
      REQUIRE(got.size() == wanted.size());
      double largest = 0, error = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        largest = std::max(largest, std::abs(wanted[i]));
        error = std::max(error, std::abs(wanted[i] - got[i]));
      }
      CHECK(error < 1e-4 * largest);
    }
    CHECK(two->memory().kept_gradients == bytes);
    CHECK(two->memory().arena >= bytes);
  }
}

TEST_CASE("without being asked to, a plan keeps no gradient, and says so") {
  const Subject& subject = small_subjects().back();
  CompileOptions options = keeping("full", true, DType::f32);
  options.expose_gradients = false;
  const CompiledPlan compiled(subject.model, options);
  const auto session = compiled.session({});
  run(*session);
  CHECK(session->memory().kept_gradients == 0);
  std::vector<std::byte> bytes(parameter(compiled.plan(), 0).bytes());
  CHECK_FALSE(parameter(compiled.plan(), 0).has_gradient);
  CHECK(contains(get_gradient(*session, 0, bytes).message(),
                 "compile the plan with "
                 "--keep-gradients"));
}

// What a slice of the model's axis is, where the plan sees the tensor with other axes.
TEST_CASE("parameters are listed and read as the model has them, whatever the plan's layout") {
  for (const Subject& subject : small_subjects())
    for (const std::string& scheme : session_schemes(subject)) {
      CAPTURE(subject.name);
      CAPTURE(scheme);
      const CompiledPlan compiled(subject.model, keeping(scheme, true, DType::f64));
      const auto session = compiled.session({});
      for (int index = 0; index < parameter_count(compiled.plan()); ++index) {
        const ParameterInfo info = parameter(compiled.plan(), index);
        CAPTURE(std::string(info.name));
        const auto initializers = subject.model.proto().graph().initializer();
        const auto same = [&](const onnx::TensorProto& t) { return t.name() == info.name; };
        const auto tensor = std::find_if(initializers.begin(), initializers.end(), same);
        REQUIRE(tensor != initializers.end());
        CHECK(std::vector<int64_t>(tensor->dims().begin(), tensor->dims().end()) ==
              std::vector<int64_t>(info.shape.begin(), info.shape.end()));
        const std::vector<double> value = value_of(*session, index);
        REQUIRE(tensor->float_data_size() == std::ssize(value));
        for (size_t i = 0; i < value.size(); ++i)
          if (value[i] != double{tensor->float_data(static_cast<int>(i))})
            FAIL("element " << i << " is another one");
      }
    }
}

}  // namespace attune::test
