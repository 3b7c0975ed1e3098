#pragma once

#include <optional>
#include <string>

#include "graph/import/model.h"

namespace attune::test {

// Published networks are files below ../shared, their names paths without .onnx:
// "models/mbv2-w0.35". All others are made here or are files of this repository; large are those
// whose rows take a minute or more.
enum class NetworkKind { small, large, published };
NetworkKind kind_of(const std::string& network);

// The network of a name, or nothing where it is published and not there. Throws Error where there
// is no such name. Lives as long as the process.
const Model* find_network(const std::string& network);

// What CompileOptions take for a scheme as it is written in recorded.txt: the same, or a JSON file
// of this repository by its path, or one of the network's choices of channels: "slices:0" ..,
// "whole:0" .. for the same weights without the choice.
std::string scheme_of(const std::string& network, const std::string& scheme);

}  // namespace attune::test
