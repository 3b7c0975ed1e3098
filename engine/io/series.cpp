// Windows of a series: which rows are whose.
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {

Shape row_shape(const DatasetRequest& request, const ExampleSpec& input) {
  if (request.windows.stride == 0) return input.shape;
  Shape row;
  for (int i = 1; i < input.shape.rank; ++i) row[row.rank++] = input.shape[i];
  return row;
}

Status rows_of_examples(const std::string& path, const DatasetRequest& request, int64_t rows,
                        std::vector<int64_t>* of_examples) {
  const auto& [stride, horizon] = request.windows;
  of_examples->clear();
  for (int64_t row = 0; stride == 0 && row < rows; ++row) of_examples->push_back(row);
  if (stride == 0) return Status::ok();
  for (const ExampleSpec& input : request.inputs)
    if (input.shape.rank < 1 || input.shape[0] != request.example().shape[0])
      return file_error(path,
                        "windows of a series are for inputs of the same length, and `%.*s` is %s; "
                        "leave --window-stride out",
                        static_cast<int>(input.name.size()), input.name.data(),
                        batch_text(input.shape).c_str());
  const int64_t length = request.example().shape[0];
  const int64_t ahead = request.labels_optional ? 0 : horizon;
  for (int64_t first = 0; first + length + ahead <= rows; first += stride)
    of_examples->push_back(first + length - 1 + ahead);
  if (!of_examples->empty()) return Status::ok();
  return file_error(path, "%lld rows, and a window has %lld with its label %lld behind; give more",
                    static_cast<long long>(rows), static_cast<long long>(length),
                    static_cast<long long>(ahead));
}

Status keep_weights_of_examples(const std::string& path, const DatasetRequest& request,
                                int64_t rows, std::vector<double>* weights) {
  std::vector<int64_t> of_examples;
  ATTUNE_RETURN_IF_ERROR(rows_of_examples(path, request, rows, &of_examples));
  if (!weights->empty()) keep_elements(weights, of_examples);
  return Status::ok();
}

}  // namespace attune
