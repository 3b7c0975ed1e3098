#include "sparse_update/pipeline/preprocess_spec.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "graph/ir/error.h"
#include "sparse_update/json_file.h"
#include "sparse_update/number_text.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr int kMaxSide = 16384;
constexpr double kImagenetMean[3] = {0.485, 0.456, 0.406};
constexpr double kImagenetDeviation[3] = {0.229, 0.224, 0.225};
constexpr const char* kPresets =
    "imagenet[:WxH], unit:WxH[xC], signed:WxH[xC], mfcc[:WINDOW], none, or a JSON file";

// In the order of ClipWindow.
const std::vector<std::string> kWindows = {"first", "centre", "loudest"};

// byte * scale + offset = (byte / 255 - mean) / deviation
void set_normalization(ImagePreprocess& image, int channel, double mean, double deviation) {
  image.scale[channel] = static_cast<float>(1 / (255 * deviation));
  image.offset[channel] = static_cast<float>(-mean / deviation);
}

Preprocess image_preset(const std::string& name, const std::string& sides_text,
                        const std::string& spec) {
  const bool imagenet = name == "imagenet";
  // "224x160" or "224x160x1".
  const std::vector<int64_t> sides =
      parse_sizes(imagenet && sides_text.empty() ? "224x224" : sides_text, kMaxSide);
  const bool channels_given = sides.size() == 3;
  if (sides.size() < 2 || sides.size() > 3 || (channels_given && imagenet) ||
      (channels_given && sides[2] != 1 && sides[2] != 3))
    throw_error("--preprocess {}: give the size as {}:WIDTHxHEIGHT{}", spec, name,
                imagenet ? ", e.g. imagenet:160x160" : "[x1|x3], e.g. " + name + ":128x128x3");
  Preprocess result;
  result.front_end = FrontEnd::image;
  ImagePreprocess& image = result.image;
  image.width = static_cast<int32_t>(sides[0]);
  image.height = static_cast<int32_t>(sides[1]);
  image.channels = channels_given ? static_cast<int32_t>(sides[2]) : 3;
  if (imagenet) {
    image.resize = Resize::center_crop;
    image.resize_shorter =
        static_cast<int32_t>(std::lround(std::max(image.width, image.height) * 8 / 7.0));
  }
  if (image.resize_shorter > kMaxSide)
    throw_error("--preprocess {}: the shorter side of {} is more than {}", spec,
                image.resize_shorter, kMaxSide);
  for (int c = 0; c < image.channels; ++c) {
    if (imagenet)
      set_normalization(image, c, kImagenetMean[c], kImagenetDeviation[c]);
    else if (name == "unit")
      set_normalization(image, c, 0, 1);
    else
      image.scale[c] = static_cast<float>(1 / 127.5), image.offset[c] = -1;
  }
  return result;
}

// "mfcc" or "mfcc:loudest".
Preprocess mfcc_preset(const std::string& spec) {
  Preprocess result;
  result.front_end = FrontEnd::mfcc;
  if (spec == "mfcc") return result;
  const auto window = std::find(kWindows.begin(), kWindows.end(), spec.substr(5));
  if (window == kWindows.end())
    throw_error("--preprocess {}: give the part of a longer clip as mfcc:{}", spec,
                fmt::join(kWindows, ", mfcc:"));
  result.mfcc.window = static_cast<ClipWindow>(window - kWindows.begin());
  return result;
}

// One object of the file: reads its keys one by one, and knows which are left over.
class Fields {
 public:
  Fields(const std::string& path, const char* name, const json& object)
      : path_(path), name_(name), object_(object) {
    if (!object.is_object()) throw_error("{}: \"{}\" is not an object", path, name);
  }

  bool has(const char* key) const { return object_.contains(key); }

