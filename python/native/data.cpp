#include <CLI/CLI.hpp>
#include <cstring>
#include <mutex>
#include <optional>

#include "native.h"

namespace attune::python {

Status WatchedDataset::read(int64_t index, int field, std::span<std::byte> bytes) {
  // Whoever calls this is compiled without exceptions.
  try {
    check_signals();
    return data_->read(index, field, bytes);
  } catch (...) {
    *raised_ = std::current_exception();
    return Status::error("the data raised an exception");
  }
}

void WatchedDataset::throw_if_error(const Status& status) {
  if (*raised_) std::rethrow_exception(std::exchange(*raised_, nullptr));
  attune::throw_if_error(status);
}

namespace {

using Array = py::array;
using Reals = py::array_t<double, py::array::c_style | py::array::forcecast>;

// Whether memory behind it may be read by other threads of C++ as rows of `rows`.
void check_rows(const Array& array, py::ssize_t rows, const char* what) {
  if (array.ndim() < 1 || array.shape(0) != rows || !(array.flags() & py::array::c_style))
    throw_error("{}: is no array in C order with a row for each of {} examples", what, rows);
}

// What all datasets of Python's objects share: a weight and an advantage for each example, or none.
class ObjectData : public Dataset {
 public:
  ObjectData(int64_t size, std::optional<Reals> weights, std::optional<Reals> advantages)
      : size_(size),
        weights_(numbers(weights, "weights")),
        advantages_(numbers(advantages, "advantages")) {}
  int64_t size() const override { return size_; }
  double weight(int64_t index) override { return number(weights_, index); }
  double advantage(int64_t index) override { return number(advantages_, index); }
  std::string_view describe(int64_t index) override {
    description_ = fmt::format("example {}", index);
    return description_;
  }

 private:
  std::vector<double> numbers(const std::optional<Reals>& given, const char* what) const {
    if (!given) return {};
    check_rows(*given, size_, what);
    return {given->data(), given->data() + given->size()};
  }
  static double number(const std::vector<double>& numbers, int64_t index) {
    return numbers.empty() ? 1 : numbers[static_cast<size_t>(index)];
  }

  int64_t size_;
  std::vector<double> weights_, advantages_;
  std::string description_;
};

Status copy_example(std::span<const std::byte> example, std::span<std::byte> bytes) {
  if (example.size() != bytes.size())
    return Status::error("the data has %zu bytes for an example, where the plan takes %zu",
                         example.size(), bytes.size());
  std::memcpy(bytes.data(), example.data(), bytes.size());
  return Status::ok();
}

// Arrays in the types that the plan takes, a row for each example.
class ArrayData : public ObjectData {
 public:
  ArrayData(std::vector<Array> inputs, std::optional<Array> target, std::optional<Reals> weights,
            std::optional<Reals> advantages)
      : ObjectData(inputs.empty() ? 0 : inputs.front().shape(0), std::move(weights),
                   std::move(advantages)),
        inputs_(std::move(inputs)),
        target_(std::move(target)) {
    for (const Array& input : inputs_) fields_.push_back(rows_of(input, "an input"));
    if (target_) target_rows_ = rows_of(*target_, "the targets");
  }

  bool labelled() const override { return target_.has_value(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    if (field != kTargetField && static_cast<size_t>(field) >= fields_.size())
      return Status::error("the data has %zu inputs, the plan takes more", fields_.size());
    const Rows& rows = field == kTargetField ? target_rows_ : fields_[static_cast<size_t>(field)];
    return copy_example({rows.data + static_cast<size_t>(index) * rows.bytes, rows.bytes}, bytes);
  }

 private:
  struct Rows {
    const std::byte* data = nullptr;
    size_t bytes = 0;
  };
  Rows rows_of(const Array& array, const char* what) const {
    check_rows(array, size(), what);
    const auto bytes = static_cast<size_t>(array.nbytes());
    return {static_cast<const std::byte*>(array.data()),
            size() > 0 ? bytes / static_cast<size_t>(size()) : 0};
  }

  std::vector<Array> inputs_;
  std::optional<Array> target_;
  std::vector<Rows> fields_;
  Rows target_rows_;
};

// Examples that an object makes when they are asked for: read(index, field) gives an array in the
// type and order that the plan takes.
class SourceData : public ObjectData {
 public:
  SourceData(py::object source, int64_t size, bool labelled, std::optional<Reals> weights)
      : ObjectData(size, std::move(weights), std::nullopt),
        read_(source.attr("read")),
        labelled_(labelled) {}

