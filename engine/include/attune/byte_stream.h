#pragma once

#include <cstddef>
#include <cstdint>

// Where a checkpoint may lie beside a file: flash, a network, a vault of the application's own.
namespace attune {

// Bytes that can be read at any place, and again: a checkpoint is checked as a whole before
// anything of it is used.
class ByteSource {
 public:
  virtual uint64_t size() const = 0;
  // Reads exactly `bytes` at `offset`, which lie within `size`. False: they cannot be read.
  virtual bool read_at(uint64_t offset, void* out, size_t bytes) = 0;
  // Why the last read failed, for a message.
  virtual const char* why() const { return "its reader failed"; }

 protected:
  ~ByteSource() = default;
};

// Takes bytes, one after the other.
class ByteSink {
 public:
  // Called first: how many bytes will come.
  virtual bool begin(uint64_t /*total*/) { return true; }
  // Takes all of them, or returns false; nothing more comes then.
  virtual bool write(const void* data, size_t bytes) = 0;

 protected:
  ~ByteSink() = default;
};

}  // namespace attune
