#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/io/file.h"
#include "engine/io/npz.h"
#include "engine/io/reader.h"
#include "engine/io/shape_fit.h"

namespace attune {
namespace {

// Arrays, one for each field, that lie in one file.
class ArrayReader : public Reader {
 public:
  ArrayReader(const DatasetRequest& request, std::vector<ArrayField> arrays, Labels labels,
              int64_t examples)
      : Reader(request, examples, std::move(labels), false),
        arrays_(std::move(arrays)),
        stride_(std::max<int64_t>(1, request.windows.stride)) {}

  // Every element must be one that the model's type can hold, and every id one of its table's, so
  // that training does not stop later.
  Status check_all() {
    for (int field = 0; field < std::ssize(arrays_); ++field) {
      std::vector<std::byte> scratch(inputs()[static_cast<size_t>(field)].bytes());
      for (int64_t i = 0; i < size(); ++i) {
        ATTUNE_RETURN_IF_ERROR(load(i, field, scratch));
        ATTUNE_RETURN_IF_ERROR(check_ids(i, field, scratch));
      }
    }
    return Status::ok();
  }

 private:
  Status load(int64_t index, int field, std::span<std::byte> bytes) override {
    const ExampleSpec& input = inputs()[static_cast<size_t>(field)];
    const NpyArray& array = arrays_[static_cast<size_t>(field)].elements;
    const int64_t row = array.elements() / array.shape[0];
    return convert_elements(place(index, field), array, index * stride_ * row,
                            input.shape.elements(), input.dtype, bytes);
  }

  Status check_ids(int64_t index, int field, std::span<const std::byte> bytes) const {
    const int32_t limit = inputs()[static_cast<size_t>(field)].limit;
    for (size_t at = 0; limit > 0 && at < bytes.size(); at += sizeof(int32_t)) {
      int32_t id = 0;
      std::memcpy(&id, bytes.data() + at, sizeof(id));
      if (id < 0 || id >= limit)
        return file_error(place(index, field),
                          "element %zu is the id %d, and the model's table has the rows 0 .. %d; "
                          "correct the data",
                          at / sizeof(int32_t), id, limit - 1);
    }
    return Status::ok();
  }

  std::string place(int64_t index, int field) const {
    return arrays_[static_cast<size_t>(field)].where + "[" + std::to_string(index * stride_) + "]";
  }
  std::string description(int64_t index) const override { return place(index, 0); }

