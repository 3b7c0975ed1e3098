#include "cli/compile_options.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "cli/model_labels.h"
#include "engine/io/npy.h"
#include "engine/io/npz.h"
#include "sparse_update/json_file.h"
#include "sparse_update/number_text.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::cli {

const char* const kSchemesHelp = R"(Schemes:
  full      every float parameter
  head      the classifier
  last:K    the classifier, and all parameters of the K layers before it
  bias:K    the classifier, and the biases of the K layers before it; for last and bias, 4blocks
            counts the repeated parts of a model: a transformer's blocks
  names:A,B the classifier, and the parameters of these names: *.layer.[8-11].*.{query,key}.weight
  auto      searched for within --memory, --flash and --latency, on --data; see `attune search`
  FILE      JSON: {"head": true, "bias_last": K, "weights_last": K,
                   "layers": [{"layer": 21, "input_channels": 0.5},
                              {"name": "*.{query,key}", "of_last": "4 blocks"}],
                   "parameters": [{"name": "conv1.weight", "output_channels": [0, 3]}]}, or such JSON itself
)";

const char* const kPreprocessHelp = R"(Preprocessing:
  none, imagenet[:WxH], unit:WxH[xC] (x / 255), signed:WxH[xC] (x / 127.5 - 1),
  mfcc[:first|centre|loudest] (the part of a longer clip), or
  FILE      JSON: {"image": {"width": 224, "height": 224, "channels": 3, "resize": "center_crop",
                   "resize_shorter": 256, "interpolation": "bilinear" or "bicubic",
                   "antialias": true, "order": "RGB", "mean": [..], "std": [..]}}
            or {"mfcc": {"sample_rate": 16000, "samples": 16000, ...}}; mean and std act on x / 255)";

namespace {

// "NAME:1x3x224x224"; the name may hold colons itself.
std::pair<std::string, std::vector<int64_t>> parse_input_shape(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::vector<int64_t> dims;
  if (colon != std::string::npos && colon > 0)
    dims = parse_sizes(text.substr(colon + 1), INT32_MAX);
  if (dims.empty())
    throw_error("--input-shape {}: give NAME:DIMxDIMx..., e.g. input:1x3x224x224", text);
  return {text.substr(0, colon), dims};
}

// "NAME=16"; "NAME=1,3" or "NAME=FILE.npy": the name and the rest.
std::pair<std::string, std::string> parse_binding(const char* option, const std::string& text,
                                                  const char* example) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw_error("{} {}: give NAME=..., e.g. {}", option, shown_name(text), example);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// "1", of all inputs; "NAME:1".
std::pair<std::string, int> parse_batch_axis(const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::string number = colon == std::string::npos ? text : text.substr(colon + 1);
  double axis = -1;
  if (!parse_number(number, &axis) || !(axis >= 0 && axis < kMaxRank) || axis != std::floor(axis) ||
      colon == 0)
    throw_error("--batch-axis {}: give NAME:AXIS, or one axis of all inputs, e.g. 1",
                shown_name(text));
  return {colon == std::string::npos ? "" : text.substr(0, colon), static_cast<int>(axis)};
}

BoundInput parse_bound_input(const std::string& option, const std::string& text) {
  BoundInput bound;
  if (text.ends_with(".npy")) {
    NpyArray array;
    throw_if_error(read_npy(text, {}, &array));
    bound.dims = array.shape;
    bound.elements.resize(static_cast<size_t>(array.elements()));
    throw_if_error(convert_elements(text, array, 0, array.elements(), DType::f64,
                                    std::as_writable_bytes(std::span(bound.elements))));
    return bound;
  }
  std::istringstream list(text);
  for (std::string word; std::getline(list, word, ',');)
    if (!parse_number(word, &bound.elements.emplace_back()) ||
        !std::isfinite(bound.elements.back()))
      throw_error("--bind-input {}: '{}' is no number; give numbers as 1,3, or a .npy file",
                  shown_name(option), shown_name(word));
  return bound;
}

// "0.9,0.999"
std::pair<double, double> parse_betas(const std::string& text) {
  const size_t comma = text.find(',');
  double first = -1, second = -1;
  const bool read = comma != std::string::npos && parse_number(text.substr(0, comma), &first) &&
                    parse_number(text.substr(comma + 1), &second);
  if (!read || !(first >= 0 && first < 1 && second >= 0 && second < 1))
    throw_error("--betas {}: give two numbers, each 0 or more and less than 1, e.g. 0.9,0.999",
                shown_name(text));
  return {first, second};
}

// One name a line; or the names of a folder's class folders.
std::vector<std::string> read_class_names(const std::string& path) {
  std::vector<std::string> names;
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) {
    throw_if_error(list_class_folders(path, &names));
    return names;
  }
  std::ifstream file;
  // Asked before it is opened: opening a named pipe would wait for a writer.
  if (std::filesystem::is_regular_file(path, failure)) file.open(path);
  if (!file.is_open())
    throw_error(
        "--labels {}: cannot be read; give a file with one class name a line, or a folder "
        "of class folders",
        path);
  return class_names_of(file, "--labels " + path);
}

}  // namespace

