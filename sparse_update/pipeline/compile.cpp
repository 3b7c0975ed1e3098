#include "sparse_update/pipeline/compile.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "attune/port.h"
#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"
#include "graph/passes/passes.h"
#include "graph/rules/examples.h"
#include "graph/slicing/micro_batches.h"
#include "graph/training/autodiff.h"
#include "graph/training/head.h"
#include "graph/training/random_step.h"
#include "sparse_update/layer_names.h"
#include "sparse_update/layers.h"
#include "sparse_update/prune.h"

namespace attune {
namespace {

// Whether a training step goes through its batch in parts.
bool has_micro_batches(const CompileOptions& options) {
  return options.micro_batch > 0 && options.micro_batch < options.batch;
}

void check_options(const CompileOptions& options) {
  for (const auto& [name, value] : {std::pair{"batch", options.batch},
                                    {"evaluate batch", options.evaluate_batch},
                                    {"predict batch", options.predict_batch}})
    if (value < 0 || value > 65536 || (value == 0 && std::string(name) != "evaluate batch"))
      throw_error("--batch-size: {} size {} is not in 1 .. 65536", name, value);
  if (options.micro_batch < 0 ||
      (options.micro_batch > 0 && options.batch % options.micro_batch != 0))
    throw_error("--micro-batch {}: a batch of {} does not divide into micro-batches of that size",
                options.micro_batch, options.batch);
  check_settings(options.loss, options.loss_settings);
  if (options.batch_norm == BatchNorm::update && has_micro_batches(options))
    throw_error(
        "--batch-norm update: needs the statistics of the whole batch at once, which --micro-batch "
        "{} does not have; leave it out, or take a smaller --batch-size",
        options.micro_batch);
  if (options.dropout && has_micro_batches(options))
    throw_error(
        "--dropout keep: would drop the same elements of each of the micro-batches of "
        "--micro-batch {};"
        " leave it out, or take a smaller --batch-size",
        options.micro_batch);
}

// Input names that training needs for itself.
void check_names(const Graph& graph) {
  for (const Port& port : graph.inputs)
    if (port_role(port.name, true) != PortRole::input)
      throw_error("the model's input '{}' has a name that training needs; rename it", port.name);
}

Shape image_shape(const ImagePreprocess& image) {
  return {image.height, image.width, image.channels};
}

// What to give where images of another size are wanted.
std::string size_hint(const Shape& shape) {
  const auto preset = [](int32_t height, int32_t width, int32_t channels) {
    return fmt::format("; give that size, e.g. {}:{}x{}{}", channels == 3 ? "imagenet" : "unit",
                       width, height, channels == 3 ? "" : "x1");
  };
  const auto is_channels = [](int32_t extent) { return extent == 1 || extent == 3; };
  if (shape.rank == 4 && is_channels(shape[1])) return preset(shape[2], shape[3], shape[1]);
  if (shape.rank == 4 && is_channels(shape[3])) return preset(shape[1], shape[2], shape[3]);
  if (shape.rank == 3) return preset(shape[1], shape[2], 1);
  if (shape.rank == 2) {
    const auto side = static_cast<int32_t>(std::lround(std::sqrt(shape[1])));
    if (side >= 8 && int64_t{side} * side == shape[1]) return preset(side, side, 1);
  }
  return "; it takes no images";
}

void check_preprocess(const Graph& graph, const Preprocess& preprocess) {
  const Shape& shape = graph.shape(graph.inputs.front().value);
  if (preprocess.front_end == FrontEnd::image) {
    const ImagePreprocess& image = preprocess.image;
    const DType dtype = graph.value(graph.inputs.front().value).dtype;
    if (!is_real(dtype))
      throw_error("--preprocess makes images of real numbers, the model's input {} takes {}",
                  graph.inputs.front().name, dtype_name(dtype));
    if (image_order(shape, image_shape(image)) == ImageOrder::none)
      throw_error("--preprocess makes images {}x{}x{}, the model's input {} is [N,{}]{}",
                  image.channels, image.height, image.width, graph.inputs.front().name,
                  fmt::join(shape.dims + 1, shape.dims + shape.rank, ","), size_hint(shape));
  }
  if (preprocess.front_end == FrontEnd::mfcc) {
    const MfccPreprocess& mfcc = preprocess.mfcc;
    const int64_t frames = 1 + (mfcc.samples - mfcc.frame_length) / mfcc.frame_step;
    if (shape.product(1, shape.rank) != frames * mfcc.coefficients)
      throw_error("--preprocess makes {} x {} coefficients, the model's input {} is [N,{}]", frames,
                  mfcc.coefficients, graph.inputs.front().name,
                  fmt::join(shape.dims + 1, shape.dims + shape.rank, ","));
  }
}

void feed_bytes(Graph& graph, const Preprocess& preprocess) {
  if (preprocess.front_end != FrontEnd::image) return;
  const ImagePreprocess& image = preprocess.image;
  const auto n = static_cast<size_t>(image.channels);
  take_byte_images(graph, image_shape(image), {image.scale, image.scale + n},
                   {image.offset, image.offset + n});
}

// What follows differentiation in every program. The list reads top to bottom.
void simplify(Graph& graph, const CompileOptions& options) {
  remove_dead(graph);
  share_common_subexpressions(graph);
  if (options.fuse) {
    fold_batch_norm(graph);
    remove_dead(graph);
    fuse_clamp(graph);
    fuse_bias_gradient(graph);
    fuse_mask_grad(graph);
  }
  fold_constants(graph, true);
  remove_dead(graph);
  schedule(graph);
}

// A program scheduled, with these parameters narrow; from `graph`, where it is the first time.
ArenaFitter& fitter(ProgramKind kind, int examples, const std::vector<TrainedChannels>& narrow,
                    Graph graph, const CompileOptions& options, ScheduledPrograms& scheduled) {
  std::vector<std::string> names;
  for (const TrainedChannels& trained : narrow) names.push_back(trained.parameter);
  const auto known = scheduled.find({kind, examples, names});
  if (known != scheduled.end()) return known->second;
  if (const auto whole = scheduled.find({kind, examples, {}}); whole != scheduled.end()) {
    graph = whole->second.graph();
  } else {
    simplify(graph, options);
    if (options.fuse && options.stream) stream_examples(graph);
  }
  narrow_parameters(graph, narrow);
  return scheduled.emplace(std::tuple(kind, examples, names), ArenaFitter(std::move(graph)))
      .first->second;
}

// `arena` is what the programs so far need anyway: all share it.
ArenaWish arena_wish(const CompileOptions& options, int examples, int64_t arena) {
  const bool budget = options.arena_budget > 0;
  return {.bytes = std::max(arena, options.arena_budget),
          .tile_rows = examples == 1 && (options.tile || budget),
          .split_gradients = options.split_gradients || budget,
          .remake_masks = options.remake_masks,
          .rematerialize = budget && options.recompute};
}

// Simplified, and in strips and recomputed as far as the options ask for it.
std::shared_ptr<PackedGraph> optimize(ProgramKind kind, int examples, Graph graph,
                                      const CompileOptions& options, int64_t arena,
                                      ScheduledPrograms& scheduled,
                                      const std::vector<TrainedChannels>& narrow) {
  const auto packed = fitter(kind, examples, narrow, std::move(graph), options, scheduled)
                          .fit(arena_wish(options, examples, arena));
  packed->graph().verify();
  return packed;
}

// A training step. Parameters of which a slice is trained (`sliced`) are narrow in it where that
// saves more state than the arena grows by; the other programs follow it.
std::shared_ptr<PackedGraph> optimize_training(int examples, Graph graph,
                                               const CompileOptions& options,
                                               ScheduledPrograms& scheduled,
                                               const std::vector<TrainedChannels>& sliced) {
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  const auto whole = optimize(kTrain, examples, std::move(graph), options, 0, scheduled, {});
  if (sliced.empty() || !options.narrow) return whole;
  const Graph& unfitted = scheduled.at({kTrain, examples, {}}).graph();
  const int64_t arena = whole->within(options.arena_budget).arena_bytes;
  const auto chosen = worth_narrowing(unfitted, sliced, arena);
  if (chosen.empty()) return whole;
  const auto narrow = optimize(kTrain, examples, {}, options, 0, scheduled, chosen);
  const int64_t growth = narrow->within(options.arena_budget).arena_bytes - arena;
  const bool allowed = arena > options.arena_budget || growth <= options.arena_budget - arena;
  return allowed && growth < frozen_bytes(unfitted, chosen) ? narrow : whole;
}

// `arena` is what the programs so far need; what fits into it need not be smaller.
PlanProgram finish(ProgramKind kind, int batch, PackedGraph& packed, const CompileOptions& options,
                   int64_t arena) {
  PlanProgram program{kind, batch, packed.graph(), packed.within(arena)};
  const int64_t enough = std::max(arena, options.arena_budget);
  if (program.memory.arena_bytes > enough && program.memory.lower_bound <= enough)
    program.memory = plan_memory(program.graph, PackEffort::thorough, enough);
  if (options.arena_budget > 0 && !options.arena_may_exceed &&
      program.memory.arena_bytes > options.arena_budget)
    throw_error(
        "{} needs an arena of {} bytes, where {} are allowed; train less of the model, or take a "
        "smaller batch",
        program_name(kind), program.memory.arena_bytes, options.arena_budget);
  return program;
}

// How many examples are in memory at a time.
int examples_at_once(const CompileOptions& options) {
  return has_micro_batches(options) ? options.micro_batch : options.batch;
}

// The examples of `count` micro-batches of this graph.
int64_t input_bytes(const Graph& graph, int count) {
  int64_t bytes = 0;
  for (const Port& port : graph.inputs) bytes += graph.value(port.value).bytes();
  return count * bytes;
}

// Repeats the graph of a micro-batch, optimised, for the whole batch, and updates by the sums of
// its gradients.
void accumulate(Graph& graph, const CompileOptions& options, ScheduledPrograms& scheduled,
                std::vector<Update>& updates, const std::vector<TrainedChannels>& sliced) {
  const int count = options.batch / options.micro_batch;
  CompileOptions of_one = options;
  // While the first micro-batch is computed, the examples of the others are there, too.
  if (options.arena_budget > 0)
    of_one.arena_budget =
        std::max<int64_t>(1, options.arena_budget - input_bytes(graph, count - 1));
  const auto port = [](size_t update) { return fmt::format("gradient {}", update); };
  for (size_t i = 0; i < updates.size(); ++i)
    graph.outputs.push_back({port(i), updates[i].gradient});
  add_up_outputs(graph);
  graph =
      optimize_training(options.micro_batch, std::move(graph), of_one, scheduled, sliced)->graph();
  repeat_micro_batch(graph, count);
  for (size_t i = 0; i < updates.size(); ++i) updates[i].gradient = graph.output(port(i));
  std::erase_if(graph.outputs, [](const Port& p) { return p.name.starts_with("gradient "); });
  append_optimizer(graph, options.optimizer, updates);
  graph.index();
  graph.verify();
}

PlanProgram compile_train_step(Graph graph, const CompileOptions& options, const Scheme& scheme,
                               ScheduledPrograms& scheduled,
                               std::vector<PlanParameter>* parameters) {
  AttachedLoss loss = attach_loss(graph, options.loss, true, options.loss_settings);
  if (has_micro_batches(options)) weigh_micro_batch(graph, loss);
  const bool by_batch = options.batch_norm == BatchNorm::update;
  if (by_batch) use_batch_statistics(graph, options.batch);
  std::vector<ValueId> wanted;
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].role == Role::parameter) wanted.push_back(static_cast<ValueId>(v));
  std::vector<ValueId> trained;
  for (ValueId v : wanted)
    if (graph.value(v).trained) trained.push_back(v);
  if (const auto missing = missing_gradients(graph, loss.prediction, trained); !missing.empty())
    throw_error("the scheme needs gradients that do not exist: {}", fmt::join(missing, ", "));
  const auto gradients = differentiate(graph, loss.seed, wanted);
  std::vector<Update> updates = prune(graph, scheme, gradients);
  std::vector<TrainedChannels> sliced;
  for (const Update& update : updates)
    if (update.axis >= 0)
      sliced.push_back({graph.value(update.parameter).name, update.axis, update.channels});
  if (has_micro_batches(options))
    accumulate(graph, options, scheduled, updates, sliced);
  else
    append_optimizer(graph, options.optimizer, updates);
  if (by_batch) append_running_statistics(graph, false);
  for (const Update& update : updates) {
    const Value& parameter = graph.value(update.parameter);
    if (options.expose_gradients)
      graph.outputs.push_back(
          {std::string(kGradientPrefix) + parameter.origin.tensor, update.gradient});
    PlanParameter listed{
        parameter.name, update.axis, update.channels, {}, options.optimizer.slot_names(), {}};
    for (ValueId slot : update.slots) listed.slot_value_names.push_back(graph.value(slot).name);
    parameters->push_back(std::move(listed));
  }
  for (ValueId statistic : tracked_statistics(graph))
    parameters->push_back({graph.value(statistic).name, -1, {}, {}, {}, {}});
  const auto packed =
      has_micro_batches(options)
          ? std::make_shared<PackedGraph>(std::move(graph))
          : optimize_training(options.batch, std::move(graph), options, scheduled, sliced);
  return finish(ProgramKind::train_step, options.batch, *packed, options, 0);
}

