#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sparse_update/adapt/judged.h"
#include "sparse_update/pipeline/budget.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/progress.h"
#include "sparse_update/sensitivity/examples.h"

namespace attune {

// How a model is trained: what `attune compile` and `attune train` are given.
struct Setting {
  std::string scheme;
  double rate = 0;  // with a cosine to zero behind a warm-up
  int64_t epochs = 1;
  int64_t warmup = 0;  // steps
};

struct TuneOptions {
  Budget budget = {};
  BackendChoice backend = BackendChoice::best;
  int threads = 1;       // runs at a time
  double seconds = 300;  // to spend, of a processor that does kMultiplyAddsPerSecond
  uint64_t seed = 0;
  // Whether what is judged so would be adopted.
  std::function<bool(const Judged&)> good = [](const Judged&) { return true; };
};

struct Tuned {
  Setting setting;
  Judged judged;                 // of examples that were not trained on
  int64_t settings = 0;          // tried
  int64_t folds = 1;             // 1: the last fifth of the examples judged; else each part in turn
  std::vector<std::byte> plan;   // of the setting
  std::vector<std::byte> state;  // trained with it; where parts took turns, on all examples
};

// Fewer examples than this are judged in parts that take turns: one part alone says too little.
inline constexpr int64_t kFewExamples = 1000;

// Finds how a model learns the most from these examples: some schemes of every kind that fit the
// budget, each at rates a factor of 4 apart as long as that helps, for a short while; then the best
// for longer, at rates a factor of 2 around; then the best of these as long as the time allows. The
// best epoch counts, or where parts take turns, so that no epoch's parameters are kept, the last
// one, and fewer epochs are tried. What is best: many examples, the most that are right; few, or a
// model that learns numbers, the least loss. `options.classes` etc. as for compile, but
// evaluate_batch is 1. The same options give the same result, whatever the number of threads.
// Throws Error, also where nothing fits the budget and where all diverges.
Tuned tune(const Model& model, const CompileOptions& options, const ExamplesInMemory& examples,
           const TuneOptions& tuning, const Progress& progress = {});

// What judges: of few examples all, in parts that take turns, else one part; each with the other
// examples to train with. Every part has its share of every label.
std::vector<TaskExamples> parts_of(const ExamplesInMemory& examples, uint64_t seed);

// The examples that the judging of `tune` takes, in its order: `Judged` of another model of the
// same examples can be compared one by one.
ExamplesInMemory judged_examples(const ExamplesInMemory& examples, uint64_t seed);

}  // namespace attune
