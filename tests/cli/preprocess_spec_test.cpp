#include "sparse_update/pipeline/preprocess_spec.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/cli/command.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

std::string error(const std::string& spec) {
  return error_of([&] { parse_preprocess(spec); });
}

}  // namespace

TEST_CASE("presets") {
  const Preprocess imagenet = parse_preprocess("imagenet");
  CHECK(imagenet.front_end == FrontEnd::image);
  CHECK(imagenet.image.width == 224);
  CHECK(imagenet.image.height == 224);
  CHECK(imagenet.image.channels == 3);
  CHECK(imagenet.image.resize == Resize::center_crop);
  CHECK(imagenet.image.resize_shorter == 256);
  CHECK_FALSE(imagenet.image.bgr);
  const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
  for (int c = 0; c < 3; ++c)
    for (double byte : {0.0, 17.0, 255.0})
      CHECK(byte * imagenet.image.scale[c] + imagenet.image.offset[c] ==
            doctest::Approx((byte / 255 - mean[c]) / deviation[c]).epsilon(1e-6));

  const Preprocess small = parse_preprocess("imagenet:112x160");
  CHECK(small.image.width == 112);
  CHECK(small.image.height == 160);
  CHECK(small.image.resize_shorter == 183);

  const Preprocess unit = parse_preprocess("unit:28x20x1");
  CHECK(unit.image.width == 28);
  CHECK(unit.image.height == 20);
  CHECK(unit.image.channels == 1);
  CHECK(unit.image.resize == Resize::stretch);
  CHECK(unit.image.scale[0] == static_cast<float>(1 / 255.0));
  CHECK(unit.image.offset[0] == 0);

  const Preprocess symmetric = parse_preprocess("signed:128x128");
  CHECK(symmetric.image.channels == 3);
  for (int c = 0; c < 3; ++c) {
    CHECK(symmetric.image.scale[c] == static_cast<float>(1 / 127.5));
    CHECK(symmetric.image.offset[c] == -1);
  }
  CHECK(parse_preprocess("none").front_end == FrontEnd::none);
  const Preprocess mfcc = parse_preprocess("mfcc");
  CHECK(mfcc.front_end == FrontEnd::mfcc);
  CHECK(mfcc.mfcc.samples == 16000);
}

TEST_CASE("which part of a longer clip is used is chosen in the preset or in the file") {
  CHECK(parse_preprocess("mfcc").mfcc.window == ClipWindow::first);
  CHECK(parse_preprocess("mfcc:first").mfcc.window == ClipWindow::first);
  CHECK(parse_preprocess("mfcc:centre").mfcc.window == ClipWindow::centre);
  CHECK(parse_preprocess("mfcc:loudest").mfcc.window == ClipWindow::loudest);
  CHECK(parse_preprocess("mfcc:loudest").mfcc.samples == 16000);
  CHECK(preprocess_text(parse_preprocess("mfcc:loudest")).find("at 16000 Hz (the loudest part),") !=
        std::string::npos);
  Workshop shop;
  shop.write("w.json", R"({"mfcc": {"window": "centre"}})");
  CHECK(parse_preprocess(shop.path("w.json")).mfcc.window == ClipWindow::centre);
}

TEST_CASE("preprocessing reads as a line") {
  CHECK(preprocess_text({}) == "none");
  CHECK(preprocess_text(parse_preprocess("signed:128x96")) ==
        "image 128x96 RGB, stretched, bilinear, x * 0.00784314 - 1");
  CHECK(
      preprocess_text(parse_preprocess("imagenet")) ==
      "image 224x224 RGB, shorter side to 256, centre crop, bilinear, x * 0.0171248 - 2.1179; x * "
      "0.017507 - 2.03571; x * 0.0174292 - 1.80444");
  CHECK(preprocess_text(parse_preprocess("mfcc")) ==
        "mfcc 49x10 of 16000 samples at 16000 Hz, frames of 480 every 320, 40 mel bands 20 .. 4000 "
        "Hz");
}

TEST_CASE("wrong presets are named") {
  for (const char* spec :
       {"imagenet:", "imagenet:0x3", "imagenet:224", "imagenet:224x224x3", "imagenet:16384x16384",
        "unit", "unit:", "unit:12", "unit:1x2x2", "unit:1x2x3x3", "unit:-1x2", "unit:1x2 ",
        "signed:1x99999999999", "", "mfcc:1", "none:", "Imagenet"}) {
    CAPTURE(spec);
    CHECK(contains(error(spec), std::string("--preprocess ") + spec));
  }
}

