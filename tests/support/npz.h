#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/io/npz.h"
#include "tests/support/files.h"

namespace attune::test {

struct ZipMember {
  std::string name;
  Bytes bytes;
  bool deflated = false;
  bool zip64 = false;
};

// A zip archive as other programs write it: deflated, or with zip64 sizes behind another field. It
// may be the end of a file of another kind.
Bytes zip_of(const std::vector<ZipMember>& members, Bytes file = {});

// A .npy file with a header of one's own.
Bytes npy(int version, std::string_view header, const Bytes& data);
std::string header_of(std::string_view descr, std::string_view shape, bool fortran = false);

Bytes npy_of(const NpyArray& array);
Bytes npz_of(const NpzArrays& arrays);

}  // namespace attune::test
