#include "engine/io/npz.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "engine/io/zip.h"
#include "tests/support/files.h"
#include "tests/support/notes.h"
#include "tests/support/npz.h"

namespace attune::test {
namespace {

template <class T>
NpyArray array_of(NpyType type, std::vector<int64_t> shape, const std::vector<T>& values) {
  NpyArray array{type, std::move(shape), Bytes(values.size() * sizeof(T))};
  if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

NpyArray floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return array_of(NpyType::f32, std::move(shape), values);
}

NpyArray longs(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  return array_of(NpyType::i64, std::move(shape), values);
}

std::string parse_error(const Bytes& file) {
  NpyArray array;
  return parse_npy("a.npy", file, &array).message();
}

NpzArrays sample_arrays() {
  return {{"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}, {"y", longs({2}, {1, 0})}};
}

TEST_CASE("arrays of every kind are read back") {
  TempFolder folder;
  NpzArrays arrays;
  arrays["a/b"] = floats({2, 3}, {1, 2, 3, 4, 5, -6.5f});
  arrays["f64"] = array_of<double>(NpyType::f64, {1}, {0.1});
  arrays["i32"] = array_of<int32_t>(NpyType::i32, {2, 1}, {-7, 1 << 30});
  arrays["i64"] = longs({}, {int64_t{1} << 60});
  arrays["u8"] = array_of<uint8_t>(NpyType::u8, {0, 5}, {});
  const std::string path = folder.write("all.npz", npz_of(arrays));
  NpzArrays back;
  REQUIRE(read_npz(path, {}, &back));
  REQUIRE(back.size() == arrays.size());
  for (const auto& [name, array] : arrays) {
    CAPTURE(name);
    REQUIRE(back.contains(name));
    CHECK(back[name].type == array.type);
    CHECK(back[name].shape == array.shape);
    CHECK(back[name].bytes == array.bytes);
  }
  const std::vector<std::string> some = {"i32", "none"};
  REQUIRE(read_npz(path, {}, &back, &some));
  CHECK(back.size() == 1);
  std::vector<std::string> names;
  REQUIRE(list_npz(path, {}, &names));
  CHECK(names == std::vector<std::string>{"a/b", "f64", "i32", "i64", "u8"});
}

TEST_CASE("every header version and element type is read") {
  struct Row {
    const char* descr;
    NpyType type;
    const char* hex;  // of the number 2
  };
  const Row rows[] = {{"|b1", NpyType::boolean, "01"},
                      {"|i1", NpyType::i8, "02"},
                      {"<i2", NpyType::i16, "0200"},
                      {"<i4", NpyType::i32, "02000000"},
                      {"<i8", NpyType::i64, "0200000000000000"},
                      {"|u1", NpyType::u8, "02"},
                      {"<u2", NpyType::u16, "0200"},
                      {"<u4", NpyType::u32, "02000000"},
                      {"<u8", NpyType::u64, "0200000000000000"},
                      {"<f2", NpyType::f16, "0040"},
                      {"<f4", NpyType::f32, "00000040"},
                      {"<f8", NpyType::f64, "0000000000000040"}};
  for (const Row& row : rows) {
    for (int version = 1; version <= 3; ++version) {
      CAPTURE(row.descr);
      NpyArray array;
      const Status status =
          parse_npy("a", npy(version, header_of(row.descr, "(1,)"), from_hex(row.hex)), &array);
      REQUIRE_MESSAGE(status.is_ok(), status.message());
      CHECK(array.type == row.type);
      double value = 0;
      REQUIRE(convert_elements("a", array, 0, 1, DType::f64,
                               std::as_writable_bytes(std::span(&value, 1))));
      CHECK(value == (row.type == NpyType::boolean ? 1 : 2));
    }
  }
}

TEST_CASE("half precision converts exactly") {
  const std::pair<uint16_t, double> rows[] = {{0x0000, 0},
                                              {0x3c00, 1},
                                              {0xc500, -5},
                                              {0x0001, 0x1p-24},
                                              {0x03ff, 1023 * 0x1p-24},
                                              {0x7bff, 65504},
                                              {0x3555, 0.333251953125}};
  for (const auto& [bits, expected] : rows) {
    const NpyArray array = array_of<uint16_t>(NpyType::f16, {1}, {bits});
    double value = -1;
    REQUIRE(convert_elements("a", array, 0, 1, DType::f64,
                             std::as_writable_bytes(std::span(&value, 1))));
    CHECK(value == expected);
  }
  for (const uint16_t bits : {uint16_t{0x7c00}, uint16_t{0xfe00}}) {
    const NpyArray array = array_of<uint16_t>(NpyType::f16, {1}, {bits});
    float value = 0;
    CHECK(!convert_elements("a", array, 0, 1, DType::f32,
                            std::as_writable_bytes(std::span(&value, 1))));
  }
}

TEST_CASE("Fortran order becomes C order") {
  Bytes data;  // of [[[0,1],[2,3],[4,5]], [[6,7],[8,9],[10,11]]]
  for (const int value : {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11})
    put_little(&data, static_cast<uint64_t>(value), 2);
  NpyArray array;
  REQUIRE(parse_npy("a", npy(1, header_of("<i2", "(2, 3, 2)", true), data), &array));
  int32_t values[12];
  REQUIRE(
      convert_elements("a", array, 0, 12, DType::i32, std::as_writable_bytes(std::span(values))));
  for (int i = 0; i < 12; ++i) CHECK(values[i] == i);
  REQUIRE(parse_npy("a", npy(1, header_of("<i2", "(0, 3)", true), {}), &array));
  CHECK(array.bytes.empty());
}

TEST_CASE("hostile array headers are errors") {
  CHECK(contains(parse_error({}), "not a .npy array"));
  CHECK(contains(parse_error(npy(4, "", {})), "format 4"));
  CHECK(contains(parse_error(npy(1, header_of(">f4", "(1,)"), Bytes(4))), "big-endian"));
  CHECK(contains(parse_error(npy(1, header_of("<c8", "(1,)"), Bytes(8))), "type '<c8'"));
  CHECK(contains(parse_error(npy(1, header_of("|O", "(1,)"), Bytes(8))), "type '|O'"));
  CHECK(contains(parse_error(npy(1, header_of("<U3", "(1,)"), Bytes(12))), "'<U3', which is text"));
  CHECK(contains(parse_error(npy(1, header_of("<f4", "(2,)"), Bytes(4))), "[2] elements"));
  CHECK(contains(parse_error(npy(1, header_of("<f4", "(1,)"), Bytes(5))), "5 bytes of data"));
  const char* shapes[] = {"(-1,)",
                          "(99999999999999999999,)",
                          "(4611686018427387904, 4)",
                          "(4294967296, 4294967296)",
                          "(1, 2",
                          "1",
                          "(1 2)",
                          "(,)",
                          "(a)"};
  for (const char* shape : shapes) {
    CAPTURE(shape);
    CHECK(parse_error(npy(1, header_of("<f4", shape), Bytes(4))) != "");
  }
  const char* headers[] = {"", "{", "{}", "{'descr': '<f4'}", "{'descr': <f4, }", "{'x': 1}",
                           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
                           "{'descr': '<f4', 'fortran_order': Perhaps, 'shape': (1,)}",
                           // Not one shape of both.
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'shape': (1,)}"};
  for (const char* header : headers) {
    CAPTURE(header);
    CHECK(contains(parse_error(npy(1, header, Bytes(4))), "header cannot be read"));
  }
}

TEST_CASE("an array cut at any length is an error") {
  const Bytes files[] = {npy(1, header_of("<f4", "(2, 1)"), Bytes(8)),
                         npy(2, header_of("<f4", "(2, 1)"), Bytes(8))};
  for (const Bytes& file : files) {
    CHECK(parse_error(file) == "");
    for (size_t length = 0; length < file.size(); ++length)
      CHECK(parse_error(first(file, length)) != "");
  }
}

TEST_CASE("deflated members and zip64 sizes are read") {
  TempFolder folder;
  const Bytes x = npy_of(floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  const Bytes empty = npy_of(floats({0}, {}));
  for (const bool deflated : {false, true}) {
    for (const bool zip64 : {false, true}) {
      const Bytes file = zip_of({{"readme.txt", {}, deflated, false},
                                 {"x.npy", x, deflated, zip64},
                                 {"empty.npy", empty, deflated, zip64}});
      NpzArrays arrays;
      const Status status = read_npz(folder.write("a.npz", file), {}, &arrays);
      REQUIRE_MESSAGE(status.is_ok(), status.message());
      CHECK(arrays.size() == 2);
      CHECK(arrays["x"].shape == std::vector<int64_t>{2, 3});
      CHECK(arrays["empty"].bytes.empty());
    }
  }
}

TEST_CASE("an archive cut at any length is an error") {
  TempFolder folder;
  const Bytes x = npy_of(floats({1, 1}, {1}));
  for (const bool deflated : {false, true}) {
    const Bytes file = zip_of({{"x.npy", x, deflated, false}, {"y.npy", x, false, true}});
    NpzArrays arrays;
    for (size_t length = 0; length < file.size(); ++length) {
      CAPTURE(length);
      CHECK(!read_npz(folder.write("cut.npz", first(file, length)), {}, &arrays));
    }
    CHECK(read_npz(folder.write("whole.npz", file), {}, &arrays));
  }
}

TEST_CASE("no single damaged byte of an archive crashes the reader") {
  const Bytes x = npy_of(floats({1, 1}, {1}));
  const Bytes file = zip_of({{"x.npy", x, true, true}, {"y.npy", x, false, false}});
  for (size_t at = 0; at < file.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes damaged = file;
      damaged[at] = static_cast<std::byte>(value);
      std::vector<ZipEntry> entries;
      if (!list_zip("a.npz", damaged, &entries)) continue;
      for (const ZipEntry& entry : entries) {
        Bytes bytes;
        if (extract_zip("a.npz", damaged, entry, &bytes)) CHECK((bytes == x || bytes.empty()));
      }
    }
  }
}

TEST_CASE("no single damaged byte of an array's header crashes the reader") {
  const Bytes file = npy(1, header_of("<f4", "(2, 1)", true), Bytes(8));
  for (size_t at = 0; at < file.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes damaged = file;
      damaged[at] = static_cast<std::byte>(value);
      NpyArray array;
      if (parse_npy("a.npy", damaged, &array)) CHECK(array.bytes.size() == 8);
    }
  }
}

TEST_CASE("encrypted and unknown members are told") {
  TempFolder folder;
  Bytes file = zip_of({{"x.npy", npy_of(floats({1}, {1})), false, false}});
  const size_t directory = file.size() - 22 - 46 - 5;
  Bytes encrypted = file, odd = file;
  encrypted[directory + 8] = std::byte{1};
  odd[directory + 10] = std::byte{12};
  NpzArrays arrays;
  CHECK(contains(read_npz(folder.write("e.npz", encrypted), {}, &arrays).message(), "encrypted"));
  CHECK(contains(read_npz(folder.write("o.npz", odd), {}, &arrays).message(), "method 12"));
}

class NpzFolder {
 public:
  std::string write(const NpzArrays& arrays) { return folder_.write("data.npz", npz_of(arrays)); }

 private:
  TempFolder folder_;
};

TEST_CASE("an NPZ gives its examples and classes") {
  NpzFolder npz;
  const std::unique_ptr<Dataset> data = open(npz.write(sample_arrays()), plain_request({3}, 2));
  CHECK(data->size() == 2);
  CHECK(data->labelled());
  CHECK(input_of<float>(*data, 0, 3) == std::vector<float>{1, 2, 3});
  CHECK(input_of<float>(*data, 1, 3) == std::vector<float>{4, 5, 6});
  CHECK(class_of(*data, 0, 12) == 1);
  CHECK(class_of(*data, 1, 12) == 0);
  CHECK(data->describe(1).ends_with("data.npz/x[1]"));
}

TEST_CASE("the model's input name goes before x") {
  NpzFolder npz;
  NpzArrays arrays = sample_arrays();
  arrays["input"] = floats({2, 1}, {7, 8});
  const std::unique_ptr<Dataset> data = open(npz.write(arrays), plain_request({1}, 2));
  CHECK(input_of<float>(*data, 1, 1) == std::vector<float>{8});
}

TEST_CASE("NPZ elements become the model's type") {
  NpzFolder npz;
  NpzArrays arrays;
  arrays["x"] = array_of<uint8_t>(NpyType::u8, {1, 2}, {3, 255});
  arrays["y"] = array_of<uint8_t>(NpyType::u8, {1, 1}, {1});
  const std::string path = npz.write(arrays);
  DatasetRequest request = plain_request({2}, 2);
  CHECK(input_of<float>(*open(path, request), 0, 2) == std::vector<float>{3, 255});
  request.inputs[0].dtype = DType::f64;
  CHECK(input_of<double>(*open(path, request), 0, 2) == std::vector<double>{3, 255});
  request.inputs[0].dtype = DType::i32;
  CHECK(input_of<int32_t>(*open(path, request), 0, 2) == std::vector<int32_t>{3, 255});
  request.inputs[0].dtype = DType::u8;
  CHECK(input_of<uint8_t>(*open(path, request), 0, 2) == std::vector<uint8_t>{3, 255});
}

TEST_CASE("regression targets keep their shape and type") {
  NpzFolder npz;
  NpzArrays arrays;
  arrays["x"] = floats({2, 1}, {1, 2});
  arrays["y"] = longs({2, 2}, {10, 20, 30, 40});
  DatasetRequest request = plain_request({1}, 0);
  request.target = Shape{2};
  request.target_dtype = DType::f64;
  const std::unique_ptr<Dataset> data = open(npz.write(arrays), request);
  double target[2];
  REQUIRE(data->read(1, kTargetField, std::as_writable_bytes(std::span(target))));
  CHECK(target[0] == 30);
  CHECK(target[1] == 40);

  // A single number may come as [n] or [n,1].
  request.target = Shape{1};
  request.target_dtype = DType::f32;
  arrays["y"] = floats({2}, {0.5f, 1.5f});
  CHECK(open(npz.write(arrays), request)->labelled());
  request.target = Shape{};
  arrays["y"] = floats({2, 1}, {0.5f, 1.5f});
  CHECK(open(npz.write(arrays), request)->labelled());
  arrays["y"] = floats({2, 2}, {1, 2, 3, 4});
  CHECK(contains(open_error(npz.write(arrays), request),
                 "shape [2,2], the model's targets take [n]"));
}

TEST_CASE("an NPZ gives a field for each input, each of its own type") {
  NpzFolder npz;
  NpzArrays arrays;
  arrays["b"] = floats({2, 2}, {1, 2, 3, 4});
  arrays["ids"] = longs({2}, {5, 0});
  arrays["y"] = longs({2, 3}, {0, 1, 1, 1, 0, 0});
  DatasetRequest request = plain_request({2}, 2);
  request.inputs = {{"ids", DType::i32, Shape{}, 6}, {"b", DType::f64, Shape{2}, 0}};
  request.target = Shape{3};
  const std::unique_ptr<Dataset> data = open(npz.write(arrays), request);
  int32_t id = -1, labels[3];
  double b[2];
  REQUIRE(data->read(0, 0, std::as_writable_bytes(std::span(&id, 1))));
  REQUIRE(data->read(1, 1, std::as_writable_bytes(std::span(b))));
  REQUIRE(data->read(1, kTargetField, std::as_writable_bytes(std::span(labels))));
  CHECK(id == 5);
  CHECK(b[1] == 4);
  CHECK(labels[0] == 1);
  CHECK(labels[2] == 0);
  const auto error = [&](auto change) {
    NpzArrays changed = arrays;
    change(changed);
    return open_error(npz.write(changed), request);
  };
  CHECK(contains(error([](auto& a) {
                   a["ids"] = longs({2}, {5, 6});
                 }),
                 "ids[1]: element 0 is the id 6, and the model's table has the rows 0 .. 5"));
  CHECK(contains(error([](auto& a) { a["ids"] = longs({2}, {-1, 0}); }), "ids[0]: element 0 is"));
  CHECK(contains(error([](auto& a) {
                   a["ids"] = longs({3}, {1, 0, 0});
                 }),
                 "b: 2 rows, and ids has"));
  CHECK(contains(error([](auto& a) { a["y"] = longs({2}, {1, 0}); }), "take [n,3]"));
  CHECK(contains(error([](auto& a) { a.erase("b"); }), "no array `b` (arrays there: ids, y)"));
  // Where an input is called y, the labels are `labels`.
  request.inputs[1].name = "y";
  arrays["labels"] = arrays["y"];
  arrays["y"] = arrays["b"];
  CHECK(open(npz.write(arrays), request)->labelled());
}

TEST_CASE("NPZ errors say what does not fit") {
  NpzFolder npz;
  const auto error = [&](auto change, int classes = 2) {
    NpzArrays arrays = sample_arrays();
    change(arrays);
    return open_error(npz.write(arrays), plain_request({3}, classes));
  };
  CHECK(error([](auto&) {}) == "");
  CHECK(contains(error([](auto& a) {
                   a["x"] = floats({3, 2}, {1, 2, 3, 4, 5, 6});
                 }),
                 "shape [3,2], the model's input `input` takes [n,3]; write x.transpose(1, 0)"));
  CHECK(contains(error([](auto& a) { a["x"] = floats({}, {1}); }), "shape [], "));
  CHECK(contains(error([](auto& a) { a["x"] = floats({0, 3}, {}); }), "no example"));
  CHECK(contains(error([](auto& a) { a["y"] = longs({1}, {0}); }), "y has 1 rows, x has 2"));
  CHECK(contains(error([](auto& a) { a["y"] = longs({2}, {0, 2}); }), "y[1]: label 2"));
  CHECK(contains(error([](auto& a) { a["y"] = longs({2}, {-1, 0}); }), "y[0]: label -1"));
  CHECK(contains(error([](auto& a) {
                   a["y"] = longs({2}, {0, int64_t{1} << 32});
                 }),
                 "label 4294967296"));
  CHECK(contains(error([](auto& a) { a["y"] = floats({2}, {0, 0.5f}); }), "label 0.5"));
  CHECK(contains(error([](auto& a) { a["y"] = floats({2}, {0, NAN}); }), "y[1]: element 0 (nan)"));
  CHECK(contains(error([](auto& a) {
                   a["y"] = longs({2, 3}, {0, 0, 0, 0, 0, 0});
                 }),
                 "y: shape [2,3], the model's class labels take [n], or one-hot"));
  CHECK(contains(error([](auto& a) { a.erase("y"); }), "no array `y`"));
  CHECK(
      contains(error([](auto& a) { a.erase("x"); }), "no array `input` or `x` (arrays there: y)"));
  CHECK(contains(error([](auto& a) {
                   a["x"] = floats({2, 3}, {1, 2, 3, 4, NAN, 6});
                 }),
                 "x[1]: element 1 (nan) is NaN"));
  CHECK(contains(error([](auto& a) {
                   a["x"] = floats({2, 3}, {1, 2, INFINITY, 4, 5, 6});
                 }),
                 "x[0]: element 2 (inf) is infinite"));
  CHECK(contains(error([](auto& a) {
                   a["x"] = array_of<double>(NpyType::f64, {2, 3}, {1, 2, 3, 4, 1e300, 6});
                 }),
                 "x[1]: element 1 (1e+300) is outside its range"));
}

TEST_CASE("arrays in another order of axes get the order that fits") {
  NpzFolder npz;
  struct Row {
    std::vector<int64_t> shape;
    Shape wanted;
    const char* advice;  // "": taken
  };
  const Row rows[] = {
      {{2, 3, 4, 5}, {4, 5, 3}, "write x.transpose(0, 2, 3, 1)"},
      {{2, 4, 5, 3}, {3, 4, 5}, "write x.transpose(0, 3, 1, 2)"},
      {{2, 3, 4, 4}, {4, 4, 3}, "write x.transpose(0, 2, 3, 1)"},  // squares are not turned over
      {{2, 4, 4, 3}, {3, 4, 4}, "write x.transpose(0, 3, 1, 2)"},
      {{4, 5, 3, 7}, {4, 5, 3}, "write x.transpose(3, 0, 1, 2)"},  // examples last, as in SVHN
      {{2, 6, 9}, {9, 6}, "write x.transpose(0, 2, 1)"},
      {{6, 9}, {6, 9}, "give one example as x[None]"},
      {{2, 6, 7}, {9, 6}, "give its axes in the model's order and sizes"},
      {{2, 4, 5}, {1, 4, 5}, ""},
      {{2, 4, 5}, {4, 5, 1}, ""},
      {{2, 4, 5, 1}, {1, 4, 5}, ""},
      {{2, 20}, {1, 4, 5}, ""},
      {{2, 4, 5}, {20}, ""},
      {{2, 12}, {3, 2, 2}, "give its axes"},  // channels first or last?
  };
  for (const Row& row : rows) {
    NpzArrays arrays = {
        {"y", longs({row.shape[0]}, std::vector<int64_t>(static_cast<size_t>(row.shape[0]), 1))}};
    arrays["x"] = NpyArray{NpyType::f32, row.shape, {}};
    arrays["x"].bytes.resize(static_cast<size_t>(arrays["x"].elements()) * 4);
    const std::string error = open_error(npz.write(arrays), plain_request(row.wanted, 2));
    CAPTURE(error);
    CHECK((*row.advice == '\0' ? error.empty() : contains(error, row.advice)));
    CHECK(!contains(error, "reshape"));
  }
}

TEST_CASE(
    "labels one-hot are their classes; other numbers for each class are told what to become") {
  NpzFolder npz;
  const auto with = [&](NpyArray y) {
    return npz.write({{"x", floats({2, 1}, {1, 2})}, {"y", std::move(y)}});
  };
  const DatasetRequest request = plain_request({1}, 3);
  for (NpyArray y : {floats({2, 3}, {0, 0, 1, 1, 0, 0}), longs({2, 3}, {0, 0, 1, 1, 0, 0}),
                     longs({2, 1}, {2, 0}), floats({2}, {2, 0})}) {
    const std::unique_ptr<Dataset> data = open(with(y), request);
    CHECK(class_of(*data, 0, 4) == 2);
    CHECK(class_of(*data, 1, 4) == 0);
  }
  const auto error = [&](NpyArray y) { return open_error(with(std::move(y)), request); };
  CHECK(contains(error(floats({2, 3}, {0, 0, 1, 0.2f, 0.5f, 0.3f})),
                 "y[1]: neither 0 nor 1 for each class (the first is 0.2)"));
  CHECK(contains(error(floats({2, 3}, {0, 0, 1, 0.2f, 0.5f, 0.3f})), "write y.argmax(axis=-1)"));
  CHECK(contains(error(longs({2, 3}, {0, 1, 1, 1, 0, 0})), "y[0]: 2 of the 3 classes are 1"));
  CHECK(contains(error(longs({2, 3}, {0, 0, 0, 1, 0, 0})), "y[0]: 0 of the 3 classes are 1"));
  CHECK(contains(error(longs({1, 2}, {2, 0})), "write y.ravel()"));

  DatasetRequest positions = plain_request({1}, 3);
  positions.target = Shape{2};
  const std::unique_ptr<Dataset> data =
      open(with(longs({2, 2, 3}, {0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0})), positions);
  int32_t labels[2];
  REQUIRE(data->read(0, kTargetField, std::as_writable_bytes(std::span(labels))));
  CHECK(labels[0] == 2);
  CHECK(labels[1] == 0);
}

TEST_CASE("arrays under others' names, and swapped ones, are told") {
  NpzFolder npz;
  const NpyArray x = floats({2, 3}, {1, 2, 3, 4, 5, 6}), y = longs({2}, {1, 0});
  const auto error = [&](const NpzArrays& arrays) {
    return open_error(npz.write(arrays), plain_request({3}, 2));
  };
  CHECK(contains(error({{"x_train", x}, {"y_train", y}, {"x_test", x}}),
                 "np.savez('train.npz', x=x_train, y=y_train)"));
  CHECK(contains(error({{"arr_0", x}, {"arr_1", y}}), "np.savez('data.npz', x=x, y=y)"));
  CHECK(contains(error({{"X", x}, {"y", y}}), "write x in lower case"));
  CHECK(contains(error({{"y", x}, {"x", y}}), "they are swapped"));
}

TEST_CASE("pictures as bytes for a model of reals are noted") {
  NpzFolder npz;
  NpzArrays arrays = {{"x", array_of<uint8_t>(NpyType::u8, {1, 2, 2}, {0, 200, 7, 255})},
                      {"y", longs({1}, {1})}};
  const auto notes = [&] {
    const std::unique_ptr<Dataset> data = open(npz.write(arrays), plain_request({2, 2}, 2));
    return notes_of(*data).empty() ? std::string() : notes_of(*data).front();
  };
  CHECK(contains(notes(), "data.npz/x: whole numbers up to 255 go into the model as they are"));
  arrays["x"] = floats({1, 2, 2}, {0, 200, 7, 255});
  CHECK(contains(notes(), "up to 255"));
  arrays["x"] = floats({1, 2, 2}, {0, 200.5f, 7, 255});
  CHECK(notes() == "");
  arrays["x"] = floats({1, 2, 2}, {0, 1, 1, 0});
  CHECK(notes() == "");
}

TEST_CASE("an array of weights weighs the examples") {
  NpzFolder npz;
  const auto with = [&](const char* name, NpyArray weights) {
    NpzArrays arrays = sample_arrays();
    arrays[name] = std::move(weights);
    return npz.write(arrays);
  };
  const DatasetRequest request = plain_request({3}, 2);
  CHECK(open(npz.write(sample_arrays()), request)->weight(1) == 1);
  for (const char* name : {"sample_weight", "sample_weights", "weights"}) {
    const std::unique_ptr<Dataset> data = open(with(name, floats({2, 1}, {0.5f, 3})), request);
    CHECK(data->weight(0) == 0.5);
    CHECK(data->weight(1) == 3);
  }
  DatasetRequest own = request;
  own.inputs[0].name = "weights";
  CHECK(open(with("weights", floats({2, 3}, {0, 0, 0, 0, 0, 0})), own)->weight(1) == 1);
  const auto error = [&](NpyArray weights) {
    return open_error(with("sample_weight", std::move(weights)), request);
  };
  CHECK(contains(error(floats({2}, {1, -1})), "sample_weight: the weight -1 of example 1"));
  CHECK(contains(error(floats({2}, {NAN, 1})), "sample_weight: element 0 (nan)"));
  CHECK(contains(error(floats({2}, {0, 0})), "all weights are 0"));
  CHECK(contains(error(floats({3}, {1, 1, 1})), "shape [3], and there are 2 examples"));
  CHECK(contains(error(floats({2, 2}, {1, 1, 1, 1})), "one weight for each"));
}

TEST_CASE("fractions and large numbers are no bytes") {
  NpzFolder npz;
  DatasetRequest request = plain_request({3}, 2);
  request.inputs[0].dtype = DType::u8;
  NpzArrays arrays = sample_arrays();
  CHECK(open_error(npz.write(arrays), request) == "");
  arrays["x"] = floats({2, 3}, {0, 0.5f, 1, 0, 0, 0});
  CHECK(contains(open_error(npz.write(arrays), request), "(0.5) is no whole number"));
  arrays["x"] = floats({2, 3}, {0, 256, 1, 0, 0, 0});
  CHECK(contains(open_error(npz.write(arrays), request), "(256) is outside its range"));
}

TEST_CASE("an NPZ without y serves prediction") {
  NpzFolder npz;
  NpzArrays arrays = sample_arrays();
  arrays.erase("y");
  DatasetRequest request = plain_request({3}, 2);
  request.labels_optional = true;
  const std::unique_ptr<Dataset> data = open(npz.write(arrays), request);
  CHECK(!data->labelled());
  int32_t label = 0;
  CHECK(
      contains(data->read(0, kTargetField, std::as_writable_bytes(std::span(&label, 1))).message(),
               "no labels"));
}

TEST_CASE("wrong arguments to read are errors") {
  NpzFolder npz;
  const std::unique_ptr<Dataset> data = open(npz.write(sample_arrays()), plain_request({3}, 2));
  CHECK(contains(read_error(*data, -1, 12), "example -1 does not exist"));
  CHECK(contains(read_error(*data, 2, 12), "there are 2"));
  CHECK(contains(read_error(*data, 0, 11), "11 bytes"));
  CHECK(data->describe(-1) == "?");
  Bytes input(12), target(3);
  CHECK(contains(data->read(0, kTargetField, target).message(), "target read into 3 bytes"));
  CHECK(contains(data->read(0, 1, input).message(), "has no field 1; an example has 1"));
  CHECK(contains(data->read(0, -2, input).message(), "has no field -2"));
}

TEST_CASE("a .npy file is one example or several, for prediction") {
  TempFolder folder;
  DatasetRequest request = plain_request({2}, 2);
  const std::string one = folder.write("one.npy", npy_of(floats({2}, {1, 2})));
  const std::string two = folder.write("two.npy", npy_of(floats({2, 2}, {1, 2, 3, 4})));
  CHECK(contains(open_error(one, request), "has no labels"));
  request.labels_optional = true;
  CHECK(open(one, request)->size() == 1);
  const std::unique_ptr<Dataset> data = open(two, request);
  CHECK(data->size() == 2);
  CHECK(input_of<float>(*data, 1, 2) == std::vector<float>{3, 4});
  const std::string wrong = folder.write("wrong.npy", npy_of(floats({3}, {1, 2, 3})));
  CHECK(contains(open_error(wrong, request), "shape [3]"));
}

}  // namespace
}  // namespace attune::test