  int32_t integer(const char* key, int32_t otherwise, int32_t least, int32_t most) {
    const json* value = find(key);
    if (!value) return otherwise;
    const bool fits = value->is_number_integer() && *value >= least && *value <= most;
    if (!fits) fail(key, fmt::format("a whole number in {} .. {}", least, most));
    return value->get<int32_t>();
  }
  int32_t required_integer(const char* key, int32_t least, int32_t most) {
    if (!has(key)) throw_error("{}: \"{}\" has no \"{}\"", path_, name_, key);
    return integer(key, 0, least, most);
  }
  double number(const char* key, double otherwise, double least, double most) {
    const json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most))
      fail(key, fmt::format("a number in {} .. {}", least, most));
    return value->get<double>();
  }
  bool boolean(const char* key, bool otherwise) {
    const json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_boolean()) fail(key, "true or false");
    return value->get<bool>();
  }
  // Index of the text among the choices.
  int choice(const char* key, const std::vector<std::string>& choices) {
    const json* value = find(key);
    if (!value) return 0;
    const auto at = value->is_string()
                        ? std::find(choices.begin(), choices.end(), value->get<std::string>())
                        : choices.end();
    if (at == choices.end()) fail(key, fmt::format("\"{}\"", fmt::join(choices, "\" or \"")));
    return static_cast<int>(at - choices.begin());
  }
  std::vector<double> numbers(const char* key, int count, double otherwise) {
    const auto n = static_cast<size_t>(count);
    const json* value = find(key);
    if (!value) return std::vector<double>(n, otherwise);
    const auto is_finite = [](const json& x) {
      return x.is_number() && std::isfinite(x.get<double>());
    };
    if (is_finite(*value)) return std::vector<double>(n, value->get<double>());
    if (!value->is_array() || value->size() != n ||
        !std::all_of(value->begin(), value->end(), is_finite))
      fail(key, fmt::format("a number, or a list of {}, one a channel", count));
    return value->get<std::vector<double>>();
  }

  void check_no_others() const {
    for (const auto& [key, value] : object_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        throw_error("{}: \"{}\" has an unknown key \"{}\"; known are {}", path_, name_,
                    shown_name(key), fmt::join(known_, ", "));
  }

  [[noreturn]] void fail(const char* key, const std::string& wanted) const {
    const auto at = object_.find(key);
    throw_error("{}: \"{}\": \"{}\" is {}; give {}", path_, name_, key,
                at == object_.end() ? "not given" : shown_json(*at), wanted);
  }

 private:
  const json* find(const char* key) {
    known_.push_back(key);
    const auto at = object_.find(key);
    return at == object_.end() ? nullptr : &*at;
  }

  const std::string& path_;
  const char* name_;
  const json& object_;
  std::vector<std::string> known_;
};

// Means and deviations of bytes 0 .. 255, where those of x / 255 are meant, make a model see next
// to nothing: images lie in 0 .. 1, so no mean lies beyond, and no deviation is as large as these.
void check_scale(const std::string& path, std::vector<double> mean, std::vector<double> deviation) {
  const auto most = [](const std::vector<double>& values) {
    return std::abs(*std::max_element(values.begin(), values.end(), [](double a, double b) {
      return std::abs(a) < std::abs(b);
    }));
  };
  const bool mean_of_bytes = most(mean) > 1;
  const bool deviation_of_bytes = most(deviation) > 8 || (mean_of_bytes && most(deviation) >= 1);
  if (!mean_of_bytes && !deviation_of_bytes) return;
  const std::string given = fmt::format("\"mean\" [{:.6g}] and \"std\" [{:.6g}]",
                                        fmt::join(mean, ", "), fmt::join(deviation, ", "));
  if (mean_of_bytes)
    for (double& x : mean) x /= 255;
  if (deviation_of_bytes)
    for (double& x : deviation) x /= 255;
  throw_error("{}: {} are of bytes 0 .. 255, but act on x / 255; give [{:.6g}] and [{:.6g}]", path,
              given, fmt::join(mean, ", "), fmt::join(deviation, ", "));
}

