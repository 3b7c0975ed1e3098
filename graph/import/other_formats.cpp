#include "graph/import/other_formats.h"

namespace attune {
namespace {

struct Format {
  size_t at;
  std::string_view begins, is;
};
using namespace std::string_view_literals;

constexpr std::string_view kTorch =
    "a PyTorch file; load it in Python and write the model with torch.onnx.export";
constexpr std::string_view kPage =
    "text, such as a web page in place of a download; download the model itself";
constexpr std::string_view kWeights =
    "a file of weights without their network; load it in Python and write the model with "
    "torch.onnx.export";
constexpr Format kFormats[] = {
    {0, "version https://git-lfs"sv, "a pointer of Git LFS; get the model itself: git lfs pull"},
    {0, "PK\x03\x04"sv, kTorch},
    {0, "\x80\x02"sv, kTorch},
    {0, "\x80\x03"sv, kTorch},
    {0, "\x80\x04"sv, kTorch},
    {0, "\x80\x05"sv, kTorch},
    {4, "ORTM"sv, "a model in ONNX Runtime's own format; give the .onnx that it was made from"},
    {0, "\x89HDF"sv, "a Keras or HDF5 file; convert it with tf2onnx"},
    {0, "GGUF"sv, kWeights},
    {8, "{\""sv, kWeights},
    {0, "\x1f\x8b"sv, "compressed by gzip; unpack it first"},
    {0,
     "\xfd"
     "7zXZ"sv,
     "compressed by xz; unpack it first"},
    {0, "ATTUNEPL"sv, "a plan of Attune; give the model that it was compiled from"},
    {0, "<"sv, kPage},
    {0, "\n<"sv, kPage},
    {0, "{"sv, kPage},
};

}  // namespace

std::string_view other_format(std::string_view bytes) {
  for (const Format& format : kFormats)
    if (bytes.size() >= format.at && bytes.substr(format.at).starts_with(format.begins))
      return format.is;
  return {};
}

}  // namespace attune
