#include "sparse_update/verify.h"

#include <doctest/doctest.h>

#include "tests/plan/support.h"

namespace attune::test {
namespace {

VerifyReport verify(const OnnxModel& model, const CompileOptions& options,
                    const VerifyOptions& how = {.examples = 1}) {
  LoadedPlan loaded(compile(model, options).plan);
  return verify_plan_against_model(loaded.plan(), model, nullptr, how);
}

void check(const VerifyReport& report) {
  CHECK_MESSAGE(report.ok(), report.json());
  CHECK(report.tensors > 0);
  CHECK(report.parameters > 0);
}

TEST_CASE("plans of shared models mean and compute what the models do") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model) continue;
    for (const char* scheme : {"head", "full", "bias:3"})
      for (bool fuse : {true, false}) {
        CAPTURE(name);
        CAPTURE(scheme);
        CAPTURE(fuse);
        const VerifyReport report = verify(
            *model, options_with(scheme, [&](CompileOptions& o) { o.batch = 2, o.fuse = fuse; }));
        check(report);
        MESSAGE(name << " " << scheme << " " << fuse << " exact "
                     << report.worst_exact.relative_error << " " << report.worst_exact.tensor << " "
                     << report.worst_exact.arithmetic << " session "
                     << report.worst_session.relative_error << " " << report.worst_session.program
                     << " " << report.worst_session.tensor << " tensors " << report.tensors
                     << " parameters " << report.parameters << " loss " << report.loss_model << " "
                     << report.loss_plan << " " << report.loss_session);
      }
  }
}

}  // namespace
}  // namespace attune::test