Preprocess parse_image(const std::string& path, const json& object) {
  Preprocess result;
  result.front_end = FrontEnd::image;
  ImagePreprocess& image = result.image;
  Fields fields(path, "image", object);
  image.width = fields.required_integer("width", 1, kMaxSide);
  image.height = fields.required_integer("height", 1, kMaxSide);
  image.channels = fields.integer("channels", 3, 1, 3);
  if (image.channels == 2) fields.fail("channels", "1 or 3");
  image.resize = static_cast<Resize>(fields.choice("resize", {"stretch", "center_crop"}));
  const int32_t longer = std::max(image.width, image.height);
  image.resize_shorter = fields.integer("resize_shorter", 0, longer, kMaxSide);
  image.bgr = fields.choice("order", {"RGB", "BGR"}) == 1;
  const bool bicubic = fields.choice("interpolation", {"bilinear", "bicubic"}) == 1;
  const bool antialias = fields.boolean("antialias", true);
  image.interpolation = bicubic     ? Interpolation::bicubic
                        : antialias ? Interpolation::bilinear
                                    : Interpolation::bilinear_aliased;
  const std::vector<double> mean = fields.numbers("mean", image.channels, 0);
  const std::vector<double> deviation = fields.numbers("std", image.channels, 1);
  fields.check_no_others();
  if (image.resize == Resize::center_crop && image.resize_shorter == 0)
    throw_error(
        "{}: \"center_crop\" needs \"resize_shorter\", the pixels of the shorter side before "
        "it is cropped, at least {}",
        path, longer);
  if (image.resize == Resize::stretch && image.resize_shorter != 0)
    throw_error("{}: \"resize_shorter\" is for \"resize\": \"center_crop\"; remove it", path);
  if (!std::all_of(deviation.begin(), deviation.end(), [](double x) { return x > 0; }))
    fields.fail("std", "numbers above 0");
  check_scale(path, mean, deviation);
  if (bicubic && !antialias)
    throw_error("{}: \"antialias\": false is for \"interpolation\": \"bilinear\"; remove one",
                path);
  for (int c = 0; c < image.channels; ++c) {
    const auto i = static_cast<size_t>(c);
    set_normalization(image, c, mean[i], deviation[i]);
    if (!std::isfinite(image.scale[c])) fields.fail("std", "numbers that are not so small");
    if (!std::isfinite(image.offset[c]))
      fields.fail("mean", "numbers that 32 bits hold after dividing by \"std\"");
  }
  return result;
}

Preprocess parse_mfcc(const std::string& path, const json& object) {
  Preprocess result;
  result.front_end = FrontEnd::mfcc;
  MfccPreprocess& m = result.mfcc;
  Fields fields(path, "mfcc", object);
  m.sample_rate = fields.integer("sample_rate", m.sample_rate, 1, 1'000'000);
  m.samples = fields.integer("samples", m.samples, 1, 1 << 26);
  m.window = static_cast<ClipWindow>(fields.choice("window", kWindows));
  m.normalize_peak = fields.boolean("normalize_peak", m.normalize_peak);
  m.frame_length = fields.integer("frame_length", m.frame_length, 2, 1 << 16);
  m.frame_step = fields.integer("frame_step", m.frame_step, 1, 1 << 16);
  m.fft_size = fields.integer("fft_size", m.fft_size, 2, 1 << 16);
  m.mel_bands = fields.integer("mel_bands", m.mel_bands, 1, 1024);
  m.low_hz = static_cast<float>(fields.number("low_hz", m.low_hz, 0, 1e6));
  m.high_hz = static_cast<float>(fields.number("high_hz", m.high_hz, 0, 1e6));
  m.log_offset = static_cast<float>(fields.number("log_offset", m.log_offset, 1e-30, 1e6));
  m.coefficients = fields.integer("coefficients", m.coefficients, 1, 1024);
  fields.check_no_others();
  if ((m.fft_size & (m.fft_size - 1)) != 0)
    throw_error("{}: \"mfcc\": \"fft_size\" is {}; give a power of two", path, m.fft_size);
  const auto ordered = [&](bool good, const char* smaller, const char* larger) {
    if (!good) throw_error("{}: \"mfcc\": \"{}\" is above \"{}\"", path, smaller, larger);
  };
  ordered(m.frame_length <= m.fft_size, "frame_length", "fft_size");
  ordered(m.frame_length <= m.samples, "frame_length", "samples");
  ordered(m.coefficients <= m.mel_bands, "coefficients", "mel_bands");
  if (!(m.low_hz < m.high_hz && 2 * static_cast<double>(m.high_hz) <= m.sample_rate))
    throw_error(
        "{}: \"mfcc\": \"low_hz\" must lie below \"high_hz\", and that at most at half of "
        "\"sample_rate\"",
        path);
  return result;
}

