#pragma once

#include <algorithm>
#include <cstring>

#include "attune/byte_stream.h"
#include "engine/format/checkpoint_format.h"

// How a checkpoint is read, for what loads it and what starts from it.
namespace attune::checkpoint {

// Reads [begin, end) of a source through a block; nothing past `end` is ever asked for.
class Reader {
 public:
  Reader(ByteSource& source, uint64_t begin, uint64_t end)
      : source_(&source), at_(begin), end_(end) {}

  uint64_t position() const { return at_ - (size_ - used_); }
  uint64_t remaining() const { return end_ - at_ + (size_ - used_); }

  bool read(void* out, size_t bytes) {
    char* to = static_cast<char*>(out);
    while (bytes > 0) {
      if (used_ == size_ && !fill()) return false;
      const size_t part = std::min(bytes, size_ - used_);
      std::memcpy(to, block_ + used_, part);
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
    *same = bytes == text.size() && std::memcmp(start, text.data(), part) == 0;
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
    if (part == 0 || !source_->read_at(at_, block_, part)) return false;
    at_ += part;
    size_ = part;
    used_ = 0;
    return true;
  }

  ByteSource* source_;
  uint64_t at_, end_;
  size_t size_ = 0, used_ = 0;
  alignas(8) char block_[kBlockBytes];
};

// `name` stands for the source in messages: a path, for one.
Status unreadable(const char* name, const ByteSource& source);
Status damaged(const char* name, const char* what);

// Reads a checkpoint's header, and checks that the whole of it is what that and the checksum say.
Status read_whole(const char* name, ByteSource& source, Header* header);

// That checkpoint and plan compute in the same type.
Status check_real(const char* name, const Header& header, const format::Plan& plan);

// What the header says of the run. Fails where that has no meaning.
Status read_info(const char* name, const Header& header, CheckpointInfo* info);

// Reads a tensor's elements to where they lie in `state`.
bool read_elements(Reader& reader, const TensorInfo& tensor, std::byte* state);

// Passes over a tensor's elements, and tells whether they are finite: no run saves others.
bool check_elements(Reader& reader, const TensorHeader& tensor, bool* finite);

}  // namespace attune::checkpoint
