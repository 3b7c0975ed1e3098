#pragma once

#include <string_view>

namespace attune {

// What a file is that is no model, and what to do: "a Keras or HDF5 file; convert it with tf2onnx".
// Empty where its beginning does not tell.
std::string_view other_format(std::string_view bytes);

}  // namespace attune
