#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

void resize(TfliteNode& n, const char* mode, const char* rounding, const char* place) {
  const Dims size = n.ints(1, "size");
  if (size.size() != 2 || n.rank(0) != 4)
    n.fail("size {} for an input of shape {}", dims_text(size), dims_text(n.dims(0)));
  const std::string x = n.image(0);
  const std::string lead = n.emit("Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{2}}});
  const std::string sizes = n.emit("Concat", {lead, n.ints(size)}, {{"axis", int64_t{0}}});
  const std::string y = n.emit(
      "Resize", {x, "", "", sizes},
      {{"mode", mode}, {"nearest_mode", rounding}, {"coordinate_transformation_mode", place}});
  n.set_image(0, y, {1, size[0], size[1], n.dims(0)[3]});
}

// Between an image and one of blocks whose elements are channels.
void rearrange(TfliteNode& n, const char* onnx, int64_t block, bool to_space) {
  Dims y = n.dims(0);
  if (y.size() != 4 || block < 1 || block > 1 << 12 || y[3] > 1 << 24 ||
      (to_space ? y[3] % (block * block) : y[1] % block + y[2] % block) != 0)
    n.fail("blocks of {} of {}", block, dims_text(y));
  for (const int axis : {1, 2}) y[axis] = to_space ? y[axis] * block : y[axis] / block;
  y[3] = to_space ? y[3] / (block * block) : y[3] * block * block;
  n.set_image(0, n.emit(onnx, {n.image(0)}, {{"blocksize", block}}), y);
}

}  // namespace

void translate_RESIZE_BILINEAR(TfliteNode& n) {
  const auto& o = n.options(n.op().builtin_options_as_ResizeBilinearOptions());
  resize(n, "linear", "floor",
         o.align_corners()        ? "align_corners"
         : o.half_pixel_centers() ? "half_pixel"
                                  : "asymmetric");
}

void translate_RESIZE_NEAREST_NEIGHBOR(TfliteNode& n) {
  const auto& o = n.options(n.op().builtin_options_as_ResizeNearestNeighborOptions());
  resize(n, "nearest", o.align_corners() || o.half_pixel_centers() ? "round_prefer_ceil" : "floor",
         o.align_corners()        ? "align_corners"
         : o.half_pixel_centers() ? "half_pixel"
                                  : "asymmetric");
}

void translate_SPACE_TO_DEPTH(TfliteNode& n) {
  rearrange(n, "SpaceToDepth",
            n.options(n.op().builtin_options_as_SpaceToDepthOptions()).block_size(), false);
}

void translate_DEPTH_TO_SPACE(TfliteNode& n) {
  rearrange(n, "DepthToSpace",
            n.options(n.op().builtin_options_as_DepthToSpaceOptions()).block_size(), true);
}

}  // namespace attune
