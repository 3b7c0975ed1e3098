#include <chrono>

#include "attune/attune.h"
#include "cli/attune_main.h"
#include "native.h"
#include "sparse_update/json_file.h"

namespace attune::python {

void check_signals() {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kBetween{50};
  thread_local Clock::time_point next;
  const Clock::time_point now = Clock::now();
  if (now < next) return;
  next = now + kBetween;
  const py::gil_scoped_acquire held;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

ProgramKind program_of(const std::string& name) {
  std::string names;
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (name == program_name(kind)) return kind;
    names += std::string(k > 0 ? ", " : "") + program_name(kind);
  }
  throw_error("'{}' is no program; they are {}", shown_name(name), names);
}

py::dtype dtype_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return py::dtype::of<float>();
    case DType::f64:
      return py::dtype::of<double>();
    case DType::i32:
      return py::dtype::of<int32_t>();
    case DType::u8:
    case DType::mask:
      break;
  }
  return py::dtype::of<uint8_t>();
}

namespace {

int run_command(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const py::gil_scoped_release released;
  return attune_main(static_cast<int>(arguments.size()), pointers.data());
}

}  // namespace
}  // namespace attune::python

PYBIND11_MODULE(_native, module) {
  using namespace attune::python;
  module.doc() = "Attune's C++ library; the package attune is made of it.";
  auto error = py::register_exception<attune::Error>(module, "Error", PyExc_RuntimeError);
  error.attr("__module__") = "attune";
  error.attr("__doc__") = "What is wrong, where, and what to do, in one line.";
  module.attr("VERSION") = attune_version();
  // Before version 2.12, pybind11 misreads the arrays of NumPy 2.
  module.attr("NUMPY_2") = py::bool_(PYBIND11_VERSION_HEX >= 0x020C0000);
  module.def("main", &run_command, py::arg("arguments"),
             "Runs the command `attune` with these arguments, its name first; returns its status.");
  module.def(
      "take_notes",
      [](py::function taker) {
        // Kept until the process ends: notes may come from any of its threads.
        auto* kept = new py::function(std::move(taker));
        attune::cli::take_notes([kept](const std::string& text) {
          const py::gil_scoped_acquire held;
          (*kept)(text);
        });
      },
      py::arg("taker"), "From here on `taker(text)` gets what the library has to remark.");
  add_data(module);
  add_session(module);
  add_compile(module);
  add_trainer(module);
}
