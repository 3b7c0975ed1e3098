#include "engine/io/npy.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <cstring>
#include <utility>

#include "engine/io/bytes.h"
#include "engine/io/file.h"

namespace attune {
namespace {

static_assert(std::endian::native == std::endian::little, "readers copy little-endian numbers");

struct TypeRow {
  const char *descr, *name;
  uint8_t bytes;
};
constexpr TypeRow kTypes[] = {
    // in the order of NpyType
    {"b1", "bool", 1},   {"i1", "int8", 1},    {"i2", "int16", 2},   {"i4", "int32", 4},
    {"i8", "int64", 8},  {"u1", "uint8", 1},   {"u2", "uint16", 2},  {"u4", "uint32", 4},
    {"u8", "uint64", 8}, {"f2", "float16", 2}, {"f4", "float32", 4}, {"f8", "float64", 8},
};
const TypeRow& row_of(NpyType type) { return kTypes[static_cast<size_t>(type)]; }

// Reads the header, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4),
// }
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  bool parse() {
    if (!take('{')) return false;
    bool descr = false, order = false, dims = false;
    while (!take('}')) {
      std::string_view key;
      if (!quoted(&key) || !take(':')) return false;
      if (key == "descr") {
        if (std::exchange(descr, true) || !quoted(&descr_)) return false;
      } else if (key == "fortran_order") {
        if (std::exchange(order, true)) return false;
        if (word("True"))
          fortran_ = true;
        else if (!word("False"))
          return false;
      } else if (key == "shape") {
        if (std::exchange(dims, true) || !tuple()) return false;
      } else {
        return false;
      }
      if (!take(',') && peek() != '}') return false;
    }
    return descr && order && dims;
  }

  std::string_view descr() const { return descr_; }
  bool fortran() const { return fortran_; }
  const std::vector<int64_t>& shape() const { return shape_; }

 private:
  char peek() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t'))
      text_.remove_prefix(1);
    return text_.empty() ? '\0' : text_[0];
  }
  bool take(char c) {
    if (peek() != c || text_.empty()) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool word(std::string_view expected) {
    peek();
    if (!text_.starts_with(expected)) return false;
    text_.remove_prefix(expected.size());
    return true;
  }
  bool quoted(std::string_view* content) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    const size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) return false;
    *content = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return true;
  }
  bool tuple() {
    if (!take('(')) return false;
    while (!take(')')) {
      peek();
      int64_t dim = 0;
      const auto [end, failure] = std::from_chars(text_.data(), text_.data() + text_.size(), dim);
      if (failure != std::errc() || dim < 0 || shape_.size() == kMaxNpyRank) return false;
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      take('L');  // Python 2 wrote long numbers so
      shape_.push_back(dim);
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
  std::string_view descr_;
  bool fortran_ = false;
  std::vector<int64_t> shape_;
};

Status parse_type(std::string_view where, std::string_view descr, NpyType* type) {
  for (const TypeRow& row : kTypes) {
    if (descr.size() != 3 || descr.substr(1) != row.descr) continue;
    if (descr[0] == '>' && row.bytes > 1)
      return file_error(where, "big-endian elements; save it with .astype('<%s')", row.descr);
    *type = static_cast<NpyType>(&row - kTypes);
    return Status::ok();
  }
  const bool text = descr.find('U') != descr.npos || descr.find('S') != descr.npos;
  if (text)
    return file_error(where,
                      "elements of type '%s', which is text; save the number of each class, in the "
                      "plan's order: [names.index(name) for name in y]",
                      shortened(descr).c_str());
  return file_error(where, "elements of type '%s'; save it as float32, float64 or an integer type",
                    shortened(descr).c_str());
}

// Bytes of the array, or false where they are more than 2^62.
bool array_bytes(std::span<const int64_t> shape, size_t element_bytes, uint64_t* bytes) {
  unsigned __int128 product = element_bytes;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim == 0) empty = true;
    product *= static_cast<uint64_t>(std::max<int64_t>(dim, 1));
    if (product > uint64_t{1} << 62) return false;
  }
  *bytes = empty ? 0 : static_cast<uint64_t>(product);
  return true;
}

// Fortran order varies the first index fastest. Walks the output in C order.
std::vector<std::byte> to_c_order(std::span<const std::byte> in, std::span<const int64_t> shape,
                                  size_t element_bytes) {
  const size_t rank = shape.size();
  std::vector<size_t> strides(rank);  // of the input, bytes
  size_t stride = element_bytes;
  for (size_t axis = 0; axis < rank; ++axis) {
    strides[axis] = stride;
    stride *= static_cast<size_t>(shape[axis]);
  }
  std::vector<std::byte> out(in.size());
  std::vector<int64_t> index(rank, 0);
  size_t from = 0;
  for (size_t to = 0; to < out.size(); to += element_bytes) {
    std::memcpy(out.data() + to, in.data() + from, element_bytes);
    for (size_t axis = rank; axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * static_cast<size_t>(shape[axis]);
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace

size_t npy_type_bytes(NpyType type) { return row_of(type).bytes; }
const char* npy_type_name(NpyType type) { return row_of(type).name; }

int64_t NpyArray::elements() const {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  return n;
}

std::string dims_text(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i > 0 ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

std::string dims_text(const Shape& shape) {
  const std::vector<int64_t> dims(shape.dims, shape.dims + shape.rank);
  return dims_text(dims);
}

std::string batch_text(const Shape& example) {
  return "[n" + std::string(example.rank > 0 ? "," : "") + dims_text(example).substr(1);
}

bool same_dims(std::span<const int64_t> dims, const Shape& shape) {
  return std::equal(dims.begin(), dims.end(), shape.dims, shape.dims + shape.rank,
                    [](int64_t a, int32_t b) { return a == b; });
}

Status parse_npy(std::string_view where, std::span<const std::byte> file, NpyArray* array) {
  if (file.size() < 10 || !has_text(file, 0, "\x93NUMPY"))
    return file_error(where, "not a .npy array; write it with numpy.save or numpy.savez");
  const uint8_t version = u8_at(file, 6);
  if (version < 1 || version > 3)
    return file_error(where, ".npy format %d; write it with numpy.save", version);
  const size_t start = version == 1 ? 10 : 12;
  if (file.size() < start) return file_error(where, "the array is cut short; write it again");
  const size_t header_bytes =
      version == 1 ? size_t{little_endian_u16(file, 8)} : size_t{little_endian_u32(file, 8)};
  if (header_bytes > file.size() - start)
    return file_error(where, "the array is cut short; write it again");

  const auto* text = reinterpret_cast<const char*>(file.data()) + start;
  HeaderParser header({text, header_bytes});
  if (!header.parse())
    return file_error(where,
                      "the array's header cannot be read (`%s`); save a plain array of numbers",
                      shortened({text, header_bytes}).c_str());
  ATTUNE_RETURN_IF_ERROR(parse_type(where, header.descr(), &array->type));
  array->shape = header.shape();
  const std::span<const std::byte> data = file.subspan(start + header_bytes);
  const size_t element_bytes = npy_type_bytes(array->type);
  uint64_t bytes = 0;
  if (!array_bytes(array->shape, element_bytes, &bytes) || bytes != data.size())
    return file_error(where, "%s elements of %zu bytes, but %zu bytes of data; write it again",
                      dims_text(array->shape).c_str(), element_bytes, data.size());
  if (header.fortran() && array->shape.size() > 1)
    array->bytes = to_c_order(data, array->shape, element_bytes);
  else
    array->bytes.assign(data.begin(), data.end());
  return Status::ok();
}

}  // namespace attune
