#include "engine/io/npz.h"

#include <algorithm>

#include "engine/io/file.h"
#include "engine/io/zip.h"

namespace attune {
namespace {

constexpr std::string_view kSuffix = ".npy";

// Calls visit(name, file, entry) for each array until it returns an error.
template <class Visit>
Status for_each_array(const std::string& path, const ReadLimits& limits, const Visit& visit) {
  return guarded(path, [&]() -> Status {
    std::vector<std::byte> file;
    ATTUNE_RETURN_IF_ERROR(read_file(path, limits, &file));
    std::vector<ZipEntry> entries;
    ATTUNE_RETURN_IF_ERROR(list_zip(path, file, &entries));
    for (const ZipEntry& entry : entries) {
      if (!entry.name.ends_with(kSuffix)) continue;
      const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
      ATTUNE_RETURN_IF_ERROR(visit(name, file, entry));
    }
    return Status::ok();
  });
}

}  // namespace

Status read_npz(const std::string& path, const ReadLimits& limits, NpzArrays* arrays,
                const std::vector<std::string>* names) {
  arrays->clear();
  uint64_t total = 0;
  return for_each_array(
      path, limits,
      [&](const std::string& name, const std::vector<std::byte>& file,
          const ZipEntry& entry) -> Status {
        if (names != nullptr && std::find(names->begin(), names->end(), name) == names->end())
          return Status::ok();
        if (entry.bytes > limits.input_bytes - total)
          return too_many_bytes(path + "/" + shortened(name), entry.bytes, limits);
        total += entry.bytes;
        std::vector<std::byte> bytes;
        ATTUNE_RETURN_IF_ERROR(extract_zip(path, file, entry, &bytes));
        return parse_npy(path + "/" + shortened(name), bytes, &(*arrays)[name]);
      });
}

Status list_npz(const std::string& path, const ReadLimits& limits,
                std::vector<std::string>* names) {
  names->clear();
  return for_each_array(
      path, limits,
      [&](const std::string& name, const std::vector<std::byte>&, const ZipEntry&) -> Status {
        names->push_back(name);
        return Status::ok();
      });
}

Status read_npy(const std::string& path, const ReadLimits& limits, NpyArray* array) {
  return guarded(path, [&]() -> Status {
    std::vector<std::byte> file;
    ATTUNE_RETURN_IF_ERROR(read_file(path, limits, &file));
    return parse_npy(path, file, array);
  });
}

}  // namespace attune
