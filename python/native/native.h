#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "cli/common.h"
#include "graph/import/model.h"
#include "sparse_update/pipeline/plan_in_memory.h"

// What the module attune._native shares. Everything that takes long lets other threads of Python
// run meanwhile, and ends where Python has a signal to handle (Ctrl-C).
namespace attune::python {

namespace py = pybind11;

void add_compile(py::module_& module);
void add_data(py::module_& module);
void add_session(py::module_& module);
void add_trainer(py::module_& module);

// Throws what Python's signal handlers raise, some times a second at most. Does nothing but in the
// thread that handles signals.
void check_signals();

// A dataset while something reads it: what its source in Python raises, and signals, end the work
// with an error of the engine, and are raised again behind it.
class WatchedDataset : public Dataset {
 public:
  // `raised` is where an exception is kept.
  explicit WatchedDataset(std::shared_ptr<Dataset> data,
                          std::shared_ptr<std::exception_ptr> raised = nullptr)
      : data_(std::move(data)),
        raised_(raised ? std::move(raised) : std::make_shared<std::exception_ptr>()) {}
  int64_t size() const override { return data_->size(); }
  bool labelled() const override { return data_->labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t index) override { return data_->describe(index); }
  double weight(int64_t index) override { return data_->weight(index); }
  double advantage(int64_t index) override { return data_->advantage(index); }
  int note_count() const override { return data_->note_count(); }
  std::string_view note(int index) const override { return data_->note(index); }

  // Throws what was raised, or else the error of `status`.
  void throw_if_error(const Status& status);

 private:
  std::shared_ptr<Dataset> data_;
  std::shared_ptr<std::exception_ptr> raised_;
};

// A plan that Python holds; its sessions hold it, too.
struct PlanObject : PlanInMemory {
  using PlanInMemory::PlanInMemory;
};

// A session that Python holds. One caller at a time may use it.
class SessionObject {
 public:
  SessionObject(std::shared_ptr<PlanObject> plan, const std::string& backend, int threads);

  Session& session() { return *loaded_.session; }
  cli::LoadedPlan& loaded() { return loaded_; }
  // What facts about the plan point into.
  std::shared_ptr<const void> plan() const { return plan_; }

  // Held by whoever runs the session or changes what it holds.
  class Use {
   public:
    explicit Use(SessionObject& session);
    ~Use() { session_.used_ = false; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    SessionObject& session_;
  };

 private:
  std::shared_ptr<PlanObject> plan_;
  cli::LoadedPlan loaded_;
  std::atomic<bool> used_ = false;
};

// A model in memory, which `path` names, or at that path; data beside it may be links.
ModelPtr model_of(const std::string& path, const std::optional<std::string>& contents,
                  bool follow_links);
using SessionClass = py::class_<SessionObject, std::shared_ptr<SessionObject>>;
void add_parameters(py::module_& module, SessionClass& session);

// "train_step" and the like. Throws Error for other names.
ProgramKind program_of(const std::string& name);
// The type of NumPy's arrays of a tensor's elements: bits are bytes of eight.
py::dtype dtype_of(DType dtype);

// What one port of a program takes or makes.
struct PortFacts {
  std::string name, role;
  py::dtype dtype;
  std::vector<int64_t> shape;
  int32_t limit = 0;
};
std::vector<PortFacts> ports_of(const Session& session, ProgramKind kind);

}  // namespace attune::python
