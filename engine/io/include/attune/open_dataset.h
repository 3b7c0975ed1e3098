#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attune/column_spec.h"
#include "attune/dataset.h"
#include "attune/export.h"
#include "attune/preprocess.h"
#include "attune/read_limits.h"

namespace attune {

class Session;
enum class ProgramKind : uint8_t;

// How labels in a table are read where there are names of classes: as these or as numbers,
// whichever the whole column allows, or as what a user says.
enum class LabelTexts { either, names, numbers };

// What the plan says about its data, and the user. The names of `inputs` must outlive the dataset.
struct DatasetRequest {
  std::vector<ExampleSpec> inputs;  // at least one, in the model's order
  Preprocess preprocess;            // of the first
  // Class names in the model's order. Folder names and manifest labels map to classes by name.
  // Empty: labels are numbers 0 .. classes - 1.
  std::vector<std::string> class_names;
  // Number of classes, or 0 where the loss is a regression.
  int32_t classes = 0;
  Shape target;  // of an example's target, or of its labels where the model classifies positions
  DType target_dtype = DType::f32;
  // The label of positions that count for nothing, where the model classifies positions; becomes
  // kIgnoredLabel.
  int32_t ignored_label = kIgnoredLabel;
  // Accept data without labels (for prediction).
  bool labels_optional = false;
  // The labels are actions, each with an advantage (Dataset::advantage): an .npz has arrays
  // `actions` and `advantages`.
  bool advantages = false;
  // Leave labels unread, as if there were none: the model learns from its inputs alone.
  bool labels_unread = false;
  // Files that cannot be read or decoded are left out, each with a note. All are then read when the
  // data is opened, so that an example's number never changes. None left is an error.
  bool skip_unreadable = false;
  // Columns of a .csv, by name or by number from 1, where they cannot be told otherwise.
  // `label_column` may be several, separated by commas.
  std::string path_column, label_column, weight_column;
  LabelTexts label_texts = LabelTexts::either;
  // What the columns of a table are. Empty: numbers of the one input, in their order.
  std::vector<ColumnSpec> columns;
  SeriesWindows windows;
  // Where no class names are known: filled with the texts of a .csv's labels, sorted, if these are
  // no numbers; labels are then their places in it.
  std::vector<std::string>* found_names = nullptr;
  // Keep preprocessed examples in memory up to this many bytes.
  size_t cache_bytes = size_t{256} << 20;
  ReadLimits limits;

  // What data of other kinds than .npz fill.
  const ExampleSpec& example() const { return inputs.front(); }
};

// What the session's program takes, as its plan says. `ignored_label` stays as it is by default: a
// plan whose data have another one does not tell it to a device.
ATTUNE_API Status data_request(const Session& session, ProgramKind kind, DatasetRequest* request);

// Opens whatever `path` is:
// - a folder of class folders (image front end: PNG, JPEG, BMP; mfcc front end: WAV and, where
//   libsndfile is built in, FLAC, Ogg, MP3, AIFF, AU; else .npy)
// - IDX images (plain or .gz), with labels beside them by MNIST's naming (images-idx3 ->
//   labels-idx1)
// - .npz: an array for each of the model's inputs, of its name (or `x`, where there is one input);
//   `y`, `labels` or `targets`, numbers or one-hot; and, where examples have weights,
//   `sample_weight` or `weights`. Models of several inputs take nothing else
// - .csv, .tsv: a manifest, with a file and its label in each row, paths relative to the manifest;
//   or, for a model that takes numbers, a table of these. Columns go by the names in the first row,
//   if it has any
// - a single image, sound or .npy file (only where labels_optional)
// Errors name the file, what is wrong with it and what to do.
ATTUNE_API Status open_dataset(const std::string& path, const DatasetRequest& request,
                               std::unique_ptr<Dataset>* dataset);

// The class names of a folder of class folders, sorted by byte value; an error where there are
// none.
ATTUNE_API Status list_class_folders(const std::string& path, std::vector<std::string>* names);

}  // namespace attune
