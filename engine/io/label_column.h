#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/open_dataset.h"
#include "engine/io/labels.h"

namespace attune {

// A field of a table with the line that it stands in.
struct LineText {
  int64_t line;
  std::string text;
};

// Adds the class of each row: all are read as names of classes, or all as numbers, whichever every
// row allows; where both are possible and differ, request.label_texts has to decide. `path` is that
// of the table.
Status add_label_column(const std::string& path, const std::vector<LineText>& rows,
                        const DatasetRequest& request, Labels* labels);

}  // namespace attune