CompileOptions CompileCommand::options() const {
  CompileOptions result = compile;
  if (!loss_.empty()) result.loss = parse_loss(loss_);
  if (const CLI::Option* delta = verb_->get_option_no_throw("--huber-delta");
      delta && delta->count() > 0 && loss_ == "smooth_l1")
    throw_error("--huber-delta: smooth_l1 is huber of delta 1; give --loss huber");
  result.batch_norm = parse_batch_norm(batch_norm_);
  result.dropout = dropout_ == "keep";
  result.tile = tiling_ == "auto";
  result.split_gradients = strips_ == "auto";
  result.remake_masks = masks_ == "auto";
  result.optimizer.kind = parse_optimizer(optimizer_);
  const bool momentum = result.optimizer.kind == OptimizerKind::momentum;
  if (!momentum && (verb_->count("--momentum") > 0 || nesterov_))
    throw_error("--momentum and --nesterov are for --optimizer momentum, not {}", optimizer_);
  if (!(momentum_ >= 0 && momentum_ < 1))
    throw_error("--momentum {}: give 0 or more, and less than 1", momentum_);
  const bool adam =
      result.optimizer.kind == OptimizerKind::adam || result.optimizer.kind == OptimizerKind::adamw;
  if (!adam && (verb_->count("--betas") > 0 || verb_->count("--epsilon") > 0))
    throw_error("--betas and --epsilon are for --optimizer adam and adamw, not {}", optimizer_);
  std::tie(result.optimizer.beta1, result.optimizer.beta2) = parse_betas(betas_);
  if (!(result.optimizer.epsilon > 0 && result.optimizer.epsilon <= 1))
    throw_error("--epsilon {}: give more than 0, and at most 1", result.optimizer.epsilon);
  if (!(result.optimizer.weight_decay >= 0 && result.optimizer.weight_decay <= 1))
    throw_error("--weight-decay {}: give 0 .. 1", result.optimizer.weight_decay);
  result.optimizer.momentum = momentum_;
  result.optimizer.nesterov = nesterov_;
  for (const std::string& text : input_shapes_) {
    const auto [name, dims] = parse_input_shape(text);
    if (!result.input_shapes.emplace(name, dims).second)
      throw_error("--input-shape: '{}' is given twice", name);
  }
  for (const std::string& text : axes_) {
    const auto [name, size] = parse_binding("--bind", text, "seq=16");
    const std::vector<int64_t> sizes = parse_sizes(size, INT32_MAX);
    if (sizes.size() != 1) throw_error("--bind {}: give a size above 0, e.g. seq=16", text);
    if (!result.bound.axes.emplace(name, sizes[0]).second)
      throw_error("--bind: '{}' is given twice", name);
  }
  for (const std::string& text : batch_axes_)
    if (const auto given = parse_batch_axis(text); !result.bound.batch_axes.insert(given).second)
      throw_error("--batch-axis: '{}' is given twice", given.first);
  for (const std::string& text : bound_inputs_) {
    const auto [name, contents] = parse_binding("--bind-input", text, "sizes=1,3,224,224");
    if (!result.bound.inputs.emplace(name, parse_bound_input(text, contents)).second)
      throw_error("--bind-input: '{}' is given twice", name);
  }
  if (!labels_.empty()) result.class_names = read_class_names(labels_);
  result.preprocess = parse_preprocess(preprocess_);
  return result;
}

Loss CompileCommand::loss_for(const Model& model, const CompileOptions& options, bool quiet) const {
  if (!loss_.empty()) return options.loss;
  const Loss loss = default_loss(forward_graph(model, options, 1));
  if (loss != Loss::cross_entropy && !quiet)
    print_note(fmt::format("{} ends in a sigmoid, so it learns by {}; --loss chooses another",
                           model.path(), loss_name(loss)));
  return loss;
}

