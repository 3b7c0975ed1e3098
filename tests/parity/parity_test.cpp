#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>

#include "attune/parameters.h"
#include "engine/format/plan_tensor.h"
#include "tests/parity/parity_case.h"
#include "tests/support/compiled_plan.h"

// Attune against PyTorch's double. An error is relative to the norm of a whole tensor (or slice):
// ||ours - theirs|| / ||theirs||. That of a parameter is the larger one of its value's and of its
// change's since the start, so that weights that hardly move are no excuse.
namespace attune::test {
namespace {

constexpr double kOneStep = 1e-9;    // f64: gradients, and parameters after the first step
constexpr double kFiveSteps = 1e-6;  // f64: parameters after the fifth
constexpr double kSingle = 1e-5;     // f32: gradients, or ...
constexpr double kTorchErrors = 3;   // ... so many times the error of PyTorch's own f32, if larger

double relative_error(const std::vector<double>& ours, const std::vector<double>& theirs) {
  if (ours.size() != theirs.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
    norm += theirs[i] * theirs[i];
  }
  if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

std::vector<double> change(const std::vector<double>& from, std::vector<double> to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] -= from[i];
  return to;
}

// A column of the table: the worst error of a case, and the tensor that has it.
struct Worst {
  double error = 0;
  std::string tensor;
  void add(double e, const std::string& name) {
    if (!(e <= error)) error = e, tensor = name;
  }
};

struct Row {
  Worst gradient, unfused, one_step, five_steps;
  double torch = 0;
  Worst single[5];  // by BackendChoice
};

// Elements of the trained slice in the model's order.
std::vector<double> trained_elements(const Session& session, const format::Parameter& parameter) {
  const WholeParameter whole = parameter_tensor(session, parameter);
  std::vector<double> part = trained_part(parameter, whole);
  Tensor narrow = whole;
  narrow.dtype = DType::f64;
  narrow.data = part.data();
  if (parameter.slice_axis() >= 0)
    narrow.shape[parameter.slice_axis()] = static_cast<int32_t>(parameter.slice()->size());
  return in_model_order(parameter, narrow);
}

CompileOptions options_for(const ParityCase& c, DType real) {
  CompileOptions options;
  options.scheme = c.scheme;
  options.batch = c.batch;
  options.real = real;
  options.optimizer.kind = OptimizerKind::sgd;
  options.expose_gradients = true;
  return options;
}

SessionOptions session_options(BackendChoice backend) {
  SessionOptions options;
  options.backend = backend;
  return options;  // one thread: PyTorch has the other; their number changes no bit, see
                   // tests/pruning
}

void run_step(const ParityCase& c, Session& session, int step, double learning_rate) {
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  c.fill(session, kTrain, step);
  const Tensor rate = session.input(kTrain, "learning_rate");
  if (rate.dtype == DType::f64)
    *rate.as<double>() = learning_rate;
  else
    *rate.as<float>() = static_cast<float>(learning_rate);
  if (const Tensor number = session.input(kTrain, "step")) *number.as<int32_t>() = step + 1;
  require(session.run(kTrain));
}

// The plan trains what PyTorch trained.
void check_slices(const ParityCase& c, const CompiledPlan& compiled) {
  CHECK(compiled.parameters().size() == c.trained.size());
  for (const CaseSlice& slice : c.trained) {
    CAPTURE(slice.name);
    const format::Parameter* parameter = compiled.parameter(slice.name);
    REQUIRE(parameter != nullptr);
    const int axis = parameter->slice_axis();
    CHECK((axis < 0 ? -1 : parameter->perm()->Get(static_cast<unsigned>(axis))) == slice.axis);
    const auto channels = list_of(parameter->slice());
    CHECK(std::vector<int64_t>(channels.begin(), channels.end()) == slice.channels);
  }
}

// The gradient of what PyTorch trained of a parameter, of the whole that a session gives by name.
std::vector<double> kept_gradient(const Session& session, const CaseSlice& slice) {
  int index = -1;
  require(find_parameter(session.plan(), slice.name, &index));
  const ParameterInfo info = parameter(session.plan(), index);
  std::vector<std::byte> bytes(info.bytes());
  require(get_gradient(session, index, bytes));
  const std::vector<double> whole = reals_of(
      {.data = bytes.data(), .dtype = info.dtype, .shape = {static_cast<int32_t>(info.elements)}});
  if (slice.axis < 0) return whole;
  int64_t inner = 1;
  for (size_t axis = static_cast<size_t>(slice.axis) + 1; axis < info.shape.size(); ++axis)
    inner *= info.shape[axis];
  std::vector<double> part;
  for (int64_t i = 0; i < info.elements; ++i)
    if (std::ranges::count(slice.channels, i / inner % info.shape[static_cast<size_t>(slice.axis)]))
      part.push_back(whole[static_cast<size_t>(i)]);
  return part;
}

// The gradients of the last step against PyTorch's at the start.
template <class F>
void for_gradients(const ParityCase& c, const Session& session, F&& f) {
  for (size_t i = 0; i < c.trained.size(); ++i) {
    f(c.trained[i], relative_error(kept_gradient(session, c.trained[i]), c.gradient(i)));
  }
}

void check_loss(const ParityCase& c, const Session& session, ProgramKind kind) {
  const double loss = reals_of(session.output(kind, "loss"))[0];
  CHECK(std::abs(loss - c.loss()) < kOneStep * std::abs(c.loss()));
}

// Trains in f64 and compares the snapshots. The gradients are outputs in one of the runs only, so
// that their memory is reused in the others.
void check_optimizer(const ParityCase& c, const Model& model, const CaseOptimizer& chosen,
                     bool with_gradients, Row* row) {
  CAPTURE(chosen.key);
  CompileOptions options = options_for(c, DType::f64);
  options.optimizer = chosen.optimizer;
  options.expose_gradients = with_gradients;
  const CompiledPlan compiled(model, options);
  check_slices(c, compiled);
  const auto session = compiled.session(session_options(BackendChoice::reference));
  const auto untrained = compiled.session(session_options(BackendChoice::reference));
  if (with_gradients) {
    c.fill(*session, ProgramKind::evaluate, 0);
    require(session->run(ProgramKind::evaluate));
    check_loss(c, *session, ProgramKind::evaluate);
  }

  for (int step = 0; step < c.steps; ++step) {
    run_step(c, *session, step, chosen.learning_rate);
    if (step == 0) check_loss(c, *session, ProgramKind::train_step);
    if (step == 0 && with_gradients)
      for_gradients(c, *session, [&](const CaseSlice& slice, double error) {
        CAPTURE(slice.name);
        CHECK(error < kOneStep);
        row->gradient.add(error, slice.name);
      });
    if (std::find(c.snapshots.begin(), c.snapshots.end(), step + 1) == c.snapshots.end()) continue;
    for (size_t i = 0; i < c.trained.size(); ++i) {
      const std::string& name = c.trained[i].name;
      CAPTURE(name);
      const format::Parameter& parameter = *compiled.parameter(name);
      const auto ours = trained_elements(*session, parameter);
      const auto theirs = c.parameter(chosen.key, step + 1, i);
      const auto start = trained_elements(*untrained, parameter);
      const double error = std::max(relative_error(ours, theirs),
                                    relative_error(change(start, ours), change(start, theirs)));
      CHECK(error < (step == 0 ? kOneStep : kFiveSteps));
      (step == 0 ? row->one_step : row->five_steps).add(error, name);
    }
  }

  CHECK(compiled.intact());
  for (const format::Parameter* parameter : compiled.parameters()) {
    CAPTURE(parameter->name()->str());
    CHECK(same_outside_slice(*parameter, parameter_tensor(*session, *parameter),
                             parameter_tensor(*untrained, *parameter)));
  }
}

void check_unfused(const ParityCase& c, const Model& model, Row* row) {
  CompileOptions options = options_for(c, DType::f64);
  options.fuse = false;
  const CompiledPlan compiled(model, options);
  const auto session = compiled.session(session_options(BackendChoice::reference));
  run_step(c, *session, 0, 0);
  for_gradients(c, *session, [&](const CaseSlice& slice, double error) {
    CAPTURE(slice.name);
    CHECK(error < kOneStep);
    row->unfused.add(error, slice.name);
  });
}

void check_single(const ParityCase& c, const Model& model, Row* row) {
  const CompiledPlan compiled(model, options_for(c, DType::f32));
  for (const CaseSlice& slice : c.trained) row->torch = std::max(row->torch, slice.f32_error);
  for (BackendChoice backend : {BackendChoice::best, BackendChoice::reference, BackendChoice::eigen,
                                BackendChoice::simd, BackendChoice::xnnpack}) {
    CAPTURE(static_cast<int>(backend));
    const auto session = compiled.session(session_options(backend));
    run_step(c, *session, 0, 0);
    for_gradients(c, *session, [&](const CaseSlice& slice, double error) {
      CAPTURE(slice.name);
      CHECK(error < std::max(kSingle, kTorchErrors * slice.f32_error));
      row->single[static_cast<int>(backend)].add(error, slice.name);
    });
  }
}

void print_row(const std::string& name, const Row& row) {
  const auto single = [&](BackendChoice b) { return row.single[static_cast<int>(b)].error; };
  fmt::print(
      "{:28} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e} {:9.1e}\n",
      name, row.gradient.error, row.unfused.error, row.one_step.error, row.five_steps.error,
      row.torch, single(BackendChoice::reference), single(BackendChoice::eigen),
      single(BackendChoice::simd), single(BackendChoice::xnnpack), single(BackendChoice::best));
  std::fflush(stdout);
}

void check_case(const std::string& folder, const std::string& name) {
  CAPTURE(name);
  const ParityCase c(folder);
  const ModelPtr model = load_model(c.model);
  Row row;
  bool first = true;
  for (const CaseOptimizer& optimizer : c.optimizers) {
    check_optimizer(c, *model, optimizer, first, &row);
    first = false;
  }
  check_unfused(c, *model, &row);
  check_single(c, *model, &row);
  print_row(name, row);
}

constexpr const char* kPython = "/usr/bin/python3";

bool torch_is_there() {
  const std::string command =
      std::string(kPython) + " -c 'import torch, torchvision, onnx' 2>/dev/null";
  return std::system(command.c_str()) == 0;
}

// A folder that goes away with everything in it.
struct TemporaryFolder {
  std::string path;
  TemporaryFolder() {
    path = (std::filesystem::temp_directory_path() / "attune_parity.XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

TEST_CASE("gradients and trained parameters are those of PyTorch") {
  if (!torch_is_there()) {
    const char* required = std::getenv("ATTUNE_REQUIRE_TORCH");
    if (required && std::string(required) == "1")
      FAIL("/usr/bin/python3 has no torch, torchvision or onnx, and ATTUNE_REQUIRE_TORCH is set");
    MESSAGE("/usr/bin/python3 has no torch, torchvision or onnx: parity with PyTorch not tested");
    return;
  }
  const TemporaryFolder folder;
  const std::string command =
      std::string(kPython) + " " ATTUNE_SOURCE_DIR "/tests/parity/make_cases.py " + folder.path;
  // Cases come one after the other; each is compared while PyTorch makes the next one.
  std::FILE* python = ::popen(command.c_str(), "r");
  REQUIRE(python != nullptr);
  fmt::print("{:28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
             "worst relative error", "f64 grad", "unfused", "1 step", "5 steps", "torch f32",
             "reference", "eigen", "simd", "xnnpack", "best");
  char line[256];
  std::set<std::string> networks;
  while (std::fgets(line, sizeof(line), python)) {
    std::string name = line;
    name.pop_back();
    networks.insert(name.substr(0, name.find('-')));
    check_case(folder.path + "/" + name, name);
    std::filesystem::remove_all(folder.path + "/" + name);
  }
  CHECK(::pclose(python) == 0);
  CHECK(networks == std::set<std::string>{"mlp", "mobilenet_v2", "resnet18"});
}

}  // namespace attune::test
