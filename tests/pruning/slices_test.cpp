#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/pruning/subjects.h"

// Pruning changes nothing that survives: every gradient that a scheme leaves has the bits of the
// same slice of the gradient before.
namespace attune::test {
namespace {

SessionOptions training_on(BackendChoice backend) {
  SessionOptions options;
  options.backend = backend;
  options.programs = 1u << static_cast<int>(ProgramKind::train_step);
  return options;
}

CompileOptions gradient_options(const std::string& scheme, bool fuse, DType real = DType::f32) {
  CompileOptions options = compile_options(scheme, fuse);
  options.expose_gradients = true;
  options.real = real;
  return options;
}

// Checks every gradient of `pruned` against its slice in `whole`, which trains no slices.
void check_slices(const CompiledPlan& pruned, Session& pruned_session, const CompiledPlan& whole,
                  Session& whole_session) {
  std::map<std::string, Tensor> wide;
  for (const NamedGradient& g : run_gradients(whole, whole_session))
    wide[g.parameter->name()->str()] = g.tensor;
  bool any = false;
  for (const NamedGradient& g : run_gradients(pruned, pruned_session)) {
    const std::string name = g.parameter->name()->str();
    CAPTURE(name);
    REQUIRE(wide.contains(name));
    const std::vector<double> gradient = reals_of(g.tensor);
    CHECK(same_bits(gradient, trained_part(*g.parameter, wide[name])));
    any |= std::any_of(gradient.begin(), gradient.end(), [](double x) { return x != 0; });
  }
  CHECK(any);
}

void check_against_full(const Subject& subject, bool fuse, DType real,
                        const std::vector<BackendCase>& backends) {
  CAPTURE(subject.name);
  CAPTURE(fuse);
  const CompiledPlan full(subject.model, gradient_options("full", fuse, real));
  for (const std::string& scheme : subject.schemes) {
    CAPTURE(scheme);
    const CompiledPlan pruned(subject.model, gradient_options(scheme, fuse, real));
    for (const BackendCase& backend : backends) {
      CAPTURE(backend.name);
      const auto full_session = full.session(training_on(backend.choice));
      const auto pruned_session = pruned.session(training_on(backend.choice));
      CHECK(pruned_session->step_count(ProgramKind::train_step) <=
            full_session->step_count(ProgramKind::train_step) + pruned.parameters().size() * 3);
      check_slices(pruned, *pruned_session, full, *full_session);
    }
  }
}

}  // namespace

// Folding batch norm depends on what is trained, so models that have it are compared unfused.
TEST_CASE("gradients under a scheme are slices of the full graph's, bit for bit") {
  const std::vector<BackendCase> backends = {{"reference", BackendChoice::reference},
                                             {"eigen", BackendChoice::eigen},
                                             {"simd", BackendChoice::simd}};
  for (const Subject* subject : all_subjects()) {
    check_against_full(*subject, false, DType::f32, backends);
    if (!subject->has_norms) check_against_full(*subject, true, DType::f32, backends);
  }
}

TEST_CASE("the same holds in f64") {
  for (const Subject& subject : small_subjects())
    check_against_full(subject, false, DType::f64, {{"reference", BackendChoice::reference}});
}

// A frozen layer may run on other kernels than a trained one, so the same layers are trained here.
TEST_CASE("the gradient of some channels is a slice of the whole weight's, on every backend") {
  for (const Subject* subject : all_subjects())
    for (const auto& [sliced, whole] : subject->sliced)
      for (bool fuse : {false, true}) {
        CAPTURE(subject->name);
        CAPTURE(sliced);
        CAPTURE(fuse);
        const CompiledPlan narrow(subject->model, gradient_options(sliced, fuse));
        const CompiledPlan wide(subject->model, gradient_options(whole, fuse));
        for (const BackendCase& backend : kBackends) {
          CAPTURE(backend.name);
          const auto narrow_session = narrow.session(training_on(backend.choice));
          const auto wide_session = wide.session(training_on(backend.choice));
          check_slices(narrow, *narrow_session, wide, *wide_session);
        }
      }
}

TEST_CASE("models of ../shared/models are tested where they are there") {
  if (shared_subjects().empty()) MESSAGE("../shared/models is absent: only small models tested");
  CHECK(small_subjects().size() == 3);
}

}  // namespace attune::test
