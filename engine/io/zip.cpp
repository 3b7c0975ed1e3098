#include "engine/io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>

#include "engine/io/bytes.h"
#include "engine/io/file.h"

namespace attune {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56;
constexpr size_t kEnd64LocatorBytes = 20;

Status damaged(std::string_view path, const char* what) {
  return file_error(path, "the zip archive is damaged or cut short (%s); write or copy it again",
                    what);
}

struct Directory {
  uint64_t offset = 0, bytes = 0, entries = 0;
};

Status find_directory(std::string_view path, std::span<const std::byte> file, Directory* found) {
  // The end record is last, before a comment of less than 64 KiB whose length it tells.
  if (file.size() < kEndBytes) return damaged(path, "no end record");
  const size_t earliest = file.size() - std::min(file.size(), kEndBytes + 0xffff);
  size_t at = file.size() - kEndBytes;
  while (little_endian_u32(file, at) != kEnd ||
         little_endian_u16(file, at + 20) != file.size() - at - kEndBytes) {
    if (at == earliest) return damaged(path, "no end record");
    --at;
  }
  found->entries = little_endian_u16(file, at + 10);
  found->bytes = little_endian_u32(file, at + 12);
  found->offset = little_endian_u32(file, at + 16);
  if (at >= kEnd64LocatorBytes &&
      little_endian_u32(file, at - kEnd64LocatorBytes) == kEnd64Locator) {
    const uint64_t end64 = little_endian_u64(file, at - kEnd64LocatorBytes + 8);
    if (file.size() < kEnd64Bytes || end64 > file.size() - kEnd64Bytes ||
        little_endian_u32(file, end64) != kEnd64)
      return damaged(path, "wrong zip64 end record");
    found->entries = little_endian_u64(file, end64 + 32);
    found->bytes = little_endian_u64(file, end64 + 40);
    found->offset = little_endian_u64(file, end64 + 48);
  }
  if (found->offset > file.size() || found->bytes > file.size() - found->offset)
    return damaged(path, "the directory lies outside");
  if (found->entries > found->bytes / kCentralBytes)
    return damaged(path, "more entries than the directory holds");
  return Status::ok();
}

// Replaces the sizes and offset that are 0xffffffff by those in the zip64 field, which holds only
// these, in this order.
bool read_zip64_field(std::span<const std::byte> extra, uint64_t* bytes, uint64_t* packed_bytes,
                      uint64_t* local_offset) {
  while (extra.size() >= 4) {
    const uint16_t id = little_endian_u16(extra, 0);
    const uint16_t length = little_endian_u16(extra, 2);
    if (length > extra.size() - 4) return false;
    if (id == 1) {
      std::span<const std::byte> field = extra.subspan(4, length);
      for (uint64_t* value : {bytes, packed_bytes, local_offset}) {
        if (*value != 0xffffffff) continue;
        if (field.size() < 8) return false;
        *value = little_endian_u64(field, 0);
        field = field.subspan(8);
      }
      return true;
    }
    extra = extra.subspan(4 + size_t{length});
  }
  return true;
}

// Reads the entry at the front of `directory` and drops it from there.
Status read_entry(std::string_view path, std::span<const std::byte> file,
                  std::span<const std::byte>* directory, ZipEntry* entry) {
  const std::span<const std::byte> bytes = *directory;
  if (bytes.size() < kCentralBytes || little_endian_u32(bytes, 0) != kCentralHeader)
    return damaged(path, "wrong directory entry");
  const uint16_t flags = little_endian_u16(bytes, 8);
  const uint16_t method = little_endian_u16(bytes, 10);
  entry->crc = little_endian_u32(bytes, 16);
  entry->packed_bytes = little_endian_u32(bytes, 20);
  entry->bytes = little_endian_u32(bytes, 24);
  const size_t name_bytes = little_endian_u16(bytes, 28);
  const size_t extra_bytes = little_endian_u16(bytes, 30);
  const size_t comment_bytes = little_endian_u16(bytes, 32);
  uint64_t local = little_endian_u32(bytes, 42);
  if (name_bytes + extra_bytes + comment_bytes > bytes.size() - kCentralBytes)
    return damaged(path, "a directory entry is cut");
  entry->name.assign(reinterpret_cast<const char*>(bytes.data()) + kCentralBytes, name_bytes);
  if (!read_zip64_field(bytes.subspan(kCentralBytes + name_bytes, extra_bytes), &entry->bytes,
                        &entry->packed_bytes, &local))
    return damaged(path, "wrong zip64 field");
  *directory = bytes.subspan(kCentralBytes + name_bytes + extra_bytes + comment_bytes);

  if (flags & 1)
    return file_error(path, "member `%s` is encrypted; write the archive without a password",
                      shortened(entry->name).c_str());
  if (method != 0 && method != 8)
    return file_error(path, "member `%s` is packed by method %d; use stored or deflate",
                      shortened(entry->name).c_str(), method);
  entry->deflated = method == 8;

  if (file.size() < kLocalBytes || local > file.size() - kLocalBytes ||
      little_endian_u32(file, local) != kLocalHeader)
    return damaged(path, "wrong member header");
  entry->data_offset = local + kLocalBytes + little_endian_u16(file, local + 26) +
                       little_endian_u16(file, local + 28);
  if (entry->data_offset > file.size() || entry->packed_bytes > file.size() - entry->data_offset)
    return damaged(path, "a member lies outside");
  const bool possible = entry->deflated ? entry->bytes / kMaxInflation <= entry->packed_bytes
                                        : entry->bytes == entry->packed_bytes;
  if (!possible) return damaged(path, "impossible member size");
  return Status::ok();
}

bool inflate_all(std::span<const std::byte> in, std::span<std::byte> out) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &inflateEnd);
  size_t read = 0, written = 0;
  std::byte spare{};  // zlib wants a place even for nothing
  int result = Z_OK;
  while (result == Z_OK) {
    const size_t in_now = std::min<size_t>(in.size() - read, UINT_MAX);
    const size_t out_now = std::min<size_t>(out.size() - written, UINT_MAX);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data())) + read;
    stream.avail_in = static_cast<uInt>(in_now);
    stream.next_out = reinterpret_cast<Bytef*>(out_now > 0 ? out.data() + written : &spare);
    stream.avail_out = static_cast<uInt>(out_now);
    result = inflate(&stream, Z_NO_FLUSH);  // without progress: Z_BUF_ERROR
    read += in_now - stream.avail_in;
    written += out_now - stream.avail_out;
  }
  return result == Z_STREAM_END && read == in.size() && written == out.size();
}

}  // namespace

