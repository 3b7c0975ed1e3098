#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "attune/preprocess.h"
#include "graph/import/model.h"
#include "graph/memory/arena_fitter.h"
#include "graph/plan/write_plan.h"
#include "graph/training/batch_statistics.h"
#include "graph/training/loss.h"
#include "graph/training/optimizer.h"
#include "sparse_update/scheme.h"

namespace attune {

struct CompileOptions {
  std::string scheme = "head";  // see parse_scheme
  std::string output;           // the output that the loss is of; empty: the model's first
  Loss loss = Loss::cross_entropy;
  LossSettings loss_settings;
  BatchNorm batch_norm = BatchNorm::frozen;
  bool dropout = false;  // trains with the model's Dropouts
  Optimizer optimizer = {.kind = OptimizerKind::momentum};
  int batch = 8;  // of train_step
  // > 0: train_step goes through its batch so many examples at a time, adds up the gradients, and
  // updates once: the arena is that of so few examples, all inputs, and the sums. Must divide
  // `batch`. Gradients then stay whole: what is added up is there as a whole anyway.
  int micro_batch = 0;
  int evaluate_batch = 0;  // 0: like `micro_batch`, or `batch` where there is none
  int predict_batch = 1;
  std::map<std::string, std::vector<int64_t>> input_shapes;  // by input name
  InputBindings bound;                                       // what else is said of the inputs
  int classes = 0;    // > 0: replace the last layer by a fresh one
  uint64_t seed = 0;  // of the fresh layer
  // Of classes, or of each example's labels where binary_cross_entropy has several. Empty: numbers.
  std::vector<std::string> class_names;
  Preprocess preprocess;
  DType real = DType::f32;  // f64: exact, reference kernels only
  // Keeps every trained parameter's gradient until the next run, as an output "grad:NAME" of
  // train_step: attune/parameters.h reads them. Each takes its bytes of the arena, that of a table
  // of ids those of the whole table.
  bool expose_gradients = false;
  // Fold batch norm and clamps into the layers before them. Off: what the model says, node by node.
  bool fuse = true;
  // Compute the first layers of one example after the other, where a batch of them is more than a
  // cache holds, or that takes less memory. See stream_examples.
  bool stream = true;
  // Of a parameter of which a slice is trained, keep the rest out of the state where that takes
  // less memory. Off: to compare.
  bool narrow = true;
  // Compute the first layers in strips of rows where that makes the arena smaller: costs steps and
  // copies, changes no sum. See tile_rows.
  bool tile = false;
  // Compute gradients of weights in strips of output channels, each updated at once, where that
  // makes the arena smaller: costs steps, changes no sum. See split_gradients.
  bool split_gradients = false;
  // Make the masks of clamps again from the outputs, where those are kept anyway and that makes the
  // arena smaller: costs a pass over these. See remake_masks.
  bool remake_masks = false;
  // > 0: the arena may have this many bytes, and what makes it smaller is done only as far as
  // needed: reordering, strips, then making masks again or computing activations twice. compile
  // throws where that does not suffice, unless the arena may exceed its budget.
  int64_t arena_budget = 0;
  bool arena_may_exceed = false;
  bool recompute = true;  // whether a budget may compute activations twice
  // What sessions of the plan run on where they are not told otherwise, by name, and the memory
  // that it was found to fit with that. Empty, 0: nothing was said.
  std::string backend;
  uint64_t memory_budget = 0;
};

struct Compiled {
  std::vector<std::byte> plan;  // the file's bytes
  PlanContents contents;        // what it was written from
  // Parameters that the trained output does not depend on, which stay as they are.
  std::vector<std::string> of_other_outputs;
};

// Model to plan, the whole pipeline. Throws Error.
Compiled compile(const Model& model, const CompileOptions& options);

// The same, again and again with other memory options (`tile`, `split_gradients`, `arena_...`):
// scheduling and what was tried for one arena are known for the next, by program, examples at once
// and the names of narrow parameters. All else but `micro_batch` must stay as it was.
using ScheduledPrograms =
    std::map<std::tuple<ProgramKind, int, std::vector<std::string>>, ArenaFitter>;
Compiled compile(const Model& model, const CompileOptions& options, ScheduledPrograms& scheduled);

// The forward graph as every program starts from it: imported, NHWC, constants folded, head
// replaced. That of training draws random numbers by the step, and has dropout where it is kept.
Graph forward_graph(const Model& model, const CompileOptions& options, int batch,
                    bool training = false);
// How a model is imported for such a graph.
ImportOptions import_options(const CompileOptions& options, int batch, bool training);

}  // namespace attune