void CompileCommand::add(CLI::App* verb, bool with_scheme) {
  verb_ = verb;
  verb->add_option("model", model, "The model (.onnx or .tflite)")->required();
  reading_model.add(verb);
  if (with_scheme) verb->add_option("--scheme", compile.scheme, "What to train; see below");
  verb->add_option("--loss", loss_,
                   "What is learned; see below (default: cross_entropy, and binary_cross_entropy "
                   "where the model ends in a sigmoid)")
      ->default_str("");
  verb->add_option("--output", compile.output,
                   "The output to train, of a model with several (default: the first)")
      ->default_str("");
  verb->add_option("--huber-delta", compile.loss_settings.huber_delta,
                   "Of --loss huber: errors up to this count squared");
  verb->add_option("--label-smoothing", compile.loss_settings.label_smoothing,
                   "Of losses of classes: this share of a target is the same for every class");
  verb->add_option(
      "--entropy-bonus", compile.loss_settings.entropy_bonus,
      "Of --loss policy_gradient: so many times the policy's entropy is taken from the "
      "loss, so that it goes on exploring");
  verb->add_option(
          "--class-axis", compile.loss_settings.class_axis,
          "Of --loss cross_entropy, where each position has a class: the axis of the output "
          "that has the classes (default: the last of [n, positions, classes], axis 1 of "
          "more axes)")
      ->default_str("");
  verb->add_option(
      "--ignore-label", compile.loss_settings.ignore_label,
      "Of --loss cross_entropy, where each position has a class: what the labels have at "
      "positions that do not count");
  if (with_scheme)
    verb->add_option("--batch-norm", batch_norm_,
                     "The statistics of batch norms: frozen, as the model has them; estimate, "
                     "averaged over the data before training (no labels needed); update, those of "
                     "each batch in training, with running averages, as PyTorch")
        ->check(CLI::IsMember({"frozen", "estimate", "update"}));
  if (with_scheme)
    verb->add_option("--dropout", dropout_,
                     "The model's Dropouts: off, never (as when the model is used); keep, in "
                     "training, each at its ratio")
        ->check(CLI::IsMember({"off", "keep"}));
  verb->add_option("--optimizer", optimizer_, "sgd, momentum, adam or adamw");
  verb->add_option("--momentum", momentum_, "Of --optimizer momentum");
  verb->add_flag("--nesterov", nesterov_, "Nesterov's momentum");
  verb->add_option("--betas", betas_, "Of --optimizer adam and adamw: two numbers");
  verb->add_option("--epsilon", compile.optimizer.epsilon, "Of --optimizer adam and adamw");
  verb->add_option("--weight-decay", compile.optimizer.weight_decay, "Weight decay");
  verb->add_option("--batch-size", compile.batch, "Examples in a training step");
  verb->add_option("--micro-batch", compile.micro_batch,
                   "Go through the batch so many examples at a time, add up the gradients, and "
                   "update once: less memory, more steps (default: all at once, unless --memory "
                   "needs less)")
      ->check(CLI::Range(1, 65536));
  verb->add_option("--input-shape", input_shapes_,
                   "NAME:1x3x224x224, for an input whose size the model leaves open; again for "
                   "another input");
  verb->add_option(
      "--bind", axes_,
      "seq=16, the size of every axis that the model calls seq; again for another name");
  verb->add_option(
      "--batch-axis", batch_axes_,
      "NAME:1, the axis of an input or output that has the examples, or 1, of all "
      "inputs (default: the one that the model calls batch, else the first); data have "
      "them first in any case");
  verb->add_option(
      "--bind-input", bound_inputs_,
      "NAME=1,3,224,224 or NAME=FILE.npy, for an input that is always the same: sizes, "
      "repeats, a mask");
  verb->add_option("--classes", compile.classes,
                   "Replace the last layer by a fresh one for so many classes (default: keep it)")
      ->check(CLI::Range(1, 1000000));
  verb->add_option("--seed", compile.seed, "Of the fresh layer's weights, and of a search")
      ->check(is_seed());
  verb->add_option("--labels", labels_,
                   "Class names, one a line, or a folder of class folders; where an example has "
                   "several labels, a name for each (default: numbers)");
  verb->add_option("--preprocess", preprocess_,
                   "How raw data becomes the model's input; see below");
  verb->add_option(
          "--memory-tiling", tiling_,
          "auto: compute the first layers a few rows at a time where that makes the arena "
          "smaller, at the price of more steps; off: whole layers, each once, whatever --memory "
          "needs; where the option is left out, off, unless --memory needs less")
      ->check(CLI::IsMember({"auto", "off"}));
  verb->add_option(
          "--gradient-strips", strips_,
          "auto: compute gradients of weights some output channels at a time, and update these at "
          "once, where that makes the arena smaller; off: whole gradients, unless --memory needs "
          "less")
      ->check(CLI::IsMember({"auto", "off"}));
  verb->add_option(
          "--remake-masks", masks_,
          "auto: make the masks of activations again from outputs that are kept anyway, where that "
          "makes the arena smaller, at the price of a pass over these; off: keep them, unless "
          "--memory needs less")
      ->check(CLI::IsMember({"auto", "off"}));
}

}  // namespace attune::cli