Status list_zip(std::string_view path, std::span<const std::byte> file,
                std::vector<ZipEntry>* entries) {
  Directory found;
  ATTUNE_RETURN_IF_ERROR(find_directory(path, file, &found));
  std::span<const std::byte> directory = file.subspan(found.offset, found.bytes);
  entries->clear();
  uint64_t packed_bytes = 0;
  for (uint64_t i = 0; i < found.entries; ++i) {
    ZipEntry entry;
    ATTUNE_RETURN_IF_ERROR(read_entry(path, file, &directory, &entry));
    packed_bytes += entry.packed_bytes;
    if (packed_bytes > file.size()) return damaged(path, "members overlap");
    entries->push_back(std::move(entry));
  }
  return Status::ok();
}

Status extract_zip(std::string_view path, std::span<const std::byte> file, const ZipEntry& entry,
                   std::vector<std::byte>* bytes) {
  const std::span<const std::byte> packed = file.subspan(entry.data_offset, entry.packed_bytes);
  if (entry.deflated)
    bytes->resize(entry.bytes);
  else
    bytes->assign(packed.begin(), packed.end());
  const bool complete = !entry.deflated || inflate_all(packed, *bytes);
  if (!complete ||
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes->data()), bytes->size()) != entry.crc)
    return file_error(path, "member `%s` is damaged; write or copy the archive again",
                      shortened(entry.name).c_str());
  return Status::ok();
}

}  // namespace attune
