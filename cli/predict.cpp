#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/batch.h"
#include "engine/format/plan_generated.h"
#include "graph/ir/interpret.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Example:
  attune predict flowers.att --checkpoint flowers.atc rose.jpg tulip.png

An input is a picture, a recording, an .npy file with one example or several, an .npz file, or any
other data that `attune train` reads; labels are not needed. Inputs are preprocessed as the plan says.)";

struct Options {
  std::string plan, checkpoint;
  std::vector<std::string> inputs;
  int top = 3;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;
};

// The first example of an output.
std::vector<double> first_example(const Tensor& tensor) {
  const auto* bytes = tensor.as<std::byte>();
  const HostTensor batch{tensor.dtype, tensor.shape, {bytes, bytes + tensor.bytes()}};
  std::vector<double> values = batch.reals();
  if (tensor.shape.rank > 0) values.resize(values.size() / static_cast<size_t>(tensor.shape[0]));
  return values;
}

// Classes by falling score; equal scores by number.
std::vector<int32_t> ranking(std::span<const double> scores) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  return order;
}

using LabelNames = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

class Predictor {
 public:
  explicit Predictor(LoadedPlan& loaded) : loaded_(loaded) {
    const Session& session = *loaded.session;
    if (!session.has(ProgramKind::predict))
      throw_error("{}: the plan has no program predict; compile it again", loaded.plan.name());
    probabilities_ = session.output(ProgramKind::predict, "probabilities");
    output_ = session.port(ProgramKind::predict, PortRole::output).tensor;
    if (!output_) throw_error("{}: the model has no output", loaded.plan.name());
    for (const Tensor& shown : {output_, probabilities_})
      if (shown && shown.dtype == DType::mask)
        throw_error("{}: the model's output is bits, not numbers; compile it again",
                    loaded.plan.name());
  }

  bool classifies() const { return loaded_.classes() > 0 && probabilities_; }

  // The names of an example's labels, where it has several that the plan names; else null.
  const LabelNames* labels() const {
    const LabelNames* names = loaded_.table().labels();
    return classifies() && names && names->size() == positions() ? names : nullptr;
  }

  // How many times an example is classified.
  size_t positions() const {
    return static_cast<size_t>(probabilities_.shape.product(1, probabilities_.shape.rank - 1));
  }

  // Runs example `index`: probabilities where the model classifies, else its first output.
  std::vector<double> run(Dataset& data, int64_t index) {
    Session& session = *loaded_.session;
    for (int i = 0; const SessionPort port = session.port(ProgramKind::predict, PortRole::input, i);
         ++i) {
      const Tensor& input = port.tensor;
      std::memset(input.data, 0, input.bytes());
      throw_if_error(data.read(
          index, i, {input.as<std::byte>(), input.bytes() / static_cast<size_t>(input.shape[0])}));
    }
    throw_if_error(session.run(ProgramKind::predict));
    std::vector<double> values = first_example(classifies() ? probabilities_ : output_);
    if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
      throw_error(
          "{}: the model's output is not finite; its parameters have diverged, or the input "
          "holds such numbers",
          data.describe(index));
    return values;
  }

 private:
  LoadedPlan& loaded_;
  Tensor output_, probabilities_;
};

// The `top` most probable classes.
Json classes_json(const LoadedPlan& loaded, std::span<const double> probabilities, int top) {
  const std::vector<int32_t> order = ranking(probabilities);
  Json list = Json::array();
  for (size_t k = 0; k < std::min(order.size(), static_cast<size_t>(top)); ++k)
    list.push_back(Json{{"class", loaded.class_name(order[k])},
                        {"index", order[k]},
                        {"probability", probabilities[static_cast<size_t>(order[k])]}});
  return list;
}

std::string percent(const Json& one) {
  return fmt::format("{:.2f} %", 100 * one["probability"].get<double>());
}

// Where files that cannot be read are skipped, at least one is there.
std::vector<std::unique_ptr<Dataset>> open_inputs(const LoadedPlan& loaded,
                                                  const Options& options) {
  std::vector<std::unique_ptr<Dataset>> inputs;
  for (const std::string& path : options.inputs) try {
      inputs.push_back(open_data(loaded, ProgramKind::predict, path, options.reading));
      print_notes(*inputs.back(), options.output.quiet);
    } catch (const Error& error) {
      const bool last = &path == &options.inputs.back();
      if (!options.reading.skips() || (last && inputs.empty())) throw;
      if (!options.output.quiet) print_note(fmt::format("left out: {}", error.what()));
    }
  return inputs;
}

int run(const Options& options) {
  const auto loaded = load_plan(options.plan, options.session, program_bit(ProgramKind::predict));
  load_parameters(*loaded, options.checkpoint);
  Predictor predictor(*loaded);
  // Everything is opened before the first result, so that a wrong name comes with no half answer.
  const std::vector<std::unique_ptr<Dataset>> inputs = open_inputs(*loaded, options);

  Json results = Json::array();
  const LabelNames* const labels = predictor.labels();
  Table table = !predictor.classifies() ? Table({"input", "output"})
                : labels                ? Table({"input", "label", ">probability"})
                : predictor.positions() == 1
                    ? Table({"input", "class", ">probability"})
                    : Table({"input", ">position", "class", ">probability"});
  for (const auto& data : inputs)
    for (int64_t i = 0; i < data->size(); ++i) {
      const std::vector<double> values = predictor.run(*data, i);
      const std::string name(data->describe(i));
      Json result;
      result["input"] = name;
      if (!predictor.classifies()) {
        result["output"] = values;
        table.row({name, fmt::format("{:.6g}", fmt::join(values, " "))});
      } else if (labels) {
        for (unsigned k = 0; k < labels->size(); ++k) {
          const Json one{{"label", labels->Get(k)->str()}, {"probability", values[2 * k + 1]}};
          table.row({k == 0 ? name : "", one["label"], percent(one)});
          result["labels"].push_back(one);
        }
      } else if (predictor.positions() == 1) {
        result["classes"] = classes_json(*loaded, values, options.top);
        for (const Json& one : result["classes"])
          table.row({&one == &result["classes"].front() ? name : "", one["class"], percent(one)});
      } else {
        const std::span<const double> all(values);
        const size_t classes = all.size() / predictor.positions();
        for (size_t p = 0; p < predictor.positions(); ++p) {
          Json best = classes_json(*loaded, all.subspan(p * classes, classes), options.top);
          table.row({p == 0 ? name : "", std::to_string(p), best[0]["class"], percent(best[0])});
          result["positions"].push_back(std::move(best));
        }
      }
      results.push_back(std::move(result));
    }
  if (options.output.json)
    print_json(results);
  else
    print("{}", table.text());
  return 0;
}

}  // namespace

Verb add_predict(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = add_verb(app, "predict", "Run the model on new inputs", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("inputs", options->inputs, "Files to predict")->required();
  verb->add_option("--checkpoint", options->checkpoint,
                   "Trained parameters (.atc); without it, the model as it was compiled");
  verb->add_option("--top", options->top, "Show so many of the likeliest classes")
      ->check(CLI::Range(1, 1000000));
  options->reading.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
