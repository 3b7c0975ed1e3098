#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/io/bytes.h"
#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

constexpr uint8_t kUnsignedByte = 8;  // the type code of the only element type read

struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

// Reads a file, gzipped or not, piece by piece.
class GzFile {
 public:
  Status open(const std::string& path) {
    ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) return file_error(path, "cannot be opened; check its permissions");
    path_ = path;
    return Status::ok();
  }

  Status read(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
      const auto wanted = static_cast<unsigned>(std::min<size_t>(bytes.size(), 1 << 30));
      const int got = gzread(file_.get(), bytes.data(), wanted);
      if (got <= 0) return cut_short();
      bytes = bytes.subspan(static_cast<size_t>(got));
    }
    return Status::ok();
  }

  // An error unless the file ends here; a gzip file's sum has been checked then.
  Status expect_end() {
    std::byte spare;
    const int got = gzread(file_.get(), &spare, 1);
    int failure = Z_OK;
    gzerror(file_.get(), &failure);
    if (got < 0 || failure != Z_OK) return cut_short();
    if (got > 0)
      return file_error(path_, "more bytes than the IDX header tells; copy or download it again");
    return Status::ok();
  }

  bool compressed() const { return gzdirect(file_.get()) == 0; }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  Status cut_short() const {
    return file_error(path_, "the IDX file is cut short or damaged; copy or download it again");
  }

  std::unique_ptr<std::remove_pointer_t<gzFile>, Close> file_;
  std::string path_;
};

Status read_idx(const std::string& path, const ReadLimits& limits, IdxArray* array) {
  GzFile file;
  ATTUNE_RETURN_IF_ERROR(file.open(path));
  std::byte magic[4];
  ATTUNE_RETURN_IF_ERROR(file.read(magic));
  const uint8_t type = u8_at(magic, 2), rank = u8_at(magic, 3);
  if (u8_at(magic, 0) != 0 || u8_at(magic, 1) != 0)
    return file_error(path, "not an IDX file; give MNIST's format, plain or gzipped");
  if (type != kUnsignedByte || rank < 1 || rank > 4)
    return file_error(path, "IDX of type 0x%02x and %d dimensions; give bytes of 1 .. 4", type,
                      rank);
  uint64_t bytes = 1;
  bool representable = true;
  for (int axis = 0; axis < rank; ++axis) {
    std::byte dim[4];
    ATTUNE_RETURN_IF_ERROR(file.read(dim));
    const uint32_t extent = big_endian_u32(dim, 0);
    array->shape.push_back(extent);
    representable = representable && !__builtin_mul_overflow(bytes, uint64_t{extent}, &bytes);
  }
  std::error_code failure;
  const uint64_t file_bytes = fs::file_size(path, failure);
  if (failure) return file_error(path, "cannot be read (%s)", failure.message().c_str());
  const uint64_t possible = file.compressed() ? file_bytes * kMaxInflation : file_bytes;
  if (!representable || bytes > possible)
    return file_error(path,
                      "%s bytes do not fit a file of %llu: cut short or damaged; copy it again",
                      dims_text(array->shape).c_str(), static_cast<unsigned long long>(file_bytes));
  if (bytes > limits.input_bytes) return too_many_bytes(path, bytes, limits);
  array->bytes.resize(bytes);
  ATTUNE_RETURN_IF_ERROR(file.read(array->bytes));
  return file.expect_end();
}

bool drop_suffix(std::string* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->resize(text->size() - suffix.size());
  return true;
}

// Where "images" begins in "...images-idx3-ubyte" or "...images.idx3-ubyte"; npos where it does
// not.
size_t images_part(std::string_view file_name) {
  for (const char* pattern : {"images-idx3", "images.idx3", "images-idx4", "images.idx4"}) {
    const size_t at = file_name.rfind(pattern);
    if (at != std::string_view::npos) return at;
  }
  return std::string_view::npos;
}

// The labels file by MNIST's naming; empty where there is none. `expected` is the usual name.
std::string find_labels(const std::string& images_path, std::string* expected) {
  const std::string name = file_name_of(images_path);
  const std::string folder = images_path.substr(0, images_path.size() - name.size());
  const size_t at = images_part(name);
  if (at == std::string::npos) return "";
  std::string rest = name.substr(at + std::strlen("images-idx3"));
  const bool gz = drop_suffix(&rest, ".gz");
  const char separator = name[at + std::strlen("images")];
  for (const char c : {separator, separator == '-' ? '.' : '-'}) {
    for (const bool with_gz : {gz, !gz}) {
      const std::string path =
          folder + name.substr(0, at) + "labels" + c + "idx1" + rest + (with_gz ? ".gz" : "");
      if (expected->empty()) *expected = path;
      std::error_code failure;
      if (fs::is_regular_file(path, failure)) return path;
    }
  }
  return "";
}

class IdxReader : public Reader {
 public:
  IdxReader(const std::string& path, const DatasetRequest& request, IdxArray images, Labels labels)
      : Reader(request, images.shape[0], std::move(labels),
               request.preprocess.front_end == FrontEnd::image),
        path_(path),
        preprocess_(request.preprocess),
        images_(std::move(images)),
        image_bytes_(images_.bytes.size() / static_cast<size_t>(images_.shape[0])) {}

