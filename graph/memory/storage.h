#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// Steps from the one that writes a value to the one that reads it last. -1: there before the first
// step; the number of steps: an output.
struct Life {
  int first = 0, last = 0;
  friend bool operator==(const Life&, const Life&) = default;
};

// Bytes of a storage that live and die together, perhaps several times.
struct StorageRange {
  int64_t offset = 0, bytes = 0;  // multiples of the storage's alignment
  std::vector<Life> lives;        // in order, apart from each other
};

// Memory that one or more values occupy in turn or together: views, outputs that lie on a dying
// input (in-place operators), in-place updates, and whatever `lies_in` one value. Scalars are
// aligned to their own size, so that several share a line.
struct Storage {
  ValueId root = kNone;              // its role decides the segment
  int64_t bytes = 0;                 // a multiple of `alignment`
  int64_t alignment = 0;             // the tensors', or less where it is smaller than that itself
  Life life;                         // from the first to the last of the ranges' lives
  bool in_arena = false;             // inputs and temporaries; all else lives elsewhere
  std::vector<StorageRange> ranges;  // of those in the arena; by offset
};

struct StorageMap {
  std::vector<int> of_value;  // index into `storages`, or -1 where a value is not used
  std::vector<int64_t> at;    // by value: bytes from the start of its storage
  std::vector<Storage> storages;

  // Bytes alive during each step, the first entry being before the first step.
  std::vector<int64_t> live_bytes(int steps) const;
  // The most of them, which no packing can go below.
  int64_t lower_bound(int steps) const;
};

// Whether a node computes nothing because its output already lies where it would copy it: a
// reshape, or a slice or concat of whole rows whose operands have their place (Value::lies_in).
bool is_view(const Graph& graph, const Node& node);

// By how many bytes a value's place moves on in each repetition (Graph::repeat): what lies in an
// input, and is made anew in each, goes through that. 0 elsewhere.
int64_t advance_of(const Graph& graph, const StorageMap& storage, ValueId id);

// Assigns values to storages for the nodes in this order, or that of the graph where it is empty.
// Throws Error (a bug) where a value would be overwritten before its last reader.
StorageMap assign_storage(const Graph& graph, std::span<const int> order = {});

}  // namespace attune
