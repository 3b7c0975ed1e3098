#include <algorithm>

#include "graph/import/onnx/indexing/places.h"

// Operators that exchange places of an image and channels.
namespace attune {
namespace {

int64_t block_size(const OnnxNode& n) {
  const int64_t block = n.integer("blocksize", 0);
  if (block < 1 || block > 1 << 15) n.fail("blocksize {}", block);
  if (n.rank(0) != 4) n.fail("its input has shape {}", dims_text(n.dims(0)));
  return block;
}

}  // namespace

void import_DepthToSpace(OnnxNode& n) {
  const int64_t b = block_size(n);
  const Dims x = n.dims(0);
  if (x[1] % (b * b) != 0) n.fail("{} channels do not divide into blocks of {}", x[1], b);
  const int64_t channels = x[1] / (b * b);
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") n.fail("mode {}", mode);
  const bool blocks_first = mode == "DCR";
  const Dims split = blocks_first ? Dims{x[0], b, b, channels, x[2], x[3]}
                                  : Dims{x[0], channels, b, b, x[2], x[3]};
  const Perm perm = blocks_first ? Perm{0, 3, 4, 1, 5, 2} : Perm{0, 1, 4, 2, 5, 3};
  const ValueId moved = n.transpose(n.reshape(n.value(0), split, "blocks"), perm, "moved");
  n.set(0, n.reshape(moved, {x[0], channels, x[2] * b, x[3] * b}, nullptr));
}

void import_SpaceToDepth(OnnxNode& n) {
  const int64_t b = block_size(n);
  const Dims x = n.dims(0);
  if (x[2] % b != 0 || x[3] % b != 0)
    n.fail("an image of {} does not divide into blocks of {}", dims_text(x), b);
  const Dims split = {x[0], x[1], x[2] / b, b, x[3] / b, b};
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") n.fail("mode {}", mode);
  const Perm perm = mode == "DCR" ? Perm{0, 3, 5, 1, 2, 4} : Perm{0, 1, 3, 5, 2, 4};
  const ValueId moved = n.transpose(n.reshape(n.value(0), split, "blocks"), perm, "moved");
  n.set(0, n.reshape(moved, {x[0], x[1] * b * b, x[2] / b, x[3] / b}, nullptr));
}

// [N, C * block, positions] of the blocks of a padded image: sums of what falls on each pixel.
void import_Col2Im(OnnxNode& n) {
  const Dims x = n.dims(0), image = n.known_ints(1, "image_shape"),
             block = n.known_ints(2, "block_shape");
  const size_t axes = image.size();
  const Dims ones(axes, 1);
  const Dims strides = n.ints("strides", ones), dilations = n.ints("dilations", ones);
  const Dims pads = n.ints("pads", Dims(2 * axes, 0));
  if (axes < 1 || block.size() != axes || strides.size() != axes || dilations.size() != axes ||
      pads.size() != 2 * axes)
    n.fail("sizes of another number of axes than the {} of the image", axes);
  Dims padded, positions;
  for (size_t i = 0; i < axes; ++i) {
    for (const int64_t size : {image[i], block[i], strides[i], dilations[i]})
      if (size < 1 || size > 1 << 20) n.fail("a size of {}", size);
    if (pads[i] < 0 || pads[axes + i] < 0) n.fail("pads {}", dims_text(pads));
    padded.push_back(image[i] + pads[i] + pads[axes + i]);
    const int64_t room = padded[i] - (block[i] - 1) * dilations[i] - 1;
    if (room < 0) n.fail("a block that does not fit into the image");
    positions.push_back(room / strides[i] + 1);
  }
  const int64_t taps = count_elements(block), count = count_elements(positions);
  if (x.size() != 3 || x[1] % taps != 0 || x[2] != count || taps * count > kMaxComputedElements)
    n.fail("its input has shape {}", dims_text(x));
  const Dims of_block = strides_of(block), of_position = strides_of(positions),
             of_pixel = strides_of(padded);
  Dims places;
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t position = 0; position < count; ++position) {
      int64_t at = 0;
      for (size_t i = 0; i < axes; ++i)
        at += (position / of_position[i] % positions[i] * strides[i] +
               tap / of_block[i] % block[i] * dilations[i]) *
              of_pixel[i];
      places.push_back(at);
    }
  const int64_t channels = x[1] / taps;
  const ValueId columns = n.reshape(n.value(0), {x[0], channels, taps * count}, "columns");
  const ValueId to = n.graph().add_index_constant(n.part_name("places"), places);
  const Shape wanted = to_shape({x[0], channels, count_elements(padded)});
  const ValueId sums = n.emit(Op::scatter_add, AxisAttrs{2}, {columns, to}, "sums", &wanted);
  Dims y = {x[0], channels};
  y.insert(y.end(), padded.begin(), padded.end());
  ValueId cut = n.reshape(sums, y, "padded");
  for (size_t i = 0; i < axes; ++i)
    cut = n.slice(cut, static_cast<int>(i) + 2, pads[i], image[i], "cut");
  n.set(0, cut);
}

}  // namespace attune