Preprocess parse_root(const std::string& where, const json& root) {
  if (!root.is_object() || root.size() != 1 || !(root.contains("image") || root.contains("mfcc")))
    throw_error("{}: give {{\"image\": {{...}}}} or {{\"mfcc\": {{...}}}}, and nothing else{}",
                where,
                root.is_object() && !root.empty()
                    ? fmt::format("; its first key is \"{}\"", shown_name(root.begin().key()))
                    : "");
  return root.contains("image") ? parse_image(where, root["image"])
                                : parse_mfcc(where, root["mfcc"]);
}

Preprocess parse_file(const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure))
    throw_error("--preprocess {}: is no preset and no readable file; give {}", path, kPresets);
  return parse_root(path, read_json_file(path, path));
}

}  // namespace

Preprocess parse_preprocess(const std::string& spec) {
  if (spec.starts_with('{')) return parse_root("--preprocess", read_json_text(spec, "--preprocess"));
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const bool has_sides = colon != std::string::npos;
  const std::string sides = has_sides ? spec.substr(colon + 1) : "";
  if (name == "imagenet" || name == "unit" || name == "signed") {
    if (has_sides && sides.empty()) throw_error("--preprocess {}: nothing follows the colon", spec);
    return image_preset(name, sides, spec);
  }
  if (spec == "none") return {};
  if (name == "mfcc") return mfcc_preset(spec);
  return parse_file(spec);
}

std::string preprocess_text(const Preprocess& preprocess) {
  switch (preprocess.front_end) {
    case FrontEnd::none:
      break;
    case FrontEnd::image: {
      const ImagePreprocess& image = preprocess.image;
      std::string text =
          fmt::format("image {}x{} {}, {}", image.width, image.height,
                      image.channels == 1 ? "grey"
                      : image.bgr         ? "BGR"
                                          : "RGB",
                      image.resize == Resize::stretch
                          ? "stretched"
                          : fmt::format("shorter side to {}, centre crop", image.resize_shorter));
      text += image.interpolation == Interpolation::bicubic    ? ", bicubic"
              : image.interpolation == Interpolation::bilinear ? ", bilinear"
                                                               : ", bilinear without antialiasing";
      // x * scale + offset of each channel; once where they are the same.
      bool same = true;
      for (int c = 1; c < image.channels; ++c)
        same = same && image.scale[c] == image.scale[0] && image.offset[c] == image.offset[0];
      for (int c = 0; c < (same ? 1 : image.channels); ++c) {
        const double offset = image.offset[c];
        text += fmt::format("{}x * {:.6g} {} {:.6g}", c == 0 ? ", " : "; ",
                            static_cast<double>(image.scale[c]), offset < 0 ? '-' : '+',
                            std::abs(offset));
      }
      return text;
    }
    case FrontEnd::mfcc: {
      const MfccPreprocess& m = preprocess.mfcc;
      return fmt::format(
          "mfcc {}x{} of {} samples at {} Hz{}, frames of {} every {}, {} mel bands {} "
          ".. {} Hz",
          1 + (m.samples - m.frame_length) / m.frame_step, m.coefficients, m.samples, m.sample_rate,
          m.window == ClipWindow::first
              ? ""
              : fmt::format(" (the {} part)", kWindows[static_cast<size_t>(m.window)]),
          m.frame_length, m.frame_step, m.mel_bands, static_cast<double>(m.low_hz),
          static_cast<double>(m.high_hz));
    }
  }
  return "none";
}

}  // namespace attune
