#include <cmath>
#include <cstring>

#include "attune/checkpoint.h"
#include "attune/statistics.h"
#include "attune/trainer.h"
#include "cli/evaluation_json.h"
#include "cli/output_file.h"
#include "cli/plan_json.h"
#include "engine/format/plan_tensor.h"
#include "graph/ir/interrupt.h"
#include "native.h"
#include "sparse_update/json_file.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/verify_against_model.h"

namespace attune::python {
namespace {

cli::SessionChoice choice_of(const std::string& backend, int threads) {
  cli::SessionChoice choice;
  choice.named = !backend.empty();
  if (choice.named) choice.backend = backend;
  choice.threads = threads;
  bool known = choice.backend == cli::SessionChoice().backend;
  for (int i = 0; i < kBackendCount; ++i)
    known |= choice.backend == backend_name(static_cast<Backend>(i));
  if (!known)
    throw_error("backend: '{}' is none of best, reference, eigen, simd, xnnpack",
                shown_name(backend));
  if (threads < 1 || threads > 1024) throw_error("threads: {} is not in 1 .. 1024", threads);
  return choice;
}

std::vector<int64_t> dims_of(const Shape& shape) { return {shape.dims, shape.dims + shape.rank}; }

// Elements of a tensor as they lie in memory; of bits their bytes.
std::vector<int64_t> array_dims(const Tensor& tensor) {
  if (tensor.dtype != DType::mask) return dims_of(tensor.shape);
  return {static_cast<int64_t>(tensor.bytes())};
}

SessionPort port_of(const Session& session, ProgramKind kind, const std::string& name) {
  for (int i = 0; i < session.port_count(kind); ++i)
    if (SessionPort port = session.port(kind, i); port.name == name) return port;
  throw_error("the program {} has no port '{}'", program_name(kind), name);
}

// The port's own memory, which lives as long as the array or the session, whichever is longer.
py::array view(const py::object& self, const std::string& program, const std::string& name) {
  const Session& session = self.cast<SessionObject&>().session();
  const SessionPort port = port_of(session, program_of(program), name);
  return py::array(dtype_of(port.tensor.dtype), array_dims(port.tensor), port.tensor.data, self);
}

void run(SessionObject& self, const std::string& program) {
  const ProgramKind kind = program_of(program);
  const SessionObject::Use use(self);
  const py::gil_scoped_release released;
  throw_if_error(self.session().run(kind));
}

std::string evaluate_json(SessionObject& self, std::shared_ptr<Dataset> data) {
  const SessionObject::Use use(self);
  const py::gil_scoped_release released;
  WatchedDataset watched(std::move(data));
  Evaluation evaluation;
  const cli::Scores scores(self.loaded());
  watched.throw_if_error(evaluate(self.session(), watched, &evaluation));
  return cli::dump_line(cli::evaluation_json(self.loaded(), evaluation, scores));
}

// Runs `predict` over all examples; what it gives for each, by the name of the output.
py::dict predict(SessionObject& self, std::shared_ptr<Dataset> data,
                 const std::vector<std::string>& outputs) {
  constexpr ProgramKind kKind = ProgramKind::predict;
  const SessionObject::Use use(self);
  Session& session = self.session();
  const int64_t examples = data->size(), batch = session.batch(kKind);
  if (batch < 1) throw_error("the plan has no program predict; compile it again");
  struct Output {
    Tensor tensor;
    std::byte* place;
  };
  py::dict result;
  std::vector<Output> wanted;
  for (const std::string& name : outputs) {
    const Tensor tensor = port_of(session, kKind, name).tensor;
    if (tensor.dtype == DType::mask || tensor.shape.rank < 1 || tensor.shape[0] != batch)
      throw_error("the output '{}' has no numbers for each example; run the session instead", name);
    std::vector<int64_t> dims = dims_of(tensor.shape);
    dims[0] = examples;
    py::array array(dtype_of(tensor.dtype), dims);
    wanted.push_back({tensor, static_cast<std::byte*>(array.mutable_data())});
    result[py::str(name)] = std::move(array);
  }
  const py::gil_scoped_release released;
  WatchedDataset watched(std::move(data));
  for (int64_t first = 0; first < examples; first += batch) {
    const auto count = static_cast<size_t>(std::min(batch, examples - first));
    for (int field = 0; const SessionPort port = session.port(kKind, PortRole::input, field);
         ++field) {
      std::span<std::byte> room(port.tensor.as<std::byte>(), port.tensor.bytes());
      const size_t bytes = room.size() / static_cast<size_t>(batch);
      std::memset(room.data(), 0, room.size());
      for (size_t i = 0; i < count; ++i)
        watched.throw_if_error(
            watched.read(first + static_cast<int64_t>(i), field, room.subspan(i * bytes, bytes)));
    }
    throw_if_error(session.run(kKind));
    for (const Output& output : wanted) {
      const size_t bytes = output.tensor.bytes() / static_cast<size_t>(batch);
      std::memcpy(output.place + static_cast<size_t>(first) * bytes, output.tensor.data,
                  count * bytes);
    }
  }
  return result;
}

std::string inspect_json(SessionObject& self, const std::string& name) {
  const SessionObject::Use use(self);
  return cli::dump_line(cli::plan_json(self.loaded(), name, nullptr, {}));
}

py::dict memory(SessionObject& self) {
  const MemoryReport report = self.session().memory();
  py::dict parts;
  parts["constants"] = report.constants;
  parts["state"] = report.state;
  parts["arena"] = report.arena;
  parts["workspace"] = report.workspace;
  parts["session"] = report.session;
  parts["ram"] = report.ram();
  return parts;
}

void load(SessionObject& self, const std::string& path, bool best) {
  const SessionObject::Use use(self);
  throw_if_error(load_checkpoint(path.c_str(), self.session(), nullptr,
                                 best ? CheckpointState::best : CheckpointState::last));
}

void save(SessionObject& self, const std::string& path, bool replace) {
  const SessionObject::Use use(self);
  throw_if_error(save_checkpoint(path.c_str(), self.session(), {}, {},
                                 replace ? Replace::any_checkpoint : Replace::same_plan));
}

void start_from(SessionObject& self, const std::string& path) {
  const SessionObject::Use use(self);
  WarmStart start;
  throw_if_error(start_from_checkpoint(path.c_str(), self.session(), &start));
}

void reset(SessionObject& self) {
  const SessionObject::Use use(self);
  self.session().reset_state();
}

void estimate(SessionObject& self, std::shared_ptr<Dataset> data, uint64_t seed) {
  const SessionObject::Use use(self);
  const py::gil_scoped_release released;
  WatchedDataset watched(std::move(data));
  watched.throw_if_error(estimate_statistics(self.session(), watched, seed));
}

void export_to(SessionObject& self, const std::string& model,
               const std::optional<std::string>& contents, bool follow_links,
               const std::string& path) {
  const SessionObject::Use use(self);
  const py::gil_scoped_release released;
  const InterruptScope scope(check_signals);
  cli::check_model_replaceable(path);
  export_model(*model_of(model, contents, follow_links), self.session(), path);
}

std::string verify_json(const PlanObject& plan, const std::string& model,
                        const std::optional<std::string>& contents, bool follow_links,
                        std::shared_ptr<Dataset> data, int examples, uint64_t seed) {
  const py::gil_scoped_release released;
  const InterruptScope scope(check_signals);
  VerifyOptions options;
  options.examples = examples;
  options.seed = seed;
  const ModelPtr against = model_of(model, contents, follow_links);
  std::optional<WatchedDataset> watched;
  if (data) watched.emplace(std::move(data));
  try {
    return verify_plan_against_model(plan.plan(), *against, watched ? &*watched : nullptr, options)
        .json();
  } catch (const Error&) {
    if (watched) watched->throw_if_error(Status::ok());  // what the data raised
    throw;
  }
}

std::vector<std::string> texts(
    const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* list) {
  std::vector<std::string> result;
  if (list)
    for (const auto* text : *list) result.push_back(text->str());
  return result;
}

py::bytes bytes_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void add_plan(py::module_& module) {
  py::class_<PlanObject, std::shared_ptr<PlanObject>>(module, "Plan", "A verified plan in memory.")
      .def(py::init([](const std::string& bytes, const std::string& name) {
             return std::make_shared<PlanObject>(std::as_bytes(std::span(bytes)), name);
           }),
           py::arg("contents"), py::arg("name"))
      .def_property_readonly(
          "contents", [](const PlanObject& p) { return bytes_of(p.bytes()); }, "The plan's file.")
      .def_property_readonly(
          "scheme",
          [](const PlanObject& p) { return std::string(text_of(p.plan().table().scheme())); },
          "What is trained, as JSON.")
      .def_property_readonly(
          "classes", [](const PlanObject& p) { return texts(p.plan().table().classes()); },
          "The names of the classes, where the plan has some.")
      .def_property_readonly(
          "class_count", [](const PlanObject& p) { return p.plan().table().class_count(); },
          "How many classes there are; 0 of a regression.")
      .def_property_readonly(
          "loss", [](const PlanObject& p) { return std::string(text_of(p.plan().table().loss())); },
          "What is learned by.")
      .def_property_readonly(
          "optimizer",
          [](const PlanObject& p) { return std::string(text_of(p.plan().table().optimizer())); },
          "The optimizer, with its settings.")
      .def_property_readonly(
          "model_name",
          [](const PlanObject& p) { return std::string(text_of(p.plan().table().model_name())); },
          "The name of the model's file.")
      .def_property_readonly(
          "signature",
          [](const PlanObject& p) { return fmt::format("{:016x}", p.plan().table().signature()); },
          "What checkpoints are bound to.")
      .def("verify", &verify_json, py::arg("model"), py::arg("contents") = py::none(),
           py::arg("follow_links") = false, py::arg("data") = py::none(), py::arg("examples") = 4,
           py::arg("seed") = 1,
           "Holds the plan against its model, tensor by tensor; a report as JSON.");
}

}  // namespace

std::vector<PortFacts> ports_of(const Session& session, ProgramKind kind) {
  std::vector<PortFacts> ports;
  for (int i = 0; i < session.port_count(kind); ++i) {
    const SessionPort port = session.port(kind, i);
    ports.push_back({std::string(port.name), role_name(port.role), dtype_of(port.tensor.dtype),
                     array_dims(port.tensor), port.limit});
  }
  return ports;
}

SessionObject::SessionObject(std::shared_ptr<PlanObject> plan, const std::string& backend,
                             int threads)
    : plan_(std::move(plan)) {
  throw_if_error(Plan::from_memory(plan_->bytes(), plan_->plan().name(), &loaded_.plan));
  cli::open_session(loaded_, choice_of(backend, threads), ~0u);
}

SessionObject::Use::Use(SessionObject& session) : session_(session) {
  if (session.used_.exchange(true))
    throw_error(
        "the session is in use, by another thread or by the call that asks for this; use it from "
        "one place at a time, or make another session of the plan");
}

void add_session(py::module_& module) {
  add_plan(module);
  py::class_<PortFacts>(module, "Port", "What one port of a program takes or makes.")
      .def_readonly("name", &PortFacts::name, "Its name.")
      .def_readonly("role", &PortFacts::role, "input, label, target, output, loss and so on.")
      .def_readonly("dtype", &PortFacts::dtype, "The type of its elements.")
      .def_property_readonly(
          "shape", [](const PortFacts& p) { return py::tuple(py::cast(p.shape)); },
          "Its shape, with the batch.")
      .def_readonly("limit", &PortFacts::limit, "More than 0: integers are 0 .. limit - 1.")
      .def("__repr__", [](const PortFacts& p) {
        return fmt::format("Port({}, {}, {}[{}])", p.name, p.role,
                           p.dtype.attr("name").cast<std::string>(), fmt::join(p.shape, ","));
      });
  SessionClass session(module, "Session", "A plan with its memory, ready to run.");
  session
      .def(py::init<std::shared_ptr<PlanObject>, const std::string&, int>(), py::arg("plan"),
           py::arg("backend") = "", py::arg("threads") = 1,
           py::call_guard<py::gil_scoped_release>())
      .def(
          "has",
          [](SessionObject& s, const std::string& p) { return s.session().has(program_of(p)); },
          py::arg("program"), "Whether the plan has this program.")
      .def(
          "batch",
          [](SessionObject& s, const std::string& p) { return s.session().batch(program_of(p)); },
          py::arg("program"), "Examples in a run of a program.")
      .def(
          "ports",
          [](SessionObject& s, const std::string& p) {
            return ports_of(s.session(), program_of(p));
          },
          py::arg("program"), "The ports of a program, what is fed first.")
      .def("view", &view, py::arg("program"), py::arg("port"),
           "The memory of a port, as an array that keeps the session alive.")
      .def("run", &run, py::arg("program"), "Runs a program on what its ports hold.")
      .def("reset", &reset,
           "Puts parameters and the optimizer's state back to what the plan holds.")
      .def(
          "state", [](SessionObject& s) { return bytes_of(s.session().state()); },
          "Parameters and the optimizer's state, as the plan lays them out.")
      .def("memory", &memory, "Bytes by part.")
      .def("load", &load, py::arg("path"), py::arg("best") = true, "Loads a checkpoint.")
      .def("save", &save, py::arg("path"), py::arg("replace") = false, "Saves a checkpoint.")
      .def("start_from", &start_from, py::arg("path"), "Takes what a checkpoint has learned.")
      .def("evaluate", &evaluate_json, py::arg("data"),
           "Measures on labelled data; a report as JSON.")
      .def("predict", &predict, py::arg("data"), py::arg("outputs"),
           "What the model gives for every example, by the name of the output.")
      .def("estimate_statistics", &estimate, py::arg("data"), py::arg("seed") = 0,
           "Averages the statistics of batch norms over data.")
      .def("inspect", &inspect_json, py::arg("name"), "All there is to know, as JSON.")
      .def("export", &export_to, py::arg("model"), py::arg("contents"), py::arg("follow_links"),
           py::arg("path"), "Writes the adapted model.");
  add_parameters(module, session);
}

}  // namespace attune::python
