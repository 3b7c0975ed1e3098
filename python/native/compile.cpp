#include <CLI/CLI.hpp>
#include <map>
#include <optional>

#include "cli/make_plan.h"
#include "cli/model_labels.h"
#include "cli/nearest.h"
#include "graph/import/model_reading.h"
#include "graph/ir/interrupt.h"
#include "native.h"

namespace attune::python {
namespace {

using Reals = py::array_t<double, py::array::c_style | py::array::forcecast>;

// What the command line cannot hold.
struct Extras {
  std::vector<std::string> class_names;
  std::map<std::string, BoundInput> inputs;
  int predict_batch;

  Extras(std::vector<std::string> names, const std::map<std::string, Reals>& bound, int batch)
      : class_names(std::move(names)), predict_batch(batch) {
    for (const auto& [name, array] : bound)
      inputs[name] = {{array.shape(), array.shape() + array.ndim()},
                      {array.data(), array.data() + array.size()}};
  }
  void add_to(CompileOptions* options) const {
    if (!class_names.empty()) options->class_names = class_names;
    options->bound.inputs.insert(inputs.begin(), inputs.end());
    options->predict_batch = predict_batch;
  }
};

void parse(CLI::App& app, std::vector<std::string> arguments) {
  std::ranges::reverse(arguments);  // as CLI11 takes them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ExtrasError& error) {
    for (const std::string& stray : app.remaining()) {
      const std::string name = stray.substr(0, stray.find('='));
      if (name.size() > 2 && name.starts_with("--"))
        throw_error("{}: there is no such option{}", name,
                    cli::or_rather(name, cli::long_options(app)));
    }
    throw_error("{}", error.what());
  } catch (const CLI::ParseError& error) {
    throw_error("{}", error.what());
  }
}

py::bytes bytes_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

py::bytes compile_plan(const std::vector<std::string>& arguments,
                       const std::optional<std::string>& contents, std::vector<std::string> names,
                       const std::map<std::string, Reals>& bound, int predict_batch) {
  const Extras extras(std::move(names), bound, predict_batch);
  std::vector<std::byte> plan;
  {
    const py::gil_scoped_release released;
    const InterruptScope scope(check_signals);
    CLI::App app;
    cli::PlanRequest request;
    request.add(&app);
    parse(app, arguments);
    CompileOptions options = request.options();
    extras.add_to(&options);
    const ModelPtr model =
        contents ? parse_model(*contents, request.compile.model) : request.compile.load();
    plan = cli::make_plan(*model, options, request).made.compiled.plan;
  }
  return bytes_of(plan);
}

// Makes the data of a search, for the ports that a plan of its model has.
std::unique_ptr<Dataset> made_data(const py::object& make, const Session& session,
                                   std::shared_ptr<std::exception_ptr> raised) {
  const py::gil_scoped_acquire held;
  const DatasetRequest request = cli::data_request(session, ProgramKind::train_step);
  const py::object made =
      make(ports_of(session, ProgramKind::train_step), request.classes, request.class_names);
  // Python's object may go while the search goes on.
  std::shared_ptr<Dataset> data(made.cast<Dataset*>(), [kept = new py::object(made)](Dataset*) {
    const py::gil_scoped_acquire again;
    delete kept;
  });
  return std::make_unique<WatchedDataset>(std::move(data), std::move(raised));
}

// What was found, as JSON, and the plan of the best scheme.
py::tuple search(const std::vector<std::string>& arguments,
                 const std::optional<std::string>& contents, std::vector<std::string> names,
                 const std::map<std::string, Reals>& bound, int predict_batch, py::object make_data,
                 py::object progress) {
  const Extras extras(std::move(names), bound, predict_batch);
  std::string found;
  std::vector<std::byte> plan;
  const auto raised = std::make_shared<std::exception_ptr>();
  try {
    const py::gil_scoped_release released;
    const InterruptScope scope(check_signals);
    CLI::App app;
    cli::CompileCommand command;
    cli::SchemeSearch search;
    command.add(&app, false);
    search.budget.add(&app);
    search.add(&app, true);
    search.session.add(&app);
    parse(app, arguments);
    search.may_tile = command.may_tile();
    if (!make_data.is_none())
      search.sensitivity.open = [&](const Session& s) { return made_data(make_data, s, raised); };
    search.progress = [&](const std::string& what, size_t done, size_t of, double seconds_left) {
      if (progress.is_none()) return;
      const py::gil_scoped_acquire held;
      progress(what, done, of, seconds_left);
    };
    CompileOptions options = command.options();
    extras.add_to(&options);
    // Sessions of the plan run on what it was found to fit with.
    if (search.session.names_backend() && search.session.backend != "best")
      options.backend = search.session.backend;
    options.memory_budget = search.budget.budget().memory_bytes.value_or(0);
    const ModelPtr model = contents ? parse_model(*contents, command.model) : command.load();
    options.loss = command.loss_for(*model, options, false);
    cli::use_labels_of(*model, &options, false);
    cli::SearchedScheme searched = cli::search_for_scheme(*model, options, search);
    found = cli::dump_line(cli::searched_json(searched));
    plan = std::move(searched.plan.compiled.plan);
  } catch (const Error&) {
    if (*raised) std::rethrow_exception(*raised);
    throw;
  }
  return py::make_tuple(found, bytes_of(plan));
}

}  // namespace

ModelPtr model_of(const std::string& path, const std::optional<std::string>& contents,
                  bool follow_links) {
  return contents ? parse_model(*contents, path)
                  : load_model(path, ModelReading{.follow_links = follow_links});
}

void add_compile(py::module_& module) {
  module.def("compile", &compile_plan, py::arg("arguments"), py::arg("contents"),
             py::arg("class_names"), py::arg("bound_inputs"), py::arg("predict_batch"),
             "The contents of the plan that the command `compile` makes of such arguments.");
  module.def("search", &search, py::arg("arguments"), py::arg("contents"), py::arg("class_names"),
             py::arg("bound_inputs"), py::arg("predict_batch"), py::arg("make_data"),
             py::arg("progress"),
             "What the command `search` finds, as JSON, and the contents of its plan.");
}

}  // namespace attune::python
