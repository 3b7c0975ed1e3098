#include "sparse_update/pipeline/compile_within.h"

#include <optional>
#include <utility>
#include <vector>

#include "graph/ir/error.h"

namespace attune {
namespace {

// A session's own bytes grow with the steps, so the room for the arena is known only afterwards.
constexpr int kTries = 4;

// What may be done to a plan to make its arena smaller.
struct Means {
  int micro_batch = 0;  // 0: as the options say
  bool tile = false, recompute = false;
};

class Attempts {
 public:
  Attempts(const Model& model, const CompileOptions& options, const Budget& budget,
           CostModel& costs)
      : model_(model), options_(options), budget_(budget), costs_(costs) {}

  // Compiles once; whether that fits.
  bool fits(const Means& means, int64_t arena_budget) {
    CompileOptions options = options_;
    if (means.micro_batch > 0) options.micro_batch = means.micro_batch;
    options.tile = options.tile || means.tile;
    options.split_gradients = options.split_gradients || means.tile;
    options.recompute = means.recompute;
    options.arena_budget = arena_budget;
    options.arena_may_exceed = true;
    CompiledWithin made{compile(model_, options, scheduled_), {}};
    last_ = made.cost = costs_.cost(made.compiled.contents);
    const bool fits = budget_.allows(made.cost);
    if (!best_ || budget_.excess(made.cost) < budget_.excess(best_->cost)) best_ = std::move(made);
    return fits;
  }

  // In as few steps as the memory allows, then in as little memory as there can be.
  bool fits_in_strips(const Means& means) {
    for (int t = 0; t < kTries; ++t) {
      const int64_t room = static_cast<int64_t>(*budget_.memory_bytes) -
                           static_cast<int64_t>(last_.ram_bytes() - last_.arena_bytes);
      if (room <= 0) break;
      if (fits(means, room)) return true;
      // Not for want of room: no smaller arena can be had, or another limit is broken.
      if (static_cast<int64_t>(last_.arena_bytes) > room ||
          last_.ram_bytes() <= *budget_.memory_bytes)
        break;
    }
    return fits(means, means.recompute ? 1 : 0);
  }

  bool lacks_memory() const {
    return budget_.memory_bytes && last_.ram_bytes() > *budget_.memory_bytes;
  }
  // The one that fits, or else misses the budget by the least.
  CompiledWithin take() { return std::move(*best_); }

 private:
  const Model& model_;
  const CompileOptions& options_;
  const Budget& budget_;
  CostModel& costs_;
  ScheduledPrograms scheduled_;
  Cost last_;
  std::optional<CompiledWithin> best_;
};

// The largest first. None where the options already chose, or the batch has statistics or dropout.
std::vector<int> micro_batches(const CompileOptions& options) {
  std::vector<int> sizes;
  if (options.batch_norm == BatchNorm::update || options.dropout) return sizes;
  for (int size = options.micro_batch > 0 ? 0 : options.batch / 2; size >= 1; --size)
    if (options.batch % size == 0) sizes.push_back(size);
  return sizes;
}

// Tries what takes memory from a plan, what costs the least time first.
bool fits_smaller(Attempts& attempts, const std::vector<int>& micro_batches, bool tile) {
  if (tile && attempts.fits_in_strips({.tile = true})) return true;
  for (int size : micro_batches)
    if (attempts.fits({.micro_batch = size}, 0) ||
        (tile && attempts.fits_in_strips({.micro_batch = size, .tile = true})))
      return true;
  if (!tile) return false;
  return attempts.fits_in_strips({.tile = true, .recompute = true}) ||
         (!micro_batches.empty() &&
          attempts.fits_in_strips(
              {.micro_batch = micro_batches.back(), .tile = true, .recompute = true}));
}

}  // namespace

CompiledWithin compile_within(const Model& model, const CompileOptions& options, bool tile,
                              const Budget& budget, CostModel& costs, const std::string& subject) {
  Attempts attempts(model, options, budget, costs);
  bool fits = attempts.fits({.recompute = options.recompute}, options.arena_budget);
  const std::vector<int> sizes = micro_batches(options);
  const bool smaller = !fits && attempts.lacks_memory() && (tile || !sizes.empty());
  if (smaller) fits = fits_smaller(attempts, sizes, tile);
  CompiledWithin made = attempts.take();
  const char* how = sizes.empty() ? "in strips and recomputed"
                    : tile        ? "in micro-batches, strips and recomputed"
                                  : "in micro-batches";
  if (!fits)
    check_budget(budget, made.cost, made.compiled.contents,
                 smaller ? fmt::format("{}: the smallest plan, {},", subject, how) : subject);
  return made;
}

}  // namespace attune
