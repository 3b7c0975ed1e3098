#pragma once

#include <map>
#include <string>
#include <vector>

#include "attune/status.h"
#include "engine/io/npy.h"

namespace attune {

// Arrays by name, without ".npy".
using NpzArrays = std::map<std::string, NpyArray>;

// Reads the arrays of a .npz file (stored or deflated); with `names`, only those of them that are
// there. Members that are no .npy file are passed over.
Status read_npz(const std::string& path, NpzArrays* arrays,
                const std::vector<std::string>* names = nullptr);
Status list_npz(const std::string& path, std::vector<std::string>* names);

// Reads one .npy file.
Status read_npy(const std::string& path, NpyArray* array);

}  // namespace attune
