#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "tests/pruning/subjects.h"
#include "tests/support/allocations.h"

// What a session computes does not depend on threads, on what lies in dead memory, or on luck; and
// running allocates nothing.
namespace attune::test {
namespace {

constexpr int kSteps = 3;
constexpr ProgramKind kPrograms[] = {ProgramKind::train_step, ProgramKind::evaluate,
                                     ProgramKind::predict};

void append(const Tensor& tensor, std::vector<std::byte>* bytes) {
  bytes->insert(bytes->end(), tensor.as<std::byte>(), tensor.as<std::byte>() + tensor.bytes());
}

// Everything that a caller sees of three steps, with an evaluation and a prediction after each: the
// outputs, the state after every step.
std::vector<std::byte> history(const CompiledPlan& compiled, const SessionOptions& options) {
  const auto session = compiled.session(options);
  std::vector<std::byte> bytes;
  for (int step = 0; step < kSteps; ++step)
    for (ProgramKind kind : kPrograms) {
      fill_inputs(*session, kind, step);
      require(session->run(kind));
      for (const char* port : {"loss", "correct", "output", "probabilities"})
        if (const Tensor output = session->output(kind, port)) append(output, &bytes);
      bytes.insert(bytes.end(), session->state().begin(), session->state().end());
    }
  return bytes;
}

bool has_nan(const CompiledPlan& compiled, const Session& session) {
  for (const format::Parameter* parameter : compiled.parameters()) {
    const auto values = reals_of(parameter_tensor(session, *parameter));
    if (std::any_of(values.begin(), values.end(), [](double x) { return x != x; })) return true;
  }
  return false;
}

OptimizerKind optimizer_for(size_t number) {
  constexpr OptimizerKind kKinds[] = {OptimizerKind::momentum, OptimizerKind::adam,
                                      OptimizerKind::sgd};
  return kKinds[number % 3];
}

// Calls f(compiled plan, options to make sessions with) for everything there is: one thread on each
// backend, two for each model's whole training and its last choice of channels. (Threads of small
// kernels mostly wait for each other, and on a busy machine for long.)
template <class F>
void for_plans(F&& f) {
  for (const Subject* subject : all_subjects()) {
    CAPTURE(subject->name);
    size_t number = 0;
    for (const std::string& scheme : session_schemes(*subject)) {
      CAPTURE(scheme);
      CompileOptions compiled_with = compile_options(scheme, true);
      compiled_with.optimizer.kind = optimizer_for(number++);
      const CompiledPlan compiled(subject->model, compiled_with);
      for (const BackendCase& backend : kBackends) {
        CAPTURE(backend.name);
        SessionOptions options;
        options.backend = backend.choice;
        options.threads = scheme == "full" || scheme == subject->schemes.back() ? 2 : 1;
        f(compiled, options);
      }
    }
  }
}

}  // namespace

TEST_CASE("threads and poisoned dead memory change no bit of three training steps") {
  for_plans([](const CompiledPlan& compiled, SessionOptions options) {
    options.poison = true;
    const auto poisoned = history(compiled, options);
    options.poison = false;
    options.threads = 1;
    CHECK(history(compiled, options) == poisoned);
    CHECK(compiled.intact());
  });
}

TEST_CASE("training changes the trained slices, and nothing else") {
  for_plans([](const CompiledPlan& compiled, SessionOptions options) {
    options.threads = 1;
    const auto session = compiled.session(options), untrained = compiled.session(options);
    for (int step = 0; step < kSteps; ++step) {
      fill_inputs(*session, ProgramKind::train_step, step);
      require(session->run(ProgramKind::train_step));
    }
    CHECK_FALSE(has_nan(compiled, *session));
    bool changed = false;
    for (const format::Parameter* parameter : compiled.parameters()) {
      CAPTURE(parameter->name()->str());
      const WholeParameter after = parameter_tensor(*session, *parameter);
      const WholeParameter before = parameter_tensor(*untrained, *parameter);
      CHECK(same_outside_slice(*parameter, after, before));
      changed |= trained_part(*parameter, after) != trained_part(*parameter, before);
    }
    CHECK(changed);
  });
}

TEST_CASE("running a program allocates nothing, from the first run on") {
  if (!counts_allocations()) {
    MESSAGE("malloc is not ours in this build: skipped");
    return;
  }
  for_plans([](const CompiledPlan& compiled, const SessionOptions& options) {
    const auto session = compiled.session(options);
    for (int step = 0; step < 2; ++step)
      for (ProgramKind kind : kPrograms) {
        fill_inputs(*session, kind, step);
        const size_t before = allocation_count();
        const Status status = session->run(kind);
        const size_t allocations = allocation_count() - before;
        CAPTURE(program_name(kind));
        CHECK(status);
        CHECK(allocations == 0);
      }
  });
}

}  // namespace attune::test