TEST_CASE("an image file") {
  Workshop shop;
  shop.write("p.json", R"({"image": {"width": 32, "height": 16, "channels": 3, "order": "BGR",
      "resize": "center_crop", "resize_shorter": 40, "mean": [0.1, 0.2, 0.3], "std": 0.5}})");
  const Preprocess p = parse_preprocess(shop.path("p.json"));
  CHECK(p.front_end == FrontEnd::image);
  CHECK(p.image.width == 32);
  CHECK(p.image.height == 16);
  CHECK(p.image.bgr);
  CHECK(p.image.resize == Resize::center_crop);
  CHECK(p.image.resize_shorter == 40);
  for (int c = 0; c < 3; ++c) {
    CHECK(p.image.scale[c] == doctest::Approx(1 / 127.5).epsilon(1e-7));
    CHECK(p.image.offset[c] == doctest::Approx(-0.2 * (c + 1)).epsilon(1e-7));
  }
  shop.write("d.json", R"({"image": {"width": 5, "height": 6}})");
  const Preprocess d = parse_preprocess(shop.path("d.json"));
  CHECK(d.image.channels == 3);
  CHECK(d.image.resize == Resize::stretch);
  CHECK(d.image.scale[2] == static_cast<float>(1 / 255.0));
  CHECK(d.image.offset[2] == 0);
  CHECK(d.image.interpolation == Interpolation::bilinear);
}

TEST_CASE("an image file says how to interpolate") {
  Workshop shop;
  const auto interpolation = [&](const std::string& keys) {
    shop.write("i.json", R"({"image": {"width": 4, "height": 4)" + keys + "}}");
    return parse_preprocess(shop.path("i.json"));
  };
  CHECK(interpolation(R"(, "antialias": true)").image.interpolation == Interpolation::bilinear);
  const Preprocess cubic = interpolation(R"(, "interpolation": "bicubic")");
  CHECK(cubic.image.interpolation == Interpolation::bicubic);
  CHECK(contains(preprocess_text(cubic), "stretched, bicubic,"));
  const Preprocess aliased = interpolation(R"(, "interpolation": "bilinear", "antialias": false)");
  CHECK(aliased.image.interpolation == Interpolation::bilinear_aliased);
  CHECK(contains(preprocess_text(aliased), "bilinear without antialiasing,"));
}

TEST_CASE("means and deviations of bytes are refused with the right ones") {
  Workshop shop;
  const auto advice = [&](const std::string& keys) {
    shop.write("i.json", R"({"image": {"width": 4, "height": 4, )" + keys + "}}");
    return error(shop.path("i.json"));
  };
  CHECK(contains(advice(R"("mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375])"),
                 "give [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225]"));
  CHECK(contains(advice(R"("mean": 127.5, "std": 127.5)"), "give [0.5, 0.5, 0.5] and [0.5"));
  CHECK(contains(advice(R"("mean": [102, 51, 0])"), "give [0.4, 0.2, 0] and [0.00392157"));
  CHECK(contains(advice(R"("std": 255)"), "give [0, 0, 0] and [1, 1, 1]"));
  CHECK(contains(advice(R"("mean": 0.485, "std": 58.395)"), "[0.485, 0.485, 0.485] and [0.229"));
  CHECK(contains(advice(R"("mean": 51, "std": 0.229)"), "[0.2, 0.2, 0.2] and [0.229"));
  for (const char* fine : {R"("mean": 0)", R"("std": 1)", R"("mean": 1, "std": 2)",
                           R"("mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225])",
                           R"("mean": -1, "std": 0.00392)", R"("mean": 0.5, "std": 0.5)"})
    CHECK(advice(fine) == "");
}

TEST_CASE("an mfcc file changes what it names and keeps the rest") {
  Workshop shop;
  shop.write("m.json", R"({"mfcc": {"sample_rate": 8000, "samples": 8000, "normalize_peak": false,
      "frame_length": 256, "frame_step": 128, "fft_size": 256, "mel_bands": 20, "low_hz": 10.5,
      "high_hz": 4000, "log_offset": 1e-3, "coefficients": 13}})");
  const MfccPreprocess m = parse_preprocess(shop.path("m.json")).mfcc;
  CHECK(m.sample_rate == 8000);
  CHECK(m.samples == 8000);
  CHECK_FALSE(m.normalize_peak);
  CHECK(m.frame_length == 256);
  CHECK(m.frame_step == 128);
  CHECK(m.fft_size == 256);
  CHECK(m.mel_bands == 20);
  CHECK(m.low_hz == 10.5f);
  CHECK(m.high_hz == 4000);
  CHECK(m.log_offset == 1e-3f);
  CHECK(m.coefficients == 13);
  shop.write("e.json", R"({"mfcc": {}})");
  CHECK(parse_preprocess(shop.path("e.json")).mfcc.coefficients == 10);
}

