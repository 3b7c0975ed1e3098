#include "cli/report/front_picture.h"

#include <doctest/doctest.h>

#include "tests/support/files.h"

namespace attune::test {
namespace {

FoundScheme found(double gain, uint64_t arena_bytes, uint64_t macs) {
  FoundScheme scheme{.point = {}, .gain = gain, .cost = {}};
  scheme.cost.arena_bytes = arena_bytes;
  scheme.cost.train_macs = macs;
  return scheme;
}

TEST_CASE("the picture of fronts is one SVG document of finite numbers, its title escaped") {
  Gains gains;
  gains.unit = "accuracy";
  gains.base = 0.5;
  const FoundScheme least = found(0, 40000, 100000), chosen = found(0.1, 90000, 200000),
                    most = found(0.2, 400000, 900000);
  Budget budget;
  budget.memory_bytes = 100000;
  const SchemeFronts fronts = {{least, chosen, most}, {least, most}};
  const std::string title = "a <model> & its front";
  const auto check = [&](const std::string& svg) {
    CHECK(svg.starts_with("<svg "));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(contains(svg, "a &lt;model&gt; &amp; its front"));
    CHECK(!contains(svg, "nan"));
    CHECK(!contains(svg, "inf"));
  };
  const std::string svg = cli::front_picture(fronts, gains, chosen, budget, title);
  check(svg);
  CHECK(contains(svg, "budget"));
  CHECK(contains(svg, ">60</text>"));  // of the accuracies, 50 to 70 %
  // A front of one scheme has no range.
  check(cli::front_picture({{least}, {}}, gains, least, {}, title));
}

}  // namespace
}  // namespace attune::test
