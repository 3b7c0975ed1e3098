#include "attune/parameters.h"

#include "native.h"

namespace attune::python {
namespace {

// What the plan trains of one tensor of the model, and what the optimizer keeps for it.
struct ParameterFacts {
  ParameterInfo info;  // points into the plan
  std::vector<std::string> slots;
  std::shared_ptr<const void> plan;
};

std::vector<ParameterFacts> parameters_of(SessionObject& self) {
  const Plan& plan = self.session().plan();
  std::vector<ParameterFacts> facts;
  for (int i = 0; i < parameter_count(plan); ++i) {
    ParameterFacts& one = facts.emplace_back(ParameterFacts{parameter(plan, i), {}, self.plan()});
    for (int slot = 0; slot < one.info.slots; ++slot)
      one.slots.emplace_back(optimizer_slot(plan, i, slot));
  }
  return facts;
}

ParameterInfo info_of(const Session& session, const std::string& name) {
  int index = 0;
  throw_if_error(find_parameter(session.plan(), name, &index));
  return parameter(session.plan(), index);
}

// An array in the model's layout, which `read` fills.
template <class Read>
py::array tensor_of(SessionObject& self, const std::string& name, const Read& read) {
  const SessionObject::Use use(self);
  const ParameterInfo info = info_of(self.session(), name);
  py::array array(dtype_of(info.dtype), std::vector<int64_t>(info.shape.begin(), info.shape.end()));
  throw_if_error(read({static_cast<std::byte*>(array.mutable_data()), info.bytes()}));
  return array;
}

py::array get(SessionObject& self, const std::string& name, const std::string& slot) {
  return tensor_of(self, name, [&](std::span<std::byte> elements) {
    return get_parameter(self.session(), name, elements, slot);
  });
}

py::array gradient(SessionObject& self, const std::string& name) {
  return tensor_of(self, name, [&](std::span<std::byte> elements) {
    return get_gradient(self.session(), name, elements);
  });
}

void set(SessionObject& self, const std::string& name, const std::string& slot,
         const py::array& elements) {
  const SessionObject::Use use(self);
  if (!(elements.flags() & py::array::c_style)) throw_error("{}: is not in C order", name);
  throw_if_error(set_parameter(
      self.session(), name,
      {static_cast<const std::byte*>(elements.data()), static_cast<size_t>(elements.nbytes())},
      slot));
}

}  // namespace

void add_parameters(py::module_& module, SessionClass& session) {
  py::class_<ParameterFacts>(module, "ParameterFacts", "What is trained of a tensor of the model.")
      .def_property_readonly(
          "name", [](const ParameterFacts& f) { return f.info.name; }, "The model's name of it.")
      .def_property_readonly(
          "shape",
          [](const ParameterFacts& f) {
            py::tuple shape(f.info.shape.size());
            for (size_t i = 0; i < f.info.shape.size(); ++i) shape[i] = f.info.shape[i];
            return shape;
          },
          "Its shape in the model.")
      .def_property_readonly(
          "trained", [](const ParameterFacts& f) { return f.info.trained; },
          "Elements that training changes.")
      .def_property_readonly(
          "slice_axis", [](const ParameterFacts& f) { return f.info.slice_axis; },
          "The axis of which only some channels are trained; -1: none.")
      .def_property_readonly(
          "slice",
          [](const ParameterFacts& f) {
            return std::vector<int32_t>(f.info.slice.begin(), f.info.slice.end());
          },
          "These channels.")
      .def_property_readonly(
          "statistic", [](const ParameterFacts& f) { return f.info.statistic; },
          "Whether it is averaged, not trained.")
      .def_property_readonly(
          "has_gradient", [](const ParameterFacts& f) { return f.info.has_gradient; },
          "Whether the plan keeps its gradient.")
      .def_readonly("slots", &ParameterFacts::slots, "What the optimizer keeps for it.");
  session.def("parameters", &parameters_of, "What is trained, in the plan's order.")
      .def("get_parameter", &get, py::arg("name"), py::arg("slot"),
           "A parameter, or what the optimizer keeps for it, in the model's layout.")
      .def("set_parameter", &set, py::arg("name"), py::arg("slot"), py::arg("elements"),
           "Replaces such a tensor.")
      .def("get_gradient", &gradient, py::arg("name"),
           "The gradient of the last training step, in the model's layout.");
}

}  // namespace attune::python
