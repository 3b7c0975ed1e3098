#pragma once

#include <map>
#include <string>
#include <vector>

#include "attune/status.h"
#include "engine/io/npy.h"
#include "attune/read_limits.h"

namespace attune {

// Arrays by name, without ".npy".
using NpzArrays = std::map<std::string, NpyArray>;

// Reads the arrays of a .npz file (stored or deflated); with `names`, only those of them that are
// there. Members that are no .npy file are passed over. An error where the arrays together are more
// than limits.input_bytes.
Status read_npz(const std::string& path, const ReadLimits& limits, NpzArrays* arrays,
                const std::vector<std::string>* names = nullptr);
Status list_npz(const std::string& path, const ReadLimits& limits, std::vector<std::string>* names);

// Reads one .npy file.
Status read_npy(const std::string& path, const ReadLimits& limits, NpyArray* array);

}  // namespace attune