PlanProgram compile_evaluate(Graph graph, const CompileOptions& options, int batch, int64_t arena,
                             ScheduledPrograms& scheduled,
                             const std::vector<TrainedChannels>& narrow) {
  // What judges goes by the labels as they are.
  attach_loss(graph, options.loss, false, as_judged(options.loss_settings));
  const auto packed =
      optimize(ProgramKind::evaluate, batch, std::move(graph), options, arena, scheduled, narrow);
  return finish(ProgramKind::evaluate, batch, *packed, options, arena);
}

PlanProgram compile_predict(Graph graph, const CompileOptions& options, int64_t arena,
                            ScheduledPrograms& scheduled,
                            const std::vector<TrainedChannels>& narrow) {
  attach_probabilities(graph, options.loss, options.loss_settings);
  const auto packed = optimize(ProgramKind::predict, options.predict_batch, std::move(graph),
                               options, arena, scheduled, narrow);
  return finish(ProgramKind::predict, options.predict_batch, *packed, options, arena);
}

// What averages the statistics of batch norms over a data set, a batch at a time.
PlanProgram compile_estimate(Graph graph, const CompileOptions& options, int64_t arena,
                             ScheduledPrograms& scheduled,
                             const std::vector<TrainedChannels>& narrow) {
  graph.outputs.clear();
  use_batch_statistics(graph, options.batch);
  append_running_statistics(graph, true);
  const auto packed = optimize(ProgramKind::estimate, options.batch, std::move(graph), options,
                               arena, scheduled, narrow);
  return finish(ProgramKind::estimate, options.batch, *packed, options, arena);
}

