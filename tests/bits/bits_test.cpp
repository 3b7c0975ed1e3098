// Gradients, updated parameters and losses of the reference backend, to the bit as recorded.txt
// has them, and arenas at most a little larger. A change of the compiler, of kernels or of the
// engine that is not meant to change sums leaves every hash; one that is meant to says why, and
// records anew: `ATTUNE_RECORD_BITS=1 build/bin/test_bits` writes the figures of all rows. A new
// case is a row of its first four columns; ATTUNE_RECORD_BITS=missing writes its figures alone.
//
// The bits are the same for every compiler and machine, as sums are never contracted or reordered,
// with one exception: exp, log and pow are the C library's (softmax and cross entropy, sigmoid,
// Adam). Versions of glibc on x86-64 agree in practice; where all rows but those of
// mean_squared_error differ at once, it is that. Of tanh and log1p they do not in single precision,
// so kernels take these in double.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "engine/format/parameter_tensor.h"
#include "tests/bits/networks.h"
#include "tests/bits/recorded.h"
#include "tests/plan/support.h"
#include "tests/support/compiled_plan.h"

namespace attune::test {
namespace {

constexpr double kLargerWithBudget = 1.015, kLarger = 1.055;
constexpr ProgramKind kTrain = ProgramKind::train_step;

class Hash {
 public:
  template <class T>
  void add(std::span<const T> elements) {
    hash_ = hash64(std::as_bytes(elements), hash_);
  }
  void add(const Tensor& tensor) {
    add(std::span<const std::byte>(tensor.as<std::byte>(), tensor.bytes()));
  }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  uint64_t hash_ = hash64({});
};

std::unique_ptr<Session> poisoned_session(const CompiledPlan& compiled) {
  SessionOptions options;
  options.backend = BackendChoice::reference;
  options.poison = true;
  return compiled.session(options);
}

// Runs step 1, 2, .. and gives its loss. Examples count one, a half, one, a half ..
double run_step(Session& session, uint64_t step) {
  fill_inputs(session, kTrain, step);
  const Tensor weights = session.input(kTrain, "weights");
  for (int64_t i = 1; i < weights.shape.elements(); i += 2)
    if (weights.dtype == DType::f64)
      weights.as<double>()[i] = 0.5;
    else
      weights.as<float>()[i] = 0.5f;
  require(session.run(kTrain));
  const double loss = reals_of(session.output(kTrain, "loss"))[0];
  CHECK(std::isfinite(loss));
  return loss;
}

// What a narrow parameter has among the constants and not in the state.
int64_t frozen_bytes(const format::Parameter& parameter) {
  const ParameterTensor value = attune::parameter_tensor(parameter, 0);
  return (value.elements() - value.trained()) * static_cast<int64_t>(dtype_bytes(value.dtype, 1));
}

// Over the trained parameters by name: f(parameter) gives a tensor, hashed in the model's order.
template <class F>
std::string hash_by_name(const CompiledPlan& compiled, F&& f) {
  auto parameters = compiled.parameters();
  const auto name = [](const format::Parameter* p) { return p->name()->str(); };
  std::sort(parameters.begin(), parameters.end(),
            [&](auto* a, auto* b) { return name(a) < name(b); });
  Hash hash;
  for (const format::Parameter* parameter : parameters) {
    hash.add(std::span<const char>(name(parameter)));
    const auto tensor = f(*parameter);
    REQUIRE(tensor);
    hash.add(std::span<const double>(in_model_order(*parameter, tensor)));
  }
  return hash.text();
}

// Of a plan that shows its gradients. They are whole then, and nothing of the arena is theirs to
// share, so that budgets mean nothing.
std::string gradients_of(const Model& model, CompileOptions options) {
  options.expose_gradients = true;
  options.arena_budget = 0;
  const CompiledPlan compiled(model, options);
  const auto session = poisoned_session(compiled);
  run_step(*session, 1);
  return hash_by_name(compiled, [&](const format::Parameter& parameter) {
    return session->output(kTrain, "grad:" + parameter.name()->str());
  });
}

std::string evaluated(Session& session) {
  Hash hash;
  for (const auto& [kind, ports] :
       {std::pair{ProgramKind::evaluate, std::vector{"loss", "correct"}},
        std::pair{ProgramKind::predict, std::vector{"output", "probabilities"}}}) {
    fill_inputs(session, kind, 9);
    require(session.run(kind));
    for (const char* port : ports)
      if (const Tensor output = session.output(kind, port)) hash.add(output);
  }
  return hash.text();
}

// As C writes it: versions of fmt differ in how they write zero.
std::string hexadecimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

Figures figures_of(const Model& model, const CompileOptions& options) {
  Figures figures;
  figures.gradients = gradients_of(model, options);
  const CompiledPlan compiled(model, options);
  const auto session = poisoned_session(compiled);
  const double first = run_step(*session, 1), second = run_step(*session, 2);
  figures.losses = hexadecimal(first) + "," + hexadecimal(second);
  figures.parameters = hash_by_name(compiled, [&](const format::Parameter& parameter) {
    return WholeParameter(session->plan(), session->state(), parameter);
  });
  figures.evaluated = evaluated(*session);
  // Less what narrow parameters save in the state, for which the arena may grow.
  auto arena = static_cast<int64_t>(compiled.plan().table().arena_bytes());
  for (const format::Parameter* parameter : compiled.parameters())
    if (parameter->narrow()) arena -= frozen_bytes(*parameter);
  figures.arena = std::to_string(arena);
  return figures;
}

// Prints how an arena differs, if it does.
void check_arena(const Record& record, const Figures& now) {
  const double before = std::stod(record.figures.arena), after = std::stod(now.arena);
  if (after != before)
    fmt::print("arena {:24} {:40} {:>3} {:40} {:>9} -> {:>9} ({:+.2f} %)\n", record.network,
               record.scheme, record.batch, record.options, record.figures.arena, now.arena,
               100 * (after / before - 1));
  CHECK(after <= before * (record.has_budget() ? kLargerWithBudget : kLarger));
}

void check(const Record& record, const Figures& now) {
  REQUIRE_MESSAGE(!record.figures.arena.empty(), "the row has no figures: record them");
  CHECK(now.gradients == record.figures.gradients);
  CHECK(now.losses == record.figures.losses);
  CHECK(now.parameters == record.figures.parameters);
  CHECK(now.evaluated == record.figures.evaluated);
  check_arena(record, now);
}

enum class Recording { none, missing, all };
Recording recording() {
  const char* asked = std::getenv("ATTUNE_RECORD_BITS");
  if (!asked || !*asked) return Recording::none;
  return std::string(asked) == "missing" ? Recording::missing : Recording::all;
}

void check_networks(NetworkKind kind) {
  std::vector<Record> records = read_records();
  std::set<std::string> absent;
  int checked = 0;
  for (Record& record : records) {
    if (kind_of(record.network) != kind) continue;
    if (recording() == Recording::missing && !record.figures.arena.empty()) continue;
    const Model* model = find_network(record.network);
    if (!model) {
      absent.insert(record.network);
      continue;
    }
    CAPTURE(record.network);
    CAPTURE(record.scheme);
    CAPTURE(record.batch);
    CAPTURE(record.options);
    const Figures now = figures_of(*model, record.compile_options());
    ++checked;
    if (recording() == Recording::none)
      check(record, now);
    else
      record.figures = now, write_records(records);
  }
  for (const std::string& network : absent)
    MESSAGE("skipped: there is no ../shared/", network, ".onnx");
  CHECK((checked > 0 || !absent.empty() || recording() == Recording::missing));
}

TEST_CASE("small networks train to the recorded bits, in arenas not much larger") {
  check_networks(NetworkKind::small);
}

TEST_CASE("large networks train to the recorded bits, in arenas not much larger") {
  check_networks(NetworkKind::large);
}

TEST_CASE("published networks train to the recorded bits, in arenas not much larger") {
  check_networks(NetworkKind::published);
}

}  // namespace
}  // namespace attune::test