  std::vector<ArrayField> arrays_;
  int64_t stride_;  // rows from an example to the next
};

bool holds(const NpyArray& array, const Shape& example) {
  return !array.shape.empty() && holds_example(std::span(array.shape).subspan(1), example);
}

Status check_array(const std::string& where, std::string_view name, const DatasetRequest& request,
                   ExampleSpec example, const NpyArray& array) {
  example.shape = row_shape(request, example);
  if (!holds(array, example.shape))
    return file_error(where, "shape %s, the model's input `%.*s` takes %s; %s",
                      dims_text(array.shape).c_str(), static_cast<int>(example.name.size()),
                      example.name.data(), batch_text(example.shape).c_str(),
                      shape_advice(name, array.shape, example.shape).c_str());
  if (array.shape[0] == 0) return file_error(where, "holds no example; write at least one");
  return Status::ok();
}

// Pictures as bytes, which few models learned on as they are. Empty: nothing to say.
std::string note_on_bytes(const ExampleSpec& input, const ArrayField& field) {
  const NpyArray& array = field.elements;
  if (!is_real(input.dtype) || (array.type != NpyType::u8 && input.shape.rank < 2)) return "";
  double most = 0;
  const int64_t elements = array.elements();
  std::vector<double> values(4096);
  for (int64_t first = 0; first < elements; first += std::ssize(values)) {
    const int64_t count = std::min(std::ssize(values), elements - first);
    const auto part = std::span(values).first(static_cast<size_t>(count));
    if (!convert_elements(field.where, array, first, count, DType::f64,
                          std::as_writable_bytes(part)))
      return "";
    for (double value : part) {
      if (value != std::floor(value) || value < 0 || value > 255) return "";
      most = std::max(most, value);
    }
  }
  if (most < 128) return "";
  return field.where + ": whole numbers up to " + std::to_string(static_cast<int>(most)) +
         " go into the model as they are; if it learned on x / 255, write that";
}

// The names that an input's array may have, and those of the labels', the first that is there
// counting. Where one of several inputs is itself called `y`, the labels are not.
std::vector<std::string> input_arrays(const DatasetRequest& request, const ExampleSpec& input) {
  if (request.inputs.size() > 1) return {std::string(input.name)};
  if (input.name == "y") return {"x"};
  return {std::string(input.name), "x"};
}
std::vector<std::string> label_arrays(const DatasetRequest& request) {
  if (request.labels_unread) return {};
  std::vector<std::string> names = {"y", "labels", "targets"};
  if (request.advantages) names.insert(names.begin(), "actions");
  for (const ExampleSpec& input : request.inputs)
    if (request.inputs.size() > 1) std::erase(names, input.name);
  return names;
}

std::vector<std::string> weight_arrays(const DatasetRequest& request) {
  std::vector<std::string> names = {"sample_weight", "sample_weights", "weights"};
  for (const ExampleSpec& input : request.inputs) std::erase(names, input.name);
  return names;
}

std::vector<std::string> advantage_arrays(const DatasetRequest& request) {
  if (!request.advantages) return {};
  return {"advantages", "advantage"};
}

// Where an array is missing: what is there, and what to do with names that others use.
Status missing(const std::string& path, const ReadLimits& limits, const std::string& names,
               const char* name) {
  std::vector<std::string> there;
  ATTUNE_RETURN_IF_ERROR(list_npz(path, limits, &there));
  const auto has = [&](const char* wanted) { return std::ranges::count(there, wanted) > 0; };
  std::string advice = "save one";
  if (has("x_train") && has("y_train"))
    advice = "save each part alone: np.savez('train.npz', x=x_train, y=y_train)";
  else if (has("arr_0"))
    advice = "name the arrays: np.savez('data.npz', x=x, y=y)";
  else if (has("X"))
    advice = std::string("write ") + name + " in lower case";
  return file_error(path, "no array %s (arrays there: %s); %s", names.c_str(),
                    name_list(there).c_str(), advice.c_str());
}

NpzArrays::iterator find_array(NpzArrays& arrays, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (const auto found = arrays.find(name); found != arrays.end()) return found;
  return arrays.end();
}

// A number for each row.
Status read_numbers(const std::string& where, const NpyArray& array, int64_t rows, const char* word,
                    std::vector<double>* numbers) {
  if (!holds(array, Shape{}) || array.shape[0] != rows)
    return file_error(where, "shape %s, and there are %lld examples; give one %s for each",
                      dims_text(array.shape).c_str(), static_cast<long long>(rows), word);
  numbers->resize(static_cast<size_t>(rows));
  return convert_elements(where, array, 0, rows, DType::f64,
                          std::as_writable_bytes(std::span(*numbers)));
}

// Reads what each example weighs, of `rows` of which it is about one, if that is there, and how
// well each action did.
Status read_weights(const std::string& path, NpzArrays& arrays, const DatasetRequest& request,
                    int64_t rows, Reader* reader) {
  std::vector<double> numbers;
  if (const auto found = find_array(arrays, weight_arrays(request)); found != arrays.end()) {
    const std::string where = path + "/" + found->first;
    ATTUNE_RETURN_IF_ERROR(read_numbers(where, found->second, rows, "weight", &numbers));
    ATTUNE_RETURN_IF_ERROR(keep_weights_of_examples(path, request, rows, &numbers));
    ATTUNE_RETURN_IF_ERROR(reader->set_weights(where, std::move(numbers)));
  }
  if (!request.advantages) return Status::ok();
  const auto found = find_array(arrays, advantage_arrays(request));
  if (found == arrays.end())
    return missing(path, request.limits,
                   "`advantages`: how much better than expected each action did", "advantages");
  const std::string where = path + "/" + found->first;
  numbers.clear();
  ATTUNE_RETURN_IF_ERROR(read_numbers(where, found->second, rows, "advantage", &numbers));
  ATTUNE_RETURN_IF_ERROR(keep_weights_of_examples(path, request, rows, &numbers));
  return reader->set_advantages(where, std::move(numbers));
}

}  // namespace

Status open_arrays(const DatasetRequest& request, std::vector<ArrayField> arrays, Labels labels,
                   std::unique_ptr<Reader>* reader) {
  std::vector<std::string> notes;
  for (size_t i = 0; i < arrays.size(); ++i)
    if (std::string note = note_on_bytes(request.inputs[i], arrays[i]); !note.empty())
      notes.push_back(std::move(note));
  std::vector<int64_t> rows;
  ATTUNE_RETURN_IF_ERROR(
      rows_of_examples(arrays.front().where, request, arrays.front().elements.shape[0], &rows));
  if (!labels.empty()) labels.keep(rows);
  auto made = std::make_unique<ArrayReader>(request, std::move(arrays), std::move(labels),
                                            std::ssize(rows));
  ATTUNE_RETURN_IF_ERROR(made->check_all());
  for (std::string& note : notes) made->add_note(std::move(note));
  *reader = std::move(made);
  return Status::ok();
}

Status open_npz(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  const std::vector<std::string> label_names = label_arrays(request);
  std::vector<std::string> wanted = label_names;
  for (std::string& name : weight_arrays(request)) wanted.push_back(std::move(name));
  for (std::string& name : advantage_arrays(request)) wanted.push_back(std::move(name));
  for (const ExampleSpec& input : request.inputs)
    for (std::string& name : input_arrays(request, input)) wanted.push_back(std::move(name));
  NpzArrays arrays;
  ATTUNE_RETURN_IF_ERROR(read_npz(path, request.limits, &arrays, &wanted));

  std::vector<ArrayField> fields;
  std::string first;
  for (const ExampleSpec& input : request.inputs) {
    const std::vector<std::string> names = input_arrays(request, input);
    const auto found = find_array(arrays, names);
    if (found == arrays.end())
      return missing(
          path, request.limits,
          "`" + shortened(names[0]) + (names.size() > 1 && names[0] != "x" ? "` or `x`" : "`"),
          "x");
    const std::string where = path + "/" + found->first;
    if (!holds(found->second, row_shape(request, input))) {
      const auto y = find_array(arrays, label_names);
      if (y != arrays.end() && holds(y->second, input.shape))
        return file_error(path,
                          "%s has the shape of the model's input, and %s has not; they are "
                          "swapped, save each under the other's name",
                          y->first.c_str(), found->first.c_str());
    }
    ATTUNE_RETURN_IF_ERROR(check_array(where, found->first, request, input, found->second));
    if (fields.empty()) first = found->first;
    const int64_t rows = found->second.shape[0];
    if (!fields.empty() && rows != fields[0].elements.shape[0])
      return file_error(where, "%lld rows, and %s has %lld; give as many of each",
                        static_cast<long long>(rows), first.c_str(),
                        static_cast<long long>(fields[0].elements.shape[0]));
    fields.push_back({where, std::move(found->second)});
    arrays.erase(found);
  }

  Labels labels(request);
  if (const auto y = find_array(arrays, label_names); y != arrays.end()) {
    // First, as labels take more than the smallest elements of an array do.
    // What is a row of as many labels is explained there.
    const std::vector<int64_t>& shape = y->second.shape;
    const int64_t rows = fields[0].elements.shape[0];
    if (!shape.empty() && shape[0] != rows && y->second.elements() != rows)
      return file_error(path, "%s has %lld rows, %s has %lld; give one label for each example",
                        y->first.c_str(), static_cast<long long>(shape[0]), first.c_str(),
                        static_cast<long long>(rows));
    ATTUNE_RETURN_IF_ERROR(labels.add_array(path + "/" + y->first, y->first, y->second));
  } else if (!request.labels_optional) {
    return missing(path, request.limits, "`" + label_names[0] + "` with the labels", "y");
  }
  const int64_t rows = fields[0].elements.shape[0];
  std::unique_ptr<Reader> reader;
  ATTUNE_RETURN_IF_ERROR(open_arrays(request, std::move(fields), std::move(labels), &reader));
  ATTUNE_RETURN_IF_ERROR(read_weights(path, arrays, request, rows, reader.get()));
  *dataset = std::move(reader);
  return Status::ok();
}

Status open_npy(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  if (!request.labels_optional)
    return file_error(path, "a .npy file has no labels; give an .npz with x and y");
  NpyArray inputs;
  ATTUNE_RETURN_IF_ERROR(read_npy(path, request.limits, &inputs));
  const ExampleSpec& example = request.example();
  // One example may come without the axis of examples.
  if (request.windows.stride == 0 && same_dims(inputs.shape, example.shape))
    inputs.shape.insert(inputs.shape.begin(), 1);
  ATTUNE_RETURN_IF_ERROR(check_array(path, "x", request, example, inputs));
  std::vector<ArrayField> fields;
  fields.push_back({path, std::move(inputs)});
  std::unique_ptr<Reader> reader;
  ATTUNE_RETURN_IF_ERROR(open_arrays(request, std::move(fields), Labels(request), &reader));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
