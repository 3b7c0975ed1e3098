#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/open_dataset.h"
#include "engine/io/mfcc.h"
#include "engine/io/reader.h"

namespace attune {

// Makes an example of one file: an image, a sound or, without front end, a .npy array.
class ExampleFile {
 public:
  // An error where front end and example do not fit together.
  static Status create(const DatasetRequest& request, std::unique_ptr<ExampleFile>* loader);

  // Whether files with this extension (lower case, with dot) are the front end's.
  bool takes(std::string_view extension) const;
  // "WAV files"
  const char* kind() const;
  // What whoever gave these files should know of what becomes of them.
  std::vector<std::string> notes(const std::vector<std::string>& paths) const;
  Status load(const std::string& path, std::span<std::byte> input);

 private:
  // What a front end takes, and how a file of it becomes an example.
  struct Source {
    std::vector<std::string_view> extensions;
    const char* kind;
    Status (ExampleFile::*load)(const std::string& path, std::span<std::byte> input);
  };

  explicit ExampleFile(const DatasetRequest& request);
  const Source& source() const;
  Status load_image(const std::string& path, std::span<std::byte> input);
  Status load_sound(const std::string& path, std::span<std::byte> input);
  Status load_npy(const std::string& path, std::span<std::byte> input);

  ExampleSpec example_;
  Preprocess preprocess_;
  ReadLimits limits_;
  std::unique_ptr<Mfcc> mfcc_;
  std::vector<float> features_;
};

// An error unless the example is what the image front end makes: bytes [height, width, channels].
Status check_image_example(const DatasetRequest& request);

// A dataset of files that make an example each.
class FileReader : public Reader {
 public:
  FileReader(const DatasetRequest& request, std::vector<std::string> paths, Labels labels,
             std::unique_ptr<ExampleFile> loader);

  // What has to be done before a reader is used, as the request says; `path` is that of the data.
  Status prepare(const std::string& path, const DatasetRequest& request);

 private:
  Status leave_out_unreadable(const std::string& path);
  Status load(int64_t index, int field, std::span<std::byte> input) override;
  std::string description(int64_t index) const override;

  std::vector<std::string> paths_;
  std::unique_ptr<ExampleFile> loader_;
};

}  // namespace attune
