#include "engine/io/example_file.h"

#include <algorithm>
#include <cstring>

#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/npz.h"
#include "engine/io/shape_fit.h"
#include "engine/io/sound.h"

namespace attune {
namespace {

Status does_not_fit(const DatasetRequest& request, const std::string& made) {
  const ExampleSpec& example = request.example();
  return Status::error("model input `%.*s`: the %s, the plan takes %s %s; compile anew",
                       static_cast<int>(example.name.size()), example.name.data(), made.c_str(),
                       dtype_name(example.dtype), dims_text(example.shape).c_str());
}

}  // namespace

Status check_image_example(const DatasetRequest& request) {
  const ImagePreprocess& image = request.preprocess.image;
  ATTUNE_RETURN_IF_ERROR(check_image_preprocess(image));
  const Shape made{image.height, image.width, image.channels};
  if (request.example().dtype != DType::u8 || !(request.example().shape == made))
    return does_not_fit(request, "image front end makes u8 " + dims_text(made));
  return Status::ok();
}

Status ExampleFile::create(const DatasetRequest& request, std::unique_ptr<ExampleFile>* loader) {
  switch (request.preprocess.front_end) {
    case FrontEnd::none:
      break;
    case FrontEnd::image:
      ATTUNE_RETURN_IF_ERROR(check_image_example(request));
      break;
    case FrontEnd::mfcc: {
      ATTUNE_RETURN_IF_ERROR(check_mfcc_preprocess(request.preprocess.mfcc));
      const MfccPreprocess& mfcc = request.preprocess.mfcc;
      const int64_t frames = 1 + (mfcc.samples - mfcc.frame_length) / mfcc.frame_step;
      if (!is_real(request.example().dtype) ||
          request.example().shape.elements() != frames * mfcc.coefficients)
        return does_not_fit(request, "MFCC front end makes " + std::to_string(frames) + " x " +
                                         std::to_string(mfcc.coefficients) + " real numbers");
      break;
    }
    default:
      return Status::error("unknown front end %d; use a newer Attune",
                           static_cast<int>(request.preprocess.front_end));
  }
  loader->reset(new ExampleFile(request));
  return Status::ok();
}

ExampleFile::ExampleFile(const DatasetRequest& request)
    : example_(request.example()), preprocess_(request.preprocess), limits_(request.limits) {
  if (preprocess_.front_end == FrontEnd::mfcc) {
    mfcc_ = std::make_unique<Mfcc>(preprocess_.mfcc);
    features_.resize(static_cast<size_t>(example_.shape.elements()));
  }
}

const ExampleFile::Source& ExampleFile::source() const {
  static const Source kSources[] = {
      // in the order of FrontEnd
      {{".npy"},
       ".npy arrays (for images or WAVs, compile with --preprocess)",
       &ExampleFile::load_npy},
      {image_extensions(), "images (JPEG, PNG, WebP, TIFF, GIF, BMP, PNM)",
       &ExampleFile::load_image},
      {sound_extensions(), sound_kind(), &ExampleFile::load_sound},
  };
  return kSources[static_cast<size_t>(preprocess_.front_end)];
}

bool ExampleFile::takes(std::string_view extension) const {
  return std::ranges::count(source().extensions, extension) > 0;
}

const char* ExampleFile::kind() const { return source().kind; }

std::vector<std::string> ExampleFile::notes(const std::vector<std::string>& paths) const {
  if (preprocess_.front_end != FrontEnd::mfcc) return {};
  return sound_notes(preprocess_.mfcc, paths);
}

Status ExampleFile::load(const std::string& path, std::span<std::byte> input) {
  return (this->*source().load)(path, input);
}

Status ExampleFile::load_image(const std::string& path, std::span<std::byte> input) {
  std::vector<std::byte> file;
  ATTUNE_RETURN_IF_ERROR(read_file(path, limits_, &file));
  Image image;
  ATTUNE_RETURN_IF_ERROR(decode_image(path, file, limits_, &image));
  preprocess_image(preprocess_.image, image.view(),
                   {reinterpret_cast<uint8_t*>(input.data()), input.size()});
  return Status::ok();
}

Status ExampleFile::load_sound(const std::string& path, std::span<std::byte> input) {
  std::vector<std::byte> file;
  ATTUNE_RETURN_IF_ERROR(read_file(path, limits_, &file));
  Audio audio;
  ATTUNE_RETURN_IF_ERROR(decode_sound(path, file, limits_, &audio));
  mfcc_->compute(clip_of(preprocess_.mfcc, audio), features_);
  if (example_.dtype == DType::f64) {
    const std::vector<double> wide(features_.begin(), features_.end());
    std::memcpy(input.data(), wide.data(), input.size());
  } else {
    std::memcpy(input.data(), features_.data(), input.size());
  }
  return Status::ok();
}

Status ExampleFile::load_npy(const std::string& path, std::span<std::byte> input) {
  NpyArray array;
  ATTUNE_RETURN_IF_ERROR(read_npy(path, limits_, &array));
  if (!holds_example(array.shape, example_.shape))
    return file_error(path, "shape %s, the model's input `%.*s` takes %s; save it so",
                      dims_text(array.shape).c_str(), static_cast<int>(example_.name.size()),
                      example_.name.data(), dims_text(example_.shape).c_str());
  return convert_elements(path, array, 0, array.elements(), example_.dtype, input);
}

FileReader::FileReader(const DatasetRequest& request, std::vector<std::string> paths, Labels labels,
                       std::unique_ptr<ExampleFile> loader)
    : Reader(request, static_cast<int64_t>(paths.size()), std::move(labels), true),
      paths_(std::move(paths)),
      loader_(std::move(loader)) {}

Status FileReader::prepare(const std::string& path, const DatasetRequest& request) {
  if (request.skip_unreadable) ATTUNE_RETURN_IF_ERROR(leave_out_unreadable(path));
  for (const std::string& note : loader_->notes(paths_)) add_note(path + ": " + note);
  return Status::ok();
}

Status FileReader::leave_out_unreadable(const std::string& path) {
  std::vector<std::byte> scratch(example().bytes());
  std::vector<int64_t> readable;
  std::string first;
  for (int64_t i = 0; i < size(); ++i) {
    const Status status = read(i, 0, scratch);
    if (status) {
      readable.push_back(i);
      continue;
    }
    if (size() == 1) return status;
    if (first.empty()) first = status.message();
    add_note("left out: " + std::string(status.message()));
  }
  if (readable.empty())
    return file_error(path, "none of its %zu files can be read, the first one as: %s",
                      paths_.size(), first.c_str());
  const size_t bad = paths_.size() - readable.size();
  if (bad == 0) return Status::ok();
  add_note(path + ": " + std::to_string(bad) + " of " + std::to_string(paths_.size()) +
           " files left out, as they cannot be read");
  keep_elements(&paths_, readable);
  keep(readable);
  return Status::ok();
}

Status FileReader::load(int64_t index, int, std::span<std::byte> input) {
  return loader_->load(paths_[static_cast<size_t>(index)], input);
}

std::string FileReader::description(int64_t index) const {
  return paths_[static_cast<size_t>(index)];
}

}  // namespace attune
