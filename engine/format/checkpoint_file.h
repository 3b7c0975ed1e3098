#pragma once

#include "attune/byte_stream.h"
#include "attune/status.h"

// Checkpoints in files.
namespace attune::checkpoint {

// Opens a regular file for reading; `*fd` is -1, and the status ok, where there is none.
Status open_existing(const char* path, int* fd, uint64_t* bytes);

// Reads exactly `bytes` at `offset`; false with errno set, or 0 where the file ends before.
bool read_at(int fd, uint64_t offset, void* out, size_t bytes);

// A file to read; closed when this goes.
class FileSource : public ByteSource {
 public:
  FileSource() = default;
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  Status open(const char* path);
  uint64_t size() const override { return bytes_; }
  bool read_at(uint64_t offset, void* out, size_t bytes) override;
  const char* why() const override;

 private:
  int fd_ = -1, error_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace attune::checkpoint
