#include <algorithm>
#include <bit>
#include <cstring>

#include "graph/import/common/element_type.h"
#include "graph/import/tflite/tflite_model.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

// Changes a file's bytes in place, and adds what has grown behind them: offsets point forward. All
// that is not touched stays as it is.
class TfliteExporter {
 public:
  TfliteExporter(const TfliteFile& file, const std::map<std::string, Weight>& weights, DType real)
      : file_(file), weights_(weights), real_(real), bytes_(file.bytes()) {}

  std::string run(const std::vector<ModelTensor>& tensors) {
    for (const ModelTensor& tensor : tensors) {
      replace(tensor);
      resized_ = resized_ || tensor.fresh;
    }
    if (resized_) resize_outputs();
    return std::move(bytes_);
  }

 private:
  // A place in the bytes, of something in the file as it was read.
  char* at(const void* place) {
    return bytes_.data() + (static_cast<const char*>(place) - file_.bytes().data());
  }

  void replace(const ModelTensor& given) {
    const auto found = weights_.find(given.name);
    if (found == weights_.end())
      throw_error(
          "{}: '{}' is computed from other tensors of the file, which cannot hold it; write the "
          "adapted model as .onnx",
          file_.path(), given.name);
    const Weight& weight = found->second;
    const tflite::Tensor& tensor = file_.tensor(static_cast<uint32_t>(weight.tensor));
    const ElementType type = stored_type(tensor);
    if (!is_real(type))
      throw_error(
          "{}: '{}' is of {}, and trained weights are floats; write the adapted model as .onnx, or "
          "adapt the float model that this one was made from",
          file_.path(), given.name, tflite::EnumNameTensorType(tensor.type()));
    const std::string elements = stored(given, weight, type, file_.contents(tensor));
    const auto [written, first] = written_.try_emplace(tensor.buffer(), elements);
    if (!first && written->second != elements)
      throw_error(
          "{}: '{}' shares its bytes with another tensor that was trained to something else; write "
          "the adapted model as .onnx",
          file_.path(), given.name);
    const tflite::Buffer& buffer = *file_.model().buffers()->Get(tensor.buffer());
    if (!given.fresh) {
      std::memcpy(at(buffer.data()->data()), elements.data(), elements.size());
      return;
    }
    refuse_shared(weight.tensor, tensor.buffer());
    append(buffer, elements);
    const Dims dims = of_tensor(given.dims, weight.perm);
    set_shape(weight.tensor, dims);
  }

  // The elements in the order of the file. What the plan's type does not tell from the old ones
  // keeps its own precision.
  std::string stored(const ModelTensor& given, const Weight& weight, ElementType type,
                     std::string_view old) const {
    const DataPtr reals = Data::of_reals(given.reals)->permuted(given.dims, inverse(weight.perm));
    std::string bytes;
    with_element(type, [&](auto element) {
      if constexpr (!std::is_integral_v<decltype(element)>) {
        for (const double x : reals->reals()) {
          const size_t place = bytes.size();
          const char* from = nullptr;
          if (!given.fresh && place + sizeof(element) <= old.size()) {
            std::memcpy(&element, old.data() + place, sizeof(element));
            const auto before = static_cast<double>(element);
            const double seen = real_ == DType::f32 ? static_cast<float>(before) : before;
            if (std::bit_cast<uint64_t>(seen) == std::bit_cast<uint64_t>(x))
              from = old.data() + place;
          }
          element = static_cast<decltype(element)>(x);
          bytes.append(from != nullptr ? from : reinterpret_cast<const char*>(&element),
                       sizeof(element));
        }
      }
    });
    return bytes;
  }

  // Axis perm[i] of the tensor is axis i of the initializer.
  static Dims of_tensor(const Dims& dims, const Perm& perm) {
    Dims tensor(dims.size());
    for (size_t i = 0; i < dims.size(); ++i) tensor[static_cast<size_t>(perm[i])] = dims[i];
    return tensor;
  }

  void refuse_shared(int32_t index, uint32_t buffer) const {
    for (uint32_t i = 0; i < file_.graph().tensors()->size(); ++i)
      if (static_cast<int32_t>(i) != index && file_.tensor(i).buffer() == buffer)
        throw_error(
            "{}: the new head's '{}' shares its bytes with '{}'; write the adapted model as .onnx",
            file_.path(), name_of(file_.tensor(static_cast<uint32_t>(index))),
            name_of(file_.tensor(i)));
  }

  void append(const tflite::Buffer& buffer, const std::string& elements) {
    constexpr size_t kAlignment = 16;
    const auto* field =
        reinterpret_cast<const flatbuffers::Table*>(&buffer)->GetAddressOf(tflite::Buffer::VT_DATA);
    const auto place =
        static_cast<size_t>(reinterpret_cast<const char*>(field) - file_.bytes().data());
    size_t start = bytes_.size();
    while ((start + sizeof(uint32_t)) % kAlignment != 0) ++start;
    bytes_.resize(start);
    write(place, static_cast<uint32_t>(start - place));
    const auto size = static_cast<uint32_t>(elements.size());
    bytes_.append(sizeof(uint32_t), '\0');
    write(start, size);
    bytes_ += elements;
  }

  template <class T>
  void write(size_t place, T number) {
    const T little = flatbuffers::EndianScalar(number);
    std::memcpy(bytes_.data() + place, &little, sizeof(T));
  }

  void set_shape(int32_t index, const Dims& dims) {
    const tflite::Tensor& tensor = file_.tensor(static_cast<uint32_t>(index));
    for (const auto* vector : {tensor.shape(), tensor.shape_signature()}) {
      if (vector == nullptr || vector->size() == 0) continue;
      if (vector->size() != dims.size())
        throw_error("{}: '{}' of shape {} cannot become {}; write the adapted model as .onnx",
                    file_.path(), name_of(tensor), dims_text(dims_of(tensor)), dims_text(dims));
      for (uint32_t i = 0; i < vector->size(); ++i)
        if (vector->Get(i) >= 0)
          write(static_cast<size_t>(at(vector->Data() + i * sizeof(int32_t)) - bytes_.data()),
                static_cast<int32_t>(dims[i]));
    }
  }

  // What the new file's shapes are found to be is what it declares.
  void resize_outputs() {
    const auto translation = translate(TfliteFile::parse(bytes_, file_.path()));
    for (size_t i = 0; i < translation.dims.size(); ++i) {
      const Dims old = dims_of(file_.tensor(static_cast<uint32_t>(i)));
      const Dims& now = translation.dims[i];
      if (old.size() == now.size() && old != now && !weights_of(static_cast<int32_t>(i)))
        set_shape(static_cast<int32_t>(i), now);
    }
  }

  bool weights_of(int32_t index) const {
    return std::any_of(weights_.begin(), weights_.end(),
                       [&](const auto& weight) { return weight.second.tensor == index; });
  }

  const TfliteFile& file_;
  const std::map<std::string, Weight>& weights_;
  DType real_;
  std::string bytes_;
  std::map<uint32_t, std::string> written_;  // by buffer
  bool resized_ = false;
};

}  // namespace

std::string TfliteModel::in_own_format(const std::vector<ModelTensor>& tensors,
                                       const ImportOptions& imported) const {
  return TfliteExporter(*file_, weights_, imported.real).run(tensors);
}

}  // namespace attune