// The parameters of which the training step holds in the state what it trains, and no more.
std::vector<TrainedChannels> find_narrow(PlanContents& contents) {
  const Graph& train = contents.programs.front().graph;
  std::vector<TrainedChannels> narrow;
  for (PlanParameter& parameter : contents.parameters) {
    const ValueId frozen = frozen_part(train, parameter.value_name);
    if (frozen == kNone) continue;
    parameter.frozen_value_name = train.value(frozen).name;
    narrow.push_back({parameter.value_name, parameter.slice_axis, parameter.slice});
  }
  return narrow;
}

// A hash of a parameter's values that does not depend on our layout.
uint64_t contents_hash(const Value& value) {
  uint64_t hash = hash64({});
  in_model_order(*value.data, value.origin)->each_block([&](size_t, std::span<const double> block) {
    hash = hash64(std::as_bytes(block), hash);
  });
  return hash;
}

// Binds checkpoints to what they were trained from: names, shapes, slices, base weights, optimizer.
uint64_t parameter_signature(const Graph& graph, const Scheme& scheme, const Optimizer& optimizer) {
  const auto add = [](uint64_t hash, const void* data, size_t bytes) {
    return hash64({static_cast<const std::byte*>(data), bytes}, hash);
  };
  std::string text = scheme.json() + optimizer.text();
  if (!tracked_statistics(graph).empty()) text += "statistics";
  uint64_t hash = add(hash64({}), text.data(), text.size());
  std::map<std::string, const Value*> by_name;
  for (const Value& value : graph.values)
    if (value.role == Role::parameter || value.role == Role::statistic)
      by_name[value.origin.tensor] = &value;
  for (const auto& [name, value] : by_name) {
    hash = add(hash, name.data(), name.size());
    hash = add(hash, value->origin.model_shape.data(), value->origin.model_shape.size() * 8);
    if (value->fresh) continue;
    const uint64_t contents = contents_hash(*value);
    hash = add(hash, &contents, 8);
  }
  return hash;
}

