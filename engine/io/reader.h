#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/open_dataset.h"
#include "engine/io/labels.h"

namespace attune {

struct Csv;

// What all readers share: argument checks, labels, the cache, and that no exception escapes.
// A reader says how one example is made. Not for use by several threads at once.
class Reader : public Dataset {
 public:
  // `labels` is empty or has `size` entries. With `keep`, for examples of one field, made ones stay
  // in memory, the first ones that fit request.cache_bytes.
  Reader(const DatasetRequest& request, int64_t size, Labels labels, bool keep);

  int64_t size() const final { return size_; }
  bool labelled() const final { return !labels_.empty(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) final;
  std::string_view describe(int64_t index) final;
  int note_count() const final { return static_cast<int>(notes_.size()); }
  std::string_view note(int index) const final { return notes_[static_cast<size_t>(index)]; }
  double weight(int64_t index) final {
    return weights_.empty() ? 1 : weights_[static_cast<size_t>(index)];
  }
  double advantage(int64_t index) final {
    return advantages_.empty() ? 1 : advantages_[static_cast<size_t>(index)];
  }
  // One for each example, finite.
  Status set_advantages(const std::string& where, std::vector<double> advantages);
  // A weight for each example, or none. An error, which names `where`, unless they are finite and
  // at least 0, and not all 0.
  Status set_weights(const std::string& where, std::vector<double> weights);
  void add_note(std::string note) { notes_.push_back(std::move(note)); }

 protected:
  const std::vector<ExampleSpec>& inputs() const { return inputs_; }
  const ExampleSpec& example() const { return inputs_.front(); }
  // Keeps these examples alone, `indices` rising.
  void keep(std::span<const int64_t> indices);
  // Makes a field of example `index`, which both lie inside; `bytes` is as long as the field.
  virtual Status load(int64_t index, int field, std::span<std::byte> bytes) = 0;
  virtual std::string description(int64_t index) const = 0;

 private:
  Status read_target(int64_t index, std::span<std::byte> bytes);
  Status read_kept(int64_t index, int field, std::span<std::byte> bytes);

  std::vector<ExampleSpec> inputs_;
  int64_t size_;
  Labels labels_;
  size_t cache_bytes_left_;
  std::vector<std::unique_ptr<std::byte[]>> cache_;  // by index; null where not cached
  std::vector<double> weights_, advantages_;         // by example; empty: 1 each
  std::string description_;
  std::vector<std::string> notes_;
};

// Keeps these elements alone, `indices` rising.
template <class T>
void keep_elements(std::vector<T>* elements, std::span<const int64_t> indices) {
  size_t end = 0;
  for (int64_t index : indices) {
    const auto from = static_cast<size_t>(index);
    if (from != end) (*elements)[end] = std::move((*elements)[from]);
    ++end;
  }
  elements->resize(end);
}

// An array [n, ...] of examples; `where` names it in messages: "data.npz/x".
struct ArrayField {
  std::string where;
  NpyArray elements;
};
// What a row of the arrays holds of an input: the example, or where these are windows of a series
// one of its moments, which are along the input's first axis.
Shape row_shape(const DatasetRequest& request, const ExampleSpec& input);
// The rows whose labels and weights are those of the examples, of `rows` that there are: all, or of
// each window the one that it is about. Where labels are optional, every window counts, and the
// rows are the windows' last. An error where the series is too short, or inputs are not alike long.
Status rows_of_examples(const std::string& path, const DatasetRequest& request, int64_t rows,
                        std::vector<int64_t>* of_examples);
// Of a weight for each row, or none, those of the examples.
Status keep_weights_of_examples(const std::string& path, const DatasetRequest& request,
                                int64_t rows, std::vector<double>* weights);
// A reader of arrays that hold the model's inputs, one for each, of as many rows, as are `labels`.
// An error where an element is none that the model takes.
Status open_arrays(const DatasetRequest& request, std::vector<ArrayField> arrays, Labels labels,
                   std::unique_ptr<Reader>* reader);

// The names in a folder, sorted by byte value, but for hidden ones and those that systems leave
// behind (Thumbs.db). `others` are broken links, pipes and the like.
struct Listing {
  std::vector<std::string> folders, files, others;
};
Status list_folder(const std::string& path, Listing* listing);

// One opener per kind of data. Errors name the file, what is wrong and what to do.
Status open_class_folder(const std::string& path, const DatasetRequest& request,
                         std::unique_ptr<Dataset>* dataset);
Status open_idx(const std::string& images_path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset);
// The one images file of a folder; an error that names them where there are several. Empty where
// there is none.
Status find_idx_images(const std::string& folder, std::string* images_path);
Status open_npz(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset);
Status open_npy(const std::string& path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset);
Status open_column_table(const std::string& path, const DatasetRequest& request, Csv csv,
                         std::unique_ptr<Dataset>* dataset);
Status open_manifest(const std::string& path, const DatasetRequest& request,
                     std::unique_ptr<Dataset>* dataset);
Status open_single_file(const std::string& path, const DatasetRequest& request,
                        std::unique_ptr<Dataset>* dataset);

}  // namespace attune
