#include "tests/support/npz.h"

namespace attune::test {

Bytes zip_of(const std::vector<ZipMember>& members, Bytes file) {
  Bytes directory;
  for (const ZipMember& member : members) {
    const Bytes packed = member.deflated ? deflate_raw(member.bytes) : member.bytes;
    const uint32_t crc = crc32_of(member.bytes);
    const size_t offset = file.size();
    Bytes extra;
    if (member.zip64) {
      put_little(&extra, 0x5455, 2);  // a time stamp stands first
      put_little(&extra, 1, 2);
      put_little(&extra, 0, 1);
      put_little(&extra, 1, 2);
      put_little(&extra, 16, 2);
      put_little(&extra, member.bytes.size(), 8);
      put_little(&extra, packed.size(), 8);
    }
    for (Bytes* to : {&file, &directory}) {
      put_little(to, to == &file ? 0x04034b50 : 0x02014b50, 4);
      if (to == &directory) put_little(to, 45, 2);
      put_little(to, 45, 2);
      put_little(to, 0, 2);
      put_little(to, member.deflated ? 8 : 0, 2);
      put_little(to, 0, 4);
      put_little(to, crc, 4);
      put_little(to, member.zip64 ? 0xffffffff : packed.size(), 4);
      put_little(to, member.zip64 ? 0xffffffff : member.bytes.size(), 4);
      put_little(to, member.name.size(), 2);
      put_little(to, extra.size(), 2);
      if (to == &directory) {
        put_little(to, 0, 10);
        put_little(to, offset, 4);
      }
      put(to, member.name);
      to->insert(to->end(), extra.begin(), extra.end());
    }
    file.insert(file.end(), packed.begin(), packed.end());
  }
  const size_t start = file.size();
  file.insert(file.end(), directory.begin(), directory.end());
  put_little(&file, 0x06054b50, 4);
  put_little(&file, 0, 4);
  put_little(&file, members.size(), 2);
  put_little(&file, members.size(), 2);
  put_little(&file, directory.size(), 4);
  put_little(&file, start, 4);
  put_little(&file, 0, 2);
  return file;
}

Bytes npy(int version, std::string_view header, const Bytes& data) {
  Bytes file = from_hex("934e554d5059");
  put_little(&file, static_cast<uint64_t>(version), 1);
  put_little(&file, 0, 1);
  put_little(&file, header.size(), version == 1 ? 2 : 4);
  put(&file, header);
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

std::string header_of(std::string_view descr, std::string_view shape, bool fortran) {
  return "{'descr': '" + std::string(descr) +
         "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + std::string(shape) + ", }\n";
}

Bytes npy_of(const NpyArray& array) {
  constexpr const char* kDescr[] = {"|b1", "|i1", "<i2", "<i4", "<i8", "|u1",
                                    "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"};  // as NpyType
  std::string shape = "(";
  for (int64_t dim : array.shape) shape += std::to_string(dim) + ", ";
  return npy(1, header_of(kDescr[static_cast<size_t>(array.type)], shape + ")"), array.bytes);
}

Bytes npz_of(const NpzArrays& arrays) {
  std::vector<ZipMember> members;
  for (const auto& [name, array] : arrays) members.push_back({name + ".npy", npy_of(array)});
  return zip_of(members);
}

}  // namespace attune::test