 private:
  Status load(int64_t index, int, std::span<std::byte> input) override {
    const auto image = std::span<const std::byte>(images_.bytes)
                           .subspan(static_cast<size_t>(index) * image_bytes_, image_bytes_);
    if (preprocess_.front_end == FrontEnd::image) {
      ImageView view;
      view.height = static_cast<int32_t>(images_.shape[1]);
      view.width = static_cast<int32_t>(images_.shape[2]);
      view.channels = images_.shape.size() == 4 ? static_cast<int32_t>(images_.shape[3]) : 1;
      view.pixels = {reinterpret_cast<const uint8_t*>(image.data()), image.size()};
      preprocess_image(preprocess_.image, view,
                       {reinterpret_cast<uint8_t*>(input.data()), input.size()});
    } else if (example().dtype == DType::f32) {
      scale<float>(image, input);
    } else if (example().dtype == DType::f64) {
      scale<double>(image, input);
    } else {
      std::ranges::copy(image, input.begin());
    }
    return Status::ok();
  }

  template <class Real>
  static void scale(std::span<const std::byte> image, std::span<std::byte> input) {
    for (size_t i = 0; i < image.size(); ++i) {
      const Real value = static_cast<Real>(u8_at(image, i)) / Real{255};
      std::memcpy(input.data() + i * sizeof(Real), &value, sizeof(Real));
    }
  }

  std::string description(int64_t index) const override {
    return path_ + "[" + std::to_string(index) + "]";
  }

  std::string path_;
  Preprocess preprocess_;
  IdxArray images_;
  size_t image_bytes_;
};

// Whether the images can become the model's input.
Status check_images(const std::string& path, const DatasetRequest& request,
                    const IdxArray& images) {
  const std::vector<int64_t>& shape = images.shape;
  if (shape.size() != 3 && shape.size() != 4)
    return file_error(path, "%s holds no images; give [n,height,width] bytes",
                      dims_text(shape).c_str());
  if (images.bytes.empty())
    return file_error(path, "%s holds no image; give at least one", dims_text(shape).c_str());
  constexpr int64_t kMaxSide = int64_t{1} << 20;
  const int64_t channels = shape.size() == 4 ? shape[3] : 1;
  if (shape[1] > kMaxSide || shape[2] > kMaxSide || channels > 4)
    return file_error(path, "images of %lld x %lld with %lld channels; give 1 .. 4 channels",
                      static_cast<long long>(shape[2]), static_cast<long long>(shape[1]),
                      static_cast<long long>(channels));
  const ExampleSpec& example = request.example();
  switch (request.preprocess.front_end) {
    case FrontEnd::image:
      return check_image_example(request);
    case FrontEnd::none:
      break;
    default:
      return file_error(path, "images, but the model's front end takes WAV files; give these");
  }
  // Images with several channels must not be taken for ones with the channels first.
  const std::span<const int64_t> dims = std::span(shape).subspan(1);
  const bool fits = example.shape.elements() == shape[1] * shape[2] * channels &&
                    (channels == 1 || example.shape.rank == 1 || same_dims(dims, example.shape));
  if (!fits || !(is_real(example.dtype) || example.dtype == DType::u8))
    return file_error(
        path,
        "images of u8 %s, the model's input `%.*s` takes %s %s; compile the plan with "
        "an image front end",
        dims_text(dims).c_str(), static_cast<int>(example.name.size()), example.name.data(),
        dtype_name(example.dtype), dims_text(example.shape).c_str());
  return Status::ok();
}

Status read_labels(const std::string& images_path, const DatasetRequest& request, int64_t count,
                   Labels* labels) {
  std::string expected;
  const std::string path = find_labels(images_path, &expected);
  if (path.empty()) {
    if (request.labels_optional) return Status::ok();
    if (expected.empty())
      return file_error(
          images_path, "no labels, as the name has no `images-idx3`; name the files as MNIST does");
    return file_error(images_path, "no labels; put them into %s", expected.c_str());
  }
  if (!labels->are_classes()) {
    if (request.labels_optional) return Status::ok();
    return file_error(path,
                      "holds classes, but the model learns numbers; give an .npz with x and y");
  }
  IdxArray array;
  ATTUNE_RETURN_IF_ERROR(read_idx(path, request.limits, &array));
  if (array.shape.size() != 1 || array.shape[0] != count)
    return file_error(path, "labels of shape %s for %lld images; give one for each",
                      dims_text(array.shape).c_str(), static_cast<long long>(count));
  return labels->add_array(path, "labels", {NpyType::u8, array.shape, std::move(array.bytes)});
}

}  // namespace

Status find_idx_images(const std::string& folder, std::string* images_path) {
  images_path->clear();
  Listing listing;
  ATTUNE_RETURN_IF_ERROR(list_folder(folder, &listing));
  std::vector<std::string>& names = listing.files;
  std::erase_if(names, [](const std::string& name) { return images_part(name) == name.npos; });
  // The same images, plain and gzipped, count once: the plain ones come first.
  const auto same = [](std::string a, std::string b) {
    drop_suffix(&a, ".gz");
    drop_suffix(&b, ".gz");
    return a == b;
  };
  names.erase(std::unique(names.begin(), names.end(), same), names.end());
  if (names.size() > 1)
    return file_error(folder, "holds several image files (%s); give the path of one",
                      name_list(names).c_str());
  if (names.size() == 1) *images_path = (fs::path(folder) / names[0]).string();
  return Status::ok();
}

Status open_idx(const std::string& images_path, const DatasetRequest& request,
                std::unique_ptr<Dataset>* dataset) {
  if (file_name_of(images_path).find("idx1") != std::string::npos)
    return file_error(images_path, "holds labels; give the images file beside it");
  IdxArray images;
  ATTUNE_RETURN_IF_ERROR(read_idx(images_path, request.limits, &images));
  ATTUNE_RETURN_IF_ERROR(check_images(images_path, request, images));
  Labels labels(request);
  ATTUNE_RETURN_IF_ERROR(read_labels(images_path, request, images.shape[0], &labels));
  *dataset =
      std::make_unique<IdxReader>(images_path, request, std::move(images), std::move(labels));
  return Status::ok();
}

}  // namespace attune
