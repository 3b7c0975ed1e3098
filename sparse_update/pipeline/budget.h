#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "graph/plan/write_plan.h"
#include "sparse_update/cost/cost.h"

namespace attune {

// What a plan may take at most; what is absent has no limit.
struct Budget {
  std::optional<size_t> memory_bytes;  // all RAM: state, arena, workspace and session
  std::optional<size_t> flash_bytes;   // the plan file: constants and program
  std::optional<double> latency_ms;    // a training step

  bool empty() const { return !memory_bytes && !flash_bytes && !latency_ms; }
  // What is taken of each limit that there is, as a share of it: more than 1 breaks it.
  std::vector<double> shares(const Cost& cost) const;
  bool allows(const Cost& cost) const { return excess(cost) <= 1; }
  // The largest of the shares.
  double excess(const Cost& cost) const;
};

// "256KiB", "1.5MB", "300000": bytes; kB, MB, GB count in thousands, KiB, MiB, GiB in 1024s.
// "40ms", "1.5s", "800us": milliseconds. Both throw Error, which starts with `option`, where the
// text is no such amount above 0.
size_t parse_bytes(const std::string& option, const std::string& text);
double parse_milliseconds(const std::string& option, const std::string& text);

// "262,144 bytes (256.0 KiB)".
std::string exact_bytes_text(size_t bytes);

// Throws Error where a plan takes more than the budget: every limit that it breaks, with the parts
// and the largest items behind the number. `subject` begins the message: "net.onnx with --scheme
// full".
void check_budget(const Budget& budget, const Cost& cost, const PlanContents& contents,
                  const std::string& subject);

}  // namespace attune
