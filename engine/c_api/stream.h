#pragma once

#include "attune/byte_stream.h"
#include "engine/c_api/call.h"

namespace attune::c_api {

// Where the caller keeps a checkpoint.
class CallersSource : public ByteSource {
 public:
  static attune_status read(const attune_source* given, CallersSource* own, attune_error* error);
  const char* name() const { return source_.name ? source_.name : "checkpoint"; }
  uint64_t size() const override { return source_.bytes; }
  bool read_at(uint64_t offset, void* out, size_t bytes) override {
    return source_.read(source_.context, offset, out, bytes) == 0;
  }

 private:
  attune_source source_ = {};
};

class CallersSink : public ByteSink {
 public:
  static attune_status read(const attune_sink* given, CallersSink* own, attune_error* error);
  const char* name() const { return sink_.name ? sink_.name : "checkpoint"; }
  bool begin(uint64_t total) override {
    return !sink_.begin || sink_.begin(sink_.context, total) == 0;
  }
  bool write(const void* data, size_t bytes) override {
    return sink_.write(sink_.context, data, bytes) == 0;
  }

 private:
  attune_sink sink_ = {};
};

}  // namespace attune::c_api
