#pragma once

#include <vector>

#include "sparse_update/search/search.h"
#include "sparse_update/sensitivity/measured.h"

namespace attune {

struct FinalsOptions {
  size_t finalists = 12;   // schemes of the first round, at most, and of the second
  MeasureOptions measure;  // its rate is where every scheme's own is looked for from
};

// A scheme that was fine-tuned.
struct Finalist {
  FoundScheme scheme;
  double rate = 0;    // the best of those tried
  Reached reached;    // with it; the mean of its runs
  int runs = 0;       // of several seeds for those that might win
  int64_t steps = 0;  // of a run; more for those
};

// Gains are estimates, of one choice at a time and at one rate. So schemes that fit are fine-tuned
// as they will be, each at rates of its own, and judged by examples that it did not see: a run with
// either half of the task to train with. First those of the largest gain, and plain ones: the same
// share of the last layers' weights, or of those that expand, also in the middle only, as many as
// fit; then mutations of the best, some of which fill the budget. The best third runs for longer
// and with several seeds, and the winner is one of those. Of fewer than a thousand examples,
// three quarters are what these train with, and the loss decides, where it is below that of
// guessing: half is another task, and how many are right says too little. Returns all, these first,
// the best first among those of a kind; never empty. `model` is the one to be trained, with its
// fresh classifier; `found`: schemes that fit, the largest gain first. The same options give the
// same result, whatever the number of threads. Throws Error, also where every scheme diverges.
std::vector<Finalist> hold_finals(const Model& model, const CompileOptions& options,
                                  SchemeEvaluator& evaluator, const std::vector<FoundScheme>& found,
                                  const Budget& budget, const ExamplesInMemory& examples,
                                  const FinalsOptions& finals, const Progress& progress = {});

}  // namespace attune