TEST_CASE("wrong files are refused with the file's name and the key") {
  Workshop shop;
  struct Row {
    const char* text;
    const char* reason;
  };
  const Row rows[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "give {\"image\""},
      {"{}", "give {\"image\""},
      {R"({"picture": {}})", "\"picture\""},
      {R"({"image": {}, "mfcc": {}})", "nothing else"},
      {R"({"image": []})", "\"image\" is not an object"},
      {R"({"image": {"width": 4}})", "has no \"height\""},
      {R"({"image": {"width": 4, "height": 0}})", "\"height\" is 0"},
      {R"({"image": {"width": 4, "height": 4.5}})", "\"height\" is 4.5"},
      {R"({"image": {"width": 4, "height": "4"}})", "\"height\" is \"4\""},
      {R"({"image": {"width": 4, "height": 18446744073709551615}})", "\"height\""},
      {R"({"image": {"width": 4, "height": 4, "chanels": 3}})", "unknown key \"chanels\""},
      {R"({"image": {"width": 4, "height": 4, "channels": 2}})", "1 or 3"},
      {R"({"image": {"width": 4, "height": 4, "resize": "crop"}})", "\"crop\""},
      {R"({"image": {"width": 4, "height": 4, "resize": "center_crop"}})", "resize_shorter"},
      {R"({"image": {"width": 4, "height": 4, "resize_shorter": 5}})", "remove it"},
      {R"({"image": {"width": 9, "height": 4, "resize": "center_crop", "resize_shorter": 8}})",
       "\"resize_shorter\" is 8"},
      {R"({"image": {"width": 4, "height": 4, "order": "rgb"}})", "\"rgb\""},
      {R"({"image": {"width": 4, "height": 4, "mean": [1, 2]}})", "\"mean\""},
      {R"({"image": {"width": 4, "height": 4, "std": 0}})", "\"std\""},
      {R"({"image": {"width": 4, "height": 4, "std": -1}})", "\"std\""},
      {R"({"image": {"width": 4, "height": 4, "std": 1e-300}})", "\"std\""},
      {R"({"image": {"width": 4, "height": 4, "mean": [1, 2, null]}})", "\"mean\""},
      {R"({"image": {"width": 4, "height": 4, "mean": 1e300}})", "\"mean\" [1e+300"},
      {R"({"image": {"width": 4, "height": 4, "mean": 0.5, "std": 1e-40}})", "\"mean\" is 0.5"},
      {R"({"image": {"width": 4, "height": 4, "interpolation": "nearest"}})", "\"nearest\""},
      {R"({"image": {"width": 4, "height": 4, "antialias": 0}})", "true or false"},
      {R"({"image": {"width": 4, "height": 4, "interpolation": "bicubic", "antialias": false}})",
       "remove one"},
      {R"({"image": {"width": 4, "height": 4, "mean": 1e999}})", "too large"},
      {R"({"mfcc": {"fft_size": 500}})", "power of two"},
      {R"({"mfcc": {"frame_length": 600}})", "\"frame_length\" is above \"fft_size\""},
      {R"({"mfcc": {"samples": 100}})", "\"frame_length\" is above \"samples\""},
      {R"({"mfcc": {"coefficients": 41}})", "\"coefficients\" is above"},
      {R"({"mfcc": {"high_hz": 9000}})", "\"high_hz\""},
      {R"({"mfcc": {"low_hz": 4000}})", "\"low_hz\""},
      {R"({"mfcc": {"normalize_peak": 1}})", "true or false"},
      {R"({"mfcc": {"log_offset": 0}})", "\"log_offset\""},
      {R"({"mfcc": {"window": "last"}})", "give \"first\" or \"centre\" or \"loudest\""},
      {R"({"mfcc": {"hop": 3}})", "unknown key \"hop\""},
  };
  for (const Row& row : rows) {
    shop.write("bad.json", row.text);
    const std::string message = error(shop.path("bad.json"));
    CAPTURE(row.text);
    CAPTURE(message);
    CHECK(contains(message, shop.path("bad.json")));
    CHECK(contains(message, row.reason));
  }
  // Neither a stack overflow nor a message as long as the file.
  const std::string many(100000, 'k');
  std::string deep = std::string(200000, '[') + std::string(200000, ']');
  for (const std::string& value : {deep, "\"" + many + "\"", "\"\n" + many + "\""}) {
    shop.write("bad.json", "{\"image\": {\"width\": " + value + "}}");
    CHECK(contains(error(shop.path("bad.json")), shop.path("bad.json")));
    CHECK(error(shop.path("bad.json")).size() < 1000);
  }
  for (const std::string& text :
       {"{\"" + many + "\": 1}",
        "{\"image\": {\"width\": 4, \"height\": 4, \"" + many + "\": 1}}"}) {
    shop.write("bad.json", text);
    CHECK(contains(error(shop.path("bad.json")), "kkk"));
    CHECK(error(shop.path("bad.json")).size() < 1000);
  }
  CHECK(contains(error(shop.path("gone.json")), "no readable file"));
  CHECK(contains(error(shop.path("")), "no readable file"));
}

}  // namespace attune::test
