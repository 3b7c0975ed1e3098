#include "sparse_update/pipeline/verify_against_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "graph/plan/read_plan.h"
#include "graph/training/head.h"
#include "graph/training/random_step.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/model_tensors.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/verify_examples.h"

namespace attune {
namespace {

// Constants are rounded to the plan's type, and sums cancel: measured on convolutional networks of
// 50 layers, with a margin of ten.
constexpr double kExactTolerance = 5e-6;
constexpr double kSessionTolerance = 5e-5;
constexpr double kExactToleranceF64 = 1e-9;

// A tensor in the model's layout.
struct Contents {
  std::vector<int64_t> dims;
  std::vector<double> reals;
};
using ContentsByName = std::map<std::string, Contents>;

// `perm`: our axis i is the model's axis perm[i].
template <class Perm>
Contents in_model_layout(const Shape& shape, std::vector<double> reals, const Perm& perm) {
  Contents contents;
  contents.dims.resize(static_cast<size_t>(shape.rank));
  std::vector<int> back(contents.dims.size(), kNone);
  for (int i = 0; i < shape.rank; ++i) {
    const int axis = perm[static_cast<size_t>(i)];
    if (axis < 0 || axis >= shape.rank || back[static_cast<size_t>(axis)] != kNone) return {};
    contents.dims[static_cast<size_t>(axis)] = shape[i];
    back[static_cast<size_t>(axis)] = i;
  }
  contents.reals = Data::of_reals(std::move(reals))
                       ->permuted({shape.dims, shape.dims + shape.rank}, back)
                       ->reals();
  return contents;
}

TensorDifference compare(const Contents& actual, const Contents& expected) {
  TensorDifference d;
  if (actual.dims != expected.dims || actual.reals.size() != expected.reals.size()) {
    d.relative_error = d.max_abs = std::numeric_limits<double>::infinity();
    return d;
  }
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.reals.size(); ++i) {
    // A mask of minus infinity is as good a number as any where both have it.
    const bool same = actual.reals[i] == expected.reals[i];
    const double by = same ? 0 : std::fabs(actual.reals[i] - expected.reals[i]);
    difference += by * by;
    if (!std::isinf(expected.reals[i])) norm += expected.reals[i] * expected.reals[i];
    if (i > 0 && !(by > d.max_abs) && !std::isnan(by)) continue;
    if (std::isnan(d.max_abs)) continue;
    d.max_abs = by, d.index = static_cast<int64_t>(i);
    d.expected = expected.reals[i], d.actual = actual.reals[i];
  }
  // A tensor of zeros has no norm to compare with: there, 1e-6 an element counts as one.
  const double least = 1e-6 * std::sqrt(static_cast<double>(expected.reals.size()));
  d.relative_error = std::sqrt(difference) / std::max(std::sqrt(norm), least);
  return d;
}

class Verification {
 public:
  Verification(const Plan& plan, const Model& model, Dataset* data, const VerifyOptions& options)
      : plan_(plan),
        model_(model),
        options_(options),
        compiled_(options_of_plan(plan)),
        examples_(plan, data, options.seed) {
    check_compiled_from(plan, model);
    report_.exact_tolerance = compiled_.real == DType::f64 ? kExactToleranceF64 : kExactTolerance;
    report_.session_tolerance =
        compiled_.real == DType::f64 ? kExactToleranceF64 : kSessionTolerance;
  }

  VerifyReport run() {
    check_parameters();
    check_constants();
    SessionOptions session_options;
    session_options.backend = options_.backend;
    session_options.threads = options_.threads;
    throw_if_error(Session::create(plan_, session_options, &session_));
    for (ProgramKind kind : {ProgramKind::predict, ProgramKind::evaluate, ProgramKind::estimate,
                             ProgramKind::train_step})
      if (plan_.program(kind)) check_program(kind);
    return std::move(report_);
  }

 private:
  void note(TensorDifference difference, double tolerance, TensorDifference* worst) {
    if (!(difference.relative_error <= tolerance) && !report_.first) report_.first = difference;
    if (worst && !(difference.relative_error <= worst->relative_error))
      *worst = std::move(difference);
  }

  void note_bits(const std::string& name, const char* where, const std::vector<double>& actual,
                 const std::vector<double>& expected) {
    ++report_.parameters;
    Contents ours, theirs;
    ours.reals = actual;
    for (double x : expected)
      theirs.reals.push_back(compiled_.real == DType::f32 ? static_cast<float>(x) : x);
    TensorDifference difference = compare(ours, theirs);
    if (ours.reals.size() == theirs.reals.size() &&
        std::memcmp(ours.reals.data(), theirs.reals.data(), ours.reals.size() * sizeof(double)) ==
            0)
      return;
    // The slightest difference counts, also that between zeros.
    difference.relative_error =
        std::max(difference.relative_error, std::numeric_limits<double>::min());
    difference.tensor = name;
    difference.node = where == std::string("state") ? "parameter" : "constant";
    difference.program = where;
    difference.arithmetic = "bits";
    note(std::move(difference), 0, nullptr);
  }

