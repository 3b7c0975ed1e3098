#include <algorithm>
#include <cstring>

#include "engine/io/file.h"
#include "engine/io/npz.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

// Arrays, one for each field, that lie in one file.
class ArrayReader : public Reader {
 public:
  struct Array {
    std::string where;  // "data.npz/x", for messages
    NpyArray elements;
  };

  ArrayReader(const DatasetRequest& request, std::vector<Array> arrays, Labels labels)
      : Reader(request, arrays.front().elements.shape[0], std::move(labels), false),
        arrays_(std::move(arrays)) {}

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
    const int64_t count = input.shape.elements();
    return convert_elements(place(index, field), arrays_[static_cast<size_t>(field)].elements,
                            index * count, count, input.dtype, bytes);
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
    return arrays_[static_cast<size_t>(field)].where + "[" + std::to_string(index) + "]";
  }
  std::string description(int64_t index) const override { return place(index, 0); }

  std::vector<Array> arrays_;
};

Status check_shape(const std::string& where, const ExampleSpec& example, const NpyArray& inputs) {
  const bool fits =
      !inputs.shape.empty() && same_dims(std::span(inputs.shape).subspan(1), example.shape);
  if (!fits)
    return file_error(where, "shape %s, the model's input `%.*s` takes %s; reshape it",
                      dims_text(inputs.shape).c_str(), static_cast<int>(example.name.size()),
                      example.name.data(), batch_text(example.shape).c_str());
  if (inputs.shape[0] == 0) return file_error(where, "holds no example; write at least one");
  return Status::ok();
}

Status make_reader(const DatasetRequest& request, std::vector<ArrayReader::Array> arrays,
                   Labels labels, std::unique_ptr<Dataset>* dataset) {
  auto reader = std::make_unique<ArrayReader>(request, std::move(arrays), std::move(labels));
  ATTUNE_RETURN_IF_ERROR(reader->check_all());
  *dataset = std::move(reader);
  return Status::ok();
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
  for (const ExampleSpec& input : request.inputs)
    if (request.inputs.size() > 1) std::erase(names, input.name);
  return names;
}

NpzArrays::iterator find_array(NpzArrays& arrays, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (const auto found = arrays.find(name); found != arrays.end()) return found;
  return arrays.end();
}

}  // namespace

Status open_npz(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  const std::vector<std::string> label_names = label_arrays(request);
  std::vector<std::string> wanted = label_names;
  for (const ExampleSpec& input : request.inputs)
    for (std::string& name : input_arrays(request, input)) wanted.push_back(std::move(name));
  NpzArrays arrays;
  ATTUNE_RETURN_IF_ERROR(read_npz(path, &arrays, &wanted));

  std::vector<ArrayReader::Array> fields;
  std::string first;
  for (const ExampleSpec& input : request.inputs) {
    const std::vector<std::string> names = input_arrays(request, input);
    const auto found = find_array(arrays, names);
    if (found == arrays.end()) {
      std::vector<std::string> there;
      ATTUNE_RETURN_IF_ERROR(list_npz(path, &there));
      return file_error(path, "no array `%s`%s (arrays there: %s); save one",
                        shortened(names[0]).c_str(), names.size() > 1 ? " or `x`" : "",
                        name_list(there).c_str());
    }
    const std::string where = path + "/" + found->first;
    ATTUNE_RETURN_IF_ERROR(check_shape(where, input, found->second));
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
    ATTUNE_RETURN_IF_ERROR(labels.add_array(path + "/" + y->first, y->second));
    if (labels.size() != fields[0].elements.shape[0])
      return file_error(path, "%s has %lld rows, %s has %lld; give one label for each example",
                        y->first.c_str(), static_cast<long long>(labels.size()), first.c_str(),
                        static_cast<long long>(fields[0].elements.shape[0]));
  } else if (!request.labels_optional) {
    return file_error(path, "no array `%s` with the labels; save one", label_names[0].c_str());
  }
  return make_reader(request, std::move(fields), std::move(labels), dataset);
}

Status open_npy(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  if (!request.labels_optional)
    return file_error(path, "a .npy file has no labels; give an .npz with x and y");
  NpyArray inputs;
  ATTUNE_RETURN_IF_ERROR(read_npy(path, &inputs));
  // One example may come without the axis of examples.
  if (same_dims(inputs.shape, request.example().shape))
    inputs.shape.insert(inputs.shape.begin(), 1);
  ATTUNE_RETURN_IF_ERROR(check_shape(path, request.example(), inputs));
  std::vector<ArrayReader::Array> arrays;
  arrays.push_back({path, std::move(inputs)});
  return make_reader(request, std::move(arrays), Labels(request), dataset);
}

}  // namespace attune
