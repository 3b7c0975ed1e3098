#pragma once

#include "engine/c_api/objects.h"

namespace attune::c_api {

// What the caller's options say, with all that they point to.
struct SessionWish {
  SessionOptions options;
  Offer offer;
  attune_parallel_for parallel = {};
  attune_clock clock = {};
};

// But for what lies in the session itself: memory, threads, the allocator.
attune_status read_session_options(const attune_session_options* given, SessionWish* wish,
                                   attune_error* error);

// Threads of the caller's, which `parallel` keeps.
ParallelFor threads_of(attune_parallel_for* parallel);

// Of an attune_session, before what the engine needs.
constexpr size_t session_object_bytes() {
  return (sizeof(attune_session) + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

}  // namespace attune::c_api