std::string options_json(const CompileOptions& options) {
  nlohmann::json json = {{"scheme", options.scheme},
                         {"classes", options.classes},
                         {"seed", options.seed},
                         {"batch", options.batch},
                         {"fuse", options.fuse}};
  if (has_micro_batches(options)) json["micro_batch"] = options.micro_batch;
  if (!options.output.empty()) json["output"] = options.output;
  const LossSettings& s = options.loss_settings;
  if (s.huber_delta != 1) json["huber_delta"] = s.huber_delta;
  if (s.label_smoothing != 0) json["label_smoothing"] = s.label_smoothing;
  if (s.entropy_bonus != 0) json["entropy_bonus"] = s.entropy_bonus;
  if (s.class_axis != 0) json["class_axis"] = s.class_axis;
  if (s.ignore_label != kIgnoredLabel) json["ignore_label"] = s.ignore_label;
  if (options.batch_norm != BatchNorm::frozen)
    json["batch_norm"] = batch_norm_name(options.batch_norm);
  if (options.dropout) json["dropout"] = true;
  for (const auto& [name, dims] : options.input_shapes) json["input_shapes"][name] = dims;
  for (const auto& [name, size] : options.bound.axes) json["axes"][name] = size;
  for (const auto& [name, axis] : options.bound.batch_axes) json["batch_axes"][name] = axis;
  for (const auto& [name, given] : options.bound.inputs)
    json["bound_inputs"][name] = {{"dims", given.dims}, {"elements", given.elements}};
  if (!options.backend.empty()) {
    json["backend"] = options.backend;
    if (options.memory_budget > 0) json["memory_budget"] = options.memory_budget;
  }
  // File names need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// How many things of an example are there or not, each for itself.
int64_t label_count(const Graph& graph, Loss loss) {
  if (loss != Loss::binary_cross_entropy) return 1;
  const Shape& output = graph.shape(graph.outputs.front().value);
  return output.elements() / output[0];
}

// Names the classes, or each of an example's labels.
void add_names(const CompileOptions& options, int64_t labels, PlanContents* contents) {
  const auto& names = options.class_names;
  const int classes = contents->class_count;
  if (names.empty()) return;
  if (classes == 0)
    throw_error(
        "--labels: with --loss {} a model learns numbers and has no classes; leave the option out, "
        "or give --loss cross_entropy",
        loss_name(options.loss));
  const bool names_labels = labels > 1 && std::ssize(names) == labels;
  if (options.loss == Loss::binary_cross_entropy && names.size() != 2 && !names_labels)
    throw_error(
        "--labels: {} class names, and binary_cross_entropy has two classes; give two, of what is "
        "not and of what is, or {}",
        names.size(),
        labels > 1 ? fmt::format("one for each of the {} labels of an example", labels)
                   : fmt::format("compile with --loss cross_entropy --classes {}", names.size()));
  if (std::ssize(names) != classes && !names_labels)
    throw_error(
        "--labels: {} class names for a model with {} classes; give one a class, or "
        "--classes {} for a fresh classifier",
        names.size(), classes, names.size());
  std::set<std::string> seen;
  for (const std::string& name : names)
    if (name.empty() || !seen.insert(name).second)
      throw_error("--labels: class name '{}' is empty or there twice", name);
  (names_labels ? contents->labels : contents->classes) = names;
}

// An example's output must not depend on the others of its batch: training, evaluation and
// prediction have batches of their own. A prime number of examples is like no other size.
void check_examples(const Model& model, const CompileOptions& options) {
  int batch = 13;
  Graph graph;
  const auto import = [&] { graph = model.import(import_options(options, batch, false)); };
  try {
    import();
  } catch (const Error&) {  // Its shapes are for some batches only.
    if (options.batch == 1) return;
    batch = options.batch;
    import();
  }
  if (const auto why = mixed_examples(graph, batch)) throw_error("{}: {}", model.path(), *why);
}

}  // namespace

