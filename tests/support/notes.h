#pragma once

#include <string>
#include <vector>

#include "attune/dataset.h"

namespace attune::test {

inline std::vector<std::string> notes_of(const Dataset& data) {
  std::vector<std::string> notes;
  for (int i = 0; i < data.note_count(); ++i) notes.emplace_back(data.note(i));
  return notes;
}

}  // namespace attune::test
