#pragma once

#include <cstdint>

#include "graph/import/model.h"

namespace attune {

// What a model's file may make its reader do: it may come from anywhere, and names other files.
struct ModelReading {
  bool follow_links = false;               // of data beside the model
  uint64_t max_bytes = uint64_t{2} << 30;  // of the file; and of all data beside it together
};

// As load_model and parse_model of model.h, which read so.
ModelPtr load_model(const std::string& path, const ModelReading& reading);
ModelPtr parse_model(std::string_view bytes, const std::string& path, const ModelReading& reading);

}  // namespace attune
