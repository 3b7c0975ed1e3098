#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/session.h"
#include "cli/data_options.h"

namespace attune::cli {

// What `adapt` finds out about data before there is a plan for it.
enum class DataKind { arrays, images, sounds };

// By the extension of the first file, or of those that a table's first rows name. What holds
// neither images nor sounds are arrays.
DataKind kind_of_data(const std::string& path);

struct DataClasses {
  int32_t count = 0;
  std::vector<std::string> names;  // empty: numbers
  std::unique_ptr<Dataset> data;   // labels are the classes' numbers here
};

// The classes that the data has: names of folders or of a table's labels, or 0 .. the largest
// label. `session` tells what an example is. Throws Error.
DataClasses classes_of_data(const Session& session, const std::string& path,
                            const DataOptions& options);

}  // namespace attune::cli
