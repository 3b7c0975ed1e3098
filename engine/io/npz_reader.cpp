#include <algorithm>

#include "engine/io/file.h"
#include "engine/io/npz.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

class ArrayReader : public Reader {
 public:
  // `where` names the array, for messages: "data.npz/x".
  ArrayReader(std::string where, const DatasetRequest& request, int64_t size, NpyArray inputs,
              Labels labels)
      : Reader(request, size, std::move(labels), false),
        where_(std::move(where)),
        inputs_(std::move(inputs)) {}

  // Every element must be one that the model's type can hold, so that training does not stop later.
  Status check_all() {
    std::vector<std::byte> scratch(example().bytes());
    for (int64_t i = 0; i < size(); ++i) ATTUNE_RETURN_IF_ERROR(load(i, scratch));
    return Status::ok();
  }

 private:
  Status load(int64_t index, std::span<std::byte> input) override {
    const int64_t count = example().shape.elements();
    return convert_elements(description(index), inputs_, index * count, count, example().dtype,
                            input);
  }
  std::string description(int64_t index) const override {
    return where_ + "[" + std::to_string(index) + "]";
  }

  std::string where_;
  NpyArray inputs_;
};

Status check_shape(const std::string& where, const ExampleSpec& example, const NpyArray& inputs) {
  std::string expected = "[n";
  for (int axis = 0; axis < example.shape.rank; ++axis)
    expected += "," + std::to_string(example.shape[axis]);
  expected += "]";
  const bool fits =
      !inputs.shape.empty() && same_dims(std::span(inputs.shape).subspan(1), example.shape);
  if (!fits)
    return file_error(where, "shape %s, the model's input `%.*s` takes %s; reshape it",
                      dims_text(inputs.shape).c_str(), static_cast<int>(example.name.size()),
                      example.name.data(), expected.c_str());
  if (inputs.shape[0] == 0) return file_error(where, "holds no example; write at least one");
  return Status::ok();
}

Status make_reader(const std::string& where, const DatasetRequest& request, NpyArray inputs,
                   Labels labels, std::unique_ptr<Dataset>* dataset) {
  const int64_t size = inputs.shape[0];
  auto reader =
      std::make_unique<ArrayReader>(where, request, size, std::move(inputs), std::move(labels));
  ATTUNE_RETURN_IF_ERROR(reader->check_all());
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace

Status open_npz(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  const std::string input_name(request.example.name);
  NpzArrays arrays;
  ATTUNE_RETURN_IF_ERROR(read_npz(path, {input_name, "x", "y"}, &arrays));
  // A model's input may itself be called `y`; then the labels cannot be.
  const std::string name = input_name != "y" && arrays.contains(input_name) ? input_name : "x";
  const auto inputs = arrays.find(name);
  if (inputs == arrays.end()) {
    std::vector<std::string> there;
    ATTUNE_RETURN_IF_ERROR(list_npz(path, &there));
    return file_error(path, "no array `%s` or `x` (arrays there: %s); save one",
                      shortened(input_name).c_str(), name_list(there).c_str());
  }
  const std::string where = path + "/" + name;
  ATTUNE_RETURN_IF_ERROR(check_shape(where, request.example, inputs->second));

  Labels labels(request);
  if (const auto y = arrays.find("y"); y != arrays.end()) {
    ATTUNE_RETURN_IF_ERROR(labels.add_array(path + "/y", y->second));
    if (labels.size() != inputs->second.shape[0])
      return file_error(path, "y has %lld rows, %s has %lld; give one label for each example",
                        static_cast<long long>(labels.size()), name.c_str(),
                        static_cast<long long>(inputs->second.shape[0]));
  } else if (!request.labels_optional) {
    return file_error(path, "no array `y` with the labels; save one");
  }
  return make_reader(where, request, std::move(inputs->second), std::move(labels), dataset);
}

Status open_npy(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  if (!request.labels_optional)
    return file_error(path, "a .npy file has no labels; give an .npz with x and y");
  NpyArray inputs;
  ATTUNE_RETURN_IF_ERROR(read_npy(path, &inputs));
  // One example may come without the axis of examples.
  if (same_dims(inputs.shape, request.example.shape)) inputs.shape.insert(inputs.shape.begin(), 1);
  ATTUNE_RETURN_IF_ERROR(check_shape(path, request.example, inputs));
  return make_reader(path, request, std::move(inputs), Labels(request), dataset);
}

}  // namespace attune
