#include "sparse_update/compile_within.h"

#include <optional>
#include <utility>

namespace attune {
namespace {

// A session's own bytes grow with the steps, so the room for the arena is known only afterwards.
constexpr int kTries = 4;

class Attempts {
 public:
  Attempts(const OnnxModel& model, const CompileOptions& options, const Budget& budget,
           CostModel& costs)
      : model_(model), options_(options), budget_(budget), costs_(costs) {}

  // Compiles once; whether that fits.
  bool fits(bool tile, int64_t arena_budget) {
    CompileOptions options = options_;
    options.tile = options.tile || tile;
    options.split_gradients = options.split_gradients || tile;
    options.arena_budget = arena_budget;
    options.arena_may_exceed = true;
    CompiledWithin made{compile(model_, options, scheduled_), {}};
    last_ = made.cost = costs_.cost(made.compiled.contents);
    const bool fits = budget_.allows(made.cost);
    if (!best_ || budget_.excess(made.cost) < budget_.excess(best_->cost)) best_ = std::move(made);
    return fits;
  }

  // In as few steps as the memory allows.
  bool fits_in_rows() {
    for (int t = 0; t < kTries; ++t) {
      const int64_t room = static_cast<int64_t>(*budget_.memory_bytes) -
                           static_cast<int64_t>(last_.ram_bytes() - last_.arena_bytes);
      if (room <= 0) return false;
      if (fits(true, room)) return true;
      // Not for want of room: no smaller arena can be had, or another limit is broken.
      if (static_cast<int64_t>(last_.arena_bytes) > room ||
          last_.ram_bytes() <= *budget_.memory_bytes)
        return false;
    }
    return false;
  }

  const Cost& last() const { return last_; }
  // The one that fits, or else misses the budget by the least.
  CompiledWithin take() { return std::move(*best_); }

 private:
  const OnnxModel& model_;
  const CompileOptions& options_;
  const Budget& budget_;
  CostModel& costs_;
  ScheduledPrograms scheduled_;
  Cost last_;
  std::optional<CompiledWithin> best_;
};

}  // namespace

CompiledWithin compile_within(const OnnxModel& model, const CompileOptions& options, bool tile,
                              const Budget& budget, CostModel& costs, const std::string& subject) {
  Attempts attempts(model, options, budget, costs);
  bool fits = attempts.fits(false, options.arena_budget);
  const bool lacks_memory =
      budget.memory_bytes && attempts.last().ram_bytes() > *budget.memory_bytes;
  if (!fits && lacks_memory && tile)
    fits = attempts.fits_in_rows() || attempts.fits(true, 0) || attempts.fits(true, 1);
  CompiledWithin made = attempts.take();
  if (!fits)
    check_budget(budget, made.cost, made.compiled.contents,
                 lacks_memory && tile ? subject + ": the smallest plan, in strips and recomputed,"
                                      : subject);
  return made;
}

}  // namespace attune