  // What training starts from is what the model holds.
  void check_parameters() {
    const Graph graph = model_graph(compiled_.predict_batch, false);
    std::map<std::string, std::vector<double>> fresh;
    for (const Value& value : graph.values)
      if (value.role == Role::parameter && value.fresh)
        fresh[value.origin.tensor] = model_tensor(value).reals;
    std::vector<std::byte> state(plan_.table().state_bytes());
    const auto initial = plan_.initial_state();
    std::copy(initial.begin(), initial.end(), state.begin());
    for (const ModelTensor& tensor : trained_tensors(plan_, state))
      note_bits(tensor.name, "state", tensor.reals,
                tensor.fresh ? fresh[tensor.name] : model_.reals(tensor.name));
  }

  // Frozen parameters that no pass has changed keep their names.
  void check_constants() {
    const Graph graph = forward_graph(model_, compiled_, compiled_.predict_batch);
    std::map<std::string, const Value*> parameters;
    std::set<std::pair<std::string, uint64_t>> seen;  // programs share what is equal
    for (const Value& value : graph.values)
      if (value.role == Role::parameter) parameters[value.name] = &value;
    for (int k = 0; k < kProgramCount; ++k) {
      const format::Program* program = plan_.program(static_cast<ProgramKind>(k));
      if (program == nullptr) continue;
      for (const format::Tensor* t : *program->tensors()) {
        if (t->segment() != format::Segment::constants) continue;
        const auto found = parameters.find(text_of(t->name()));
        if (found == parameters.end()) continue;
        const Value& value = *found->second;
        const Tensor tensor = described_tensor(*t);
        if (!seen.emplace(value.name, t->offset()).second) continue;
        if (!(tensor.shape == value.shape) || !is_real(tensor.dtype)) continue;
        const auto bytes = plan_.constants().subspan(t->offset(), tensor.bytes());
        const HostTensor host{tensor.dtype, tensor.shape, {bytes.begin(), bytes.end()}};
        note_bits(value.origin.tensor, "constants",
                  in_model_order(*Data::of_reals(host.reals()), value.origin)->reals(),
                  model_tensor(value).reals);
      }
    }
  }

  // The model as it says itself: imported, with its new classifier, and no pass at all.
  Graph model_graph(int batch, bool training) const {
    ImportOptions options = import_options(compiled_, batch, training);
    options.real = DType::f64;
    Graph graph = model_.import(options);
    if (training) draw_by_step(graph);
    choose_output(graph, compiled_.output);
    if (compiled_.classes > 0) replace_head(graph, compiled_.classes, compiled_.seed);
    remove_dead(graph);
    return graph;
  }

  Graph model_program(ProgramKind kind, int batch) const {
    Graph graph = model_graph(batch, kind == ProgramKind::train_step);
    LossSettings settings = compiled_.loss_settings;
    if (kind == ProgramKind::evaluate) settings = as_judged(settings);
    const bool learns = kind == ProgramKind::train_step;
    if (kind == ProgramKind::estimate)
      graph.outputs.clear();
    else if (kind == ProgramKind::predict)
      attach_probabilities(graph, compiled_.loss, compiled_.loss_settings);
    else
      attach_loss(graph, compiled_.loss, false, settings);
    if (kind == ProgramKind::estimate || (learns && compiled_.batch_norm == BatchNorm::update))
      use_batch_statistics(graph, batch);
    return graph;
  }

  void check_program(ProgramKind kind) {
    const int batch = plan_.program(kind)->batch();
    const Graph model = model_program(kind, batch);
    const Graph plan = graph_of_plan(plan_, kind, DType::f64);
    // Before anything is computed: the shapes of the model follow from what the plan says.
    for (const Port& port : model.inputs)
      if (const ValueId there = plan.input(port.name);
          there != kNone && plan.shape(there).elements() != model.shape(port.value).elements())
        throw_error("{}: its input {} has another size than the plan was compiled for; compile it "
                    "again",
                    plan_.name(), port.name);
    const int runs =
        kind == ProgramKind::predict ? std::max(1, (options_.examples + batch - 1) / batch) : 1;
    for (int run = 0; run < runs; ++run) {
      const ProgramInputs inputs = examples_.read(kind, int64_t{run} * batch);
      check_run(kind, model, plan, inputs);
      if (kind == ProgramKind::predict) report_.examples += batch;
    }
  }

  static ContentsByName model_contents(const Graph& model, const std::vector<HostTensor>& values) {
    ContentsByName result;
    for (size_t v = 0; v < values.size(); ++v) {
      const Value& value = model.values[v];
      if (value.model_tensor.empty() || value.producer == kNone) continue;
      result[value.model_tensor] =
          in_model_layout(value.shape, values[v].reals(), value.model_perm);
    }
    return result;
  }

  static Contents output_contents(const HostTensor& tensor) {
    return {{tensor.shape.dims, tensor.shape.dims + tensor.shape.rank}, tensor.reals()};
  }

  // What the session's steps computed, by the plan's tensor.
  struct Observed {
    const format::Program* program;
    std::map<int32_t, HostTensor> tensors;
  };

