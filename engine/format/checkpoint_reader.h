#pragma once

#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "engine/format/checkpoint_format.h"

// How a checkpoint is read, for what loads it and what starts from it.
namespace attune::checkpoint {

// Closes the file when it goes.
struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) close(fd);
  }
};

// Reads [begin, end) of a file through a block; nothing past `end` is ever asked for.
class Reader {
 public:
  Reader(int fd, uint64_t begin, uint64_t end) : fd_(fd), at_(begin), end_(end) {}

  uint64_t position() const { return at_ - (size_ - used_); }
  uint64_t remaining() const { return end_ - at_ + (size_ - used_); }

  bool read(void* out, size_t bytes) {
    char* to = static_cast<char*>(out);
    while (bytes > 0) {
      if (used_ == size_ && !fill()) return false;
      const size_t part = std::min(bytes, size_ - used_);
      memcpy(to, block_ + used_, part);
      used_ += part;
      to += part;
      bytes -= part;
    }
    return true;
  }

  bool skip(uint64_t bytes) {
    if (bytes > remaining()) return false;
    const uint64_t buffered = size_ - used_;
    if (bytes <= buffered) {
      used_ += static_cast<size_t>(bytes);
      return true;
    }
    at_ += bytes - buffered;
    used_ = size_ = 0;
    return true;
  }

  // Reads `bytes` bytes: whether they are `text`. `shown` receives their beginning.
  bool read_text(std::string_view text, uint32_t bytes, bool* same, char (&shown)[96]) {
    char start[sizeof(shown)] = {};
    const size_t part = std::min<size_t>(bytes, sizeof(start));
    if (!read(start, part)) return false;
    printable(start, part, shown, sizeof(shown));
    *same = bytes == text.size() && memcmp(start, text.data(), part) == 0;
    for (size_t i = part; i < bytes && *same; ++i) {
      char next;
      if (!read(&next, 1)) return false;
      *same = next == text[i];
      if (!*same) return skip(bytes - i - 1);
    }
    return *same || bytes <= part || skip(bytes - part);
  }

 private:
  bool fill() {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(end_ - at_, kBlockBytes));
    if (part == 0 || !read_at(fd_, at_, block_, part)) return false;
    at_ += part;
    size_ = part;
    used_ = 0;
    return true;
  }

  int fd_;
  uint64_t at_, end_;
  size_t size_ = 0, used_ = 0;
  alignas(8) char block_[kBlockBytes];
};

Status unreadable(const char* path);
Status damaged(const char* path, const char* what);

// Opens a checkpoint, reads its header, and checks that the whole file is what that and the
// checksum say.
Status open_whole(const char* path, File* file, Header* header);

// That checkpoint and plan compute in the same type.
Status check_real(const char* path, const Header& header, const format::Plan& plan);

// What the header says of the run. Fails where that has no meaning.
Status read_info(const char* path, const Header& header, CheckpointInfo* info);

// Reads a tensor's elements to where they lie in `state`.
bool read_elements(Reader& reader, const TensorInfo& tensor, std::byte* state);

}  // namespace attune::checkpoint