ImportOptions import_options(const CompileOptions& options, int batch, bool training) {
  const Dropout kept = training ? Dropout::training : Dropout::kept;
  return {.real = options.real,
          .batch = batch,
          .input_shapes = options.input_shapes,
          .dropout = options.dropout ? kept : Dropout::off,
          .seed = options.seed,
          .bound = options.bound};
}

Graph forward_graph(const Model& model, const CompileOptions& options, int batch, bool training) {
  check_interrupt();
  Graph graph = model.import(import_options(options, batch, training));
  if (graph.inputs.empty()) throw_error("{}: the model has no input", model.path());
  check_names(graph);
  choose_output(graph, options.output);
  if (options.batch_norm != BatchNorm::frozen) track_statistics(graph, options.batch_norm);
  if (training) draw_by_step(graph);
  to_channels_last(graph);
  fold_constants(graph);
  if (options.classes > 0) replace_head(graph, options.classes, options.seed);
  remove_dead(graph);
  check_preprocess(graph, options.preprocess);
  feed_bytes(graph, options.preprocess);
  name_layers(graph);
  graph.verify();
  return graph;
}

Compiled compile(const Model& model, const CompileOptions& options) {
  ScheduledPrograms scheduled;
  return compile(model, options, scheduled);
}

Compiled compile(const Model& model, const CompileOptions& options, ScheduledPrograms& scheduled) {
  check_options(options);
  if (scheduled.empty()) check_examples(model, options);
  Compiled compiled;
  PlanContents& contents = compiled.contents;

  const int at_once = examples_at_once(options);
  Graph train = forward_graph(model, options, at_once, true);
  const bool draws = train.input(port_name(PortRole::step)) != kNone;
  const auto of_batch = [&](int batch) {
    return batch == at_once && !draws ? train : forward_graph(model, options, batch);
  };
  const int evaluate_batch = options.evaluate_batch > 0 ? options.evaluate_batch : at_once;
  Graph evaluate = of_batch(evaluate_batch), predict = of_batch(options.predict_batch);
  const bool estimates = options.batch_norm == BatchNorm::estimate;
  Graph estimate = estimates ? of_batch(options.batch) : Graph();

  const Scheme scheme = parse_scheme(options.scheme, train);
  for (Graph* graph : {&train, &evaluate, &predict}) mark_trained(*graph, scheme);
  compiled.of_other_outputs = parameters_of_other_outputs(train);
  if (estimates) mark_trained(estimate, scheme);
  check_frozen_statistics(train);
  contents.class_count = class_count(train, options.loss, options.loss_settings);
  add_names(options, label_count(train, options.loss), &contents);

  contents.signature = parameter_signature(train, scheme, options.optimizer);
  contents.programs.push_back(
      compile_train_step(std::move(train), options, scheme, scheduled, &contents.parameters));
  const int64_t arena = contents.programs.back().memory.arena_bytes;
  const std::vector<TrainedChannels> narrow = find_narrow(contents);
  contents.programs.push_back(
      compile_evaluate(std::move(evaluate), options, evaluate_batch, arena, scheduled, narrow));
  contents.programs.push_back(
      compile_predict(std::move(predict), options, arena, scheduled, narrow));
  if (estimates)
    contents.programs.push_back(
        compile_estimate(std::move(estimate), options, arena, scheduled, narrow));

  contents.model_name = model.path().substr(model.path().find_last_of('/') + 1);
  contents.model_hash = model.hash();
  contents.real = options.real;
  contents.loss = loss_name(options.loss);
  contents.optimizer = options.optimizer.text();
  contents.scheme = scheme.json();
  contents.options = options_json(options);
  contents.preprocess = options.preprocess;
  compiled.plan = write_plan(contents);
  return compiled;
}

}  // namespace attune