  static void observe(void* context, ProgramKind, int step, const KernelArgs& args) {
    Observed& observed = *static_cast<Observed*>(context);
    const auto outputs =
        list_of(observed.program->steps()->Get(static_cast<unsigned>(step))->outputs());
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o] < 0) continue;
      const Tensor& tensor = args.outputs[o];
      const auto* bytes = tensor.as<std::byte>();
      observed.tensors[outputs[o]] = {tensor.dtype, tensor.shape, {bytes, bytes + tensor.bytes()}};
    }
  }

  std::map<int32_t, HostTensor> run_session(ProgramKind kind, const ProgramInputs& inputs) {
    session_->reset_state();
    for (const auto& [name, tensor] : inputs)
      std::memcpy(session_->input(kind, name).data, tensor.bytes.data(), tensor.bytes.size());
    Observed observed{plan_.program(kind), {}};
    session_->set_observer(observe, &observed);
    const Status status = session_->run(kind);
    session_->set_observer(nullptr, nullptr);
    throw_if_error(status);
    return std::move(observed.tensors);
  }

  void check_run(ProgramKind kind, const Graph& model, const Graph& plan,
                 const ProgramInputs& inputs) {
    const std::vector<HostTensor> model_values =
        interpret(model, examples_.for_model(model, inputs));
    const std::vector<HostTensor> plan_values = interpret(plan, VerifyExamples::for_plan(inputs));
    std::map<int32_t, HostTensor> observed = run_session(kind, inputs);
    const ContentsByName expected = model_contents(model, model_values);

    const auto place = [&](TensorDifference d, const std::string& tensor, ValueId v,
                           const char* arithmetic) {
      d.tensor = tensor;
      d.node = plan.value(v).producer == kNone ? "" : plan.nodes[plan.value(v).producer].name;
      d.program = program_name(kind);
      d.arithmetic = arithmetic;
      return d;
    };
    // In the order of execution, what the plan means first: where it differs, the session does.
    std::vector<std::function<void()>> session_checks;
    const auto check = [&](ValueId v, const std::string& name, const Contents& want,
                           const std::function<Contents(const HostTensor&)>& layout) {
      ++report_.tensors;
      note(place(compare(layout(plan_values[v]), want), name, v, "f64"), report_.exact_tolerance,
           &report_.worst_exact);
      const ValueId source = viewed(plan, v);
      const auto seen = observed.find(source);
      if (seen == observed.end()) return;  // an input
      HostTensor tensor = seen->second;
      tensor.shape = plan.shape(v);
      session_checks.push_back([&, this, v, name, tensor, layout] {
        note(place(compare(layout(tensor), want), name, v, "session"), report_.session_tolerance,
             &report_.worst_session);
      });
    };
    for (const Node& node : plan.nodes)
      for (ValueId v : node.outputs) {
        if (v == kNone) continue;
        const Value& value = plan.value(v);
        const auto want = expected.find(value.model_tensor);
        if (value.model_tensor.empty() || want == expected.end()) continue;
        check(v, value.model_tensor, want->second, [&](const HostTensor& tensor) {
          return in_model_layout(value.shape, tensor.reals(), value.model_perm);
        });
      }
    // Outputs have no model tensor where the classifier is fresh, and losses never have one. How
    // many are correct is left out: rounding decides between two equal scores.
    ContentsByName outputs;
    for (const Port& port : model.outputs)
      if (port.name != "correct") outputs[port.name] = output_contents(model_values[port.value]);
    for (const Port& port : plan.outputs)
      if (const auto want = outputs.find(port.name); want != outputs.end())
        check(port.value, port.name, want->second, output_contents);
    for (const auto& session_check : session_checks) session_check();

    if (kind != ProgramKind::train_step) return;
    report_.loss_model = outputs.at("loss").reals[0];
    report_.loss_plan = plan_values[plan.output("loss")].reals()[0];
    report_.loss_session = observed.at(plan.output("loss")).reals()[0];
  }

  // What a chain of reshapes starts from.
  static ValueId viewed(const Graph& graph, ValueId v) {
    while (graph.value(v).producer != kNone &&
           graph.nodes[graph.value(v).producer].op == Op::reshape)
      v = graph.nodes[graph.value(v).producer].inputs[0];
    return v;
  }

  const Plan& plan_;
  const Model& model_;
  const VerifyOptions& options_;
  const CompileOptions compiled_;
  std::unique_ptr<Session> session_;
  VerifyExamples examples_;
  VerifyReport report_;
};

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TensorDifference, tensor, node, program, arithmetic,
                                   relative_error, max_abs, index, expected, actual)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VerifyReport, examples, tensors, parameters, exact_tolerance,
                                   session_tolerance, worst_exact, worst_session, loss_model,
                                   loss_plan, loss_session)

std::string VerifyReport::json() const {
  nlohmann::json json = *this;
  json["ok"] = ok();
  json["first"] = first ? nlohmann::json(*first) : nlohmann::json();
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

VerifyReport verify_plan_against_model(const Plan& plan, const Model& model, Dataset* data,
                                       const VerifyOptions& options) {
  return Verification(plan, model, data, options).run();
}

}  // namespace attune