  bool labelled() const override { return labelled_; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const py::gil_scoped_acquire held;
    const auto example = py::cast<Array>(read_(index, field));
    if (!(example.flags() & py::array::c_style)) throw_error("an example is not in C order");
    return copy_example(
        {static_cast<const std::byte*>(example.data()), static_cast<size_t>(example.nbytes())},
        bytes);
  }

 private:
  py::object read_;
  bool labelled_;
};

// Files, whose readers are for one thread at a time.
class FileData : public Dataset {
 public:
  explicit FileData(std::unique_ptr<Dataset> data) : data_(std::move(data)) {}
  int64_t size() const override { return data_->size(); }
  bool labelled() const override { return data_->labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    return data_->read(index, field, bytes);
  }
  std::string_view describe(int64_t index) override { return data_->describe(index); }
  double weight(int64_t index) override { return data_->weight(index); }
  double advantage(int64_t index) override { return data_->advantage(index); }
  int note_count() const override { return data_->note_count(); }
  std::string_view note(int index) const override { return data_->note(index); }

 private:
  std::unique_ptr<Dataset> data_;
  std::mutex mutex_;
};

std::shared_ptr<FileData> open_file(SessionObject& session, const std::string& program,
                                    const std::string& path, std::vector<std::string> arguments) {
  const py::gil_scoped_release released;
  CLI::App app;
  cli::DataOptions options;
  options.add(&app);
  std::ranges::reverse(arguments);  // as CLI11 takes them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    throw_error("{}", error.what());
  }
  auto data = cli::open_data(session.session(), program_of(program), path, options);
  cli::print_notes(*data, false);
  return std::make_shared<FileData>(std::move(data));
}

}  // namespace

void add_data(py::module_& module) {
  py::class_<Dataset, std::shared_ptr<Dataset>>(module, "Dataset",
                                                "Labelled or plain examples, as a plan takes them.")
      .def("__len__", &Dataset::size)
      .def_property_readonly("labelled", &Dataset::labelled, "Whether there are labels or targets.")
      .def_property_readonly(
          "notes",
          [](const Dataset& data) {
            std::vector<std::string> notes;
            for (int i = 0; i < data.note_count(); ++i) notes.emplace_back(data.note(i));
            return notes;
          },
          "What whoever gave the data should know, a line each.");
  py::class_<ArrayData, Dataset, std::shared_ptr<ArrayData>>(
      module, "ArrayData", "Examples in arrays of the types that a plan takes, a row for each.")
      .def(py::init<std::vector<Array>, std::optional<Array>, std::optional<Reals>,
                    std::optional<Reals>>(),
           py::arg("inputs"), py::arg("target") = py::none(), py::arg("weights") = py::none(),
           py::arg("advantages") = py::none());
  py::class_<SourceData, Dataset, std::shared_ptr<SourceData>>(
      module, "SourceData", "Examples that `source.read(index, field)` makes when they are needed.")
      .def(py::init<py::object, int64_t, bool, std::optional<Reals>>(), py::arg("source"),
           py::arg("size"), py::arg("labelled"), py::arg("weights") = py::none());
  py::class_<FileData, Dataset, std::shared_ptr<FileData>>(
      module, "FileData", "Examples in files: folders, IDX, NPZ, CSV.");
  module.def("open_file", &open_file, py::arg("session"), py::arg("program"), py::arg("path"),
             py::arg("arguments"), py::keep_alive<0, 1>(),
             "Opens data as the command does; `arguments` are its options for reading.");
}

}  // namespace attune::python
