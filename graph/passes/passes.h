#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/ir/graph.h"

// Passes over a graph, each in a file of its own. The pipeline that calls them, in order, is
// sparse_update/pipeline/compile.cpp.
namespace attune {

// Computes nodes whose inputs are all constants (reference kernels in double); with `frozen`, or
// parameters that are not trained.
void fold_constants(Graph& graph, bool frozen = false);

// Moves the transposes that import put around convolutional nodes through element-wise operators,
// pads them into constants, and removes the pairs that cancel, so that the convolutional part of
// the network is NHWC from end to end. Graph inputs stay as the model has them.
void to_channels_last(Graph& graph);

// Removes nodes none of whose outputs reaches a graph output or an in-place update.
void remove_dead(Graph& graph);

// Replaces a node by an earlier one that computes the same from the same inputs.
void share_common_subexpressions(Graph& graph);

// How images [H,W,C] lie in a model's input: as planes [N,C,H,W], or as pixels [N,H,W,C]; of one
// channel also [N,H,W] and [N,H*W].
enum class ImageOrder : uint8_t { none, planes, pixels };
ImageOrder image_order(const Shape& input, const Shape& image);

// Feeds the model's first input from bytes: the input port becomes u8 [N,H,W,C], and a `normalize`
// node computes byte * scale[c] + offset[c]. The model's input must take images of that shape.
void take_byte_images(Graph& graph, const Shape& image, const std::vector<double>& scale,
                      const std::vector<double>& offset);

// Folds batch norm into the convolution or linear layer before it where that layer's weight and
// bias and the norm's gamma are frozen, backward pass included. A trained beta becomes the layer's
// bias.
void fold_batch_norm(Graph& graph);

// Makes a clamp that alone reads a convolution's or linear layer's output that layer's own, with
// its mask.
void fuse_clamp(Graph& graph);

// Lets a mask_grad sum what it writes, where a reduce reads that for the gradient of a bias: memory
// is walked through once.
void fuse_bias_gradient(Graph& graph);

// Lets the gradient of a convolution's input apply the mask, and take the sum, of the mask_grad
// that alone reads it, while what it wrote is in the cache.
void fuse_mask_grad(Graph& graph);

// Orders the nodes for a small peak of memory: every gradient is consumed as soon as it may be (an
// update waits for the last reader of the old weight). Keeps the order where that is no worse.
void schedule(Graph& graph);

// A parameter, by its value's name, of which only these channels along an axis are trained.
struct TrainedChannels {
  std::string parameter;
  int axis = 0;
  std::vector<int64_t> channels;  // increasing
};

// Leaves in the parameter's value what is trained: the rest becomes a constant, and both are put
// together right before each step that reads the weight. State that is never written need not be in
// writable memory. Updates of the slice become updates of all of the value. The graph must be
// scheduled; parameters that it does not have are passed over.
void narrow_parameters(Graph& graph, const std::vector<TrainedChannels>& trained);
// Those where that gains more than the arena grows by from its `arena_bytes`: it has the whole weight
// while it is read.
std::vector<TrainedChannels> worth_narrowing(const Graph& graph,
                                             std::vector<TrainedChannels> candidates,
                                             int64_t arena_bytes);
// What these need not have in writable memory.
int64_t frozen_bytes(const Graph& graph, const std::vector<TrainedChannels>& trained);
// The constant that a narrow parameter is put together with; kNone: it is not narrow.
ValueId frozen_part(const Graph& graph, std::string_view parameter);

// Computes gradients of weights some output channels at a time, each strip right before its update,
// where that lowers the peak of memory behind the loss: only a strip of the gradient is there at
// any time. The same kernels on fewer channels, updating rows where they lie: the same bits.
// Leaves a gradient whole that anything but its update reads. Splits until the peak is within
// `budget_bytes`, and no further. The graph must be scheduled. Returns whether it changed anything.
bool split_gradients(Graph& graph, int64_t budget_bytes = 0);

// Computes the first layers a few rows (of a signal: samples) at a time where that lowers the peak
// of memory, so that of their activations only the rows that are still to be read are there. No row
// is computed twice, and every element comes from the same sum. Chooses where to stop and how many
// rows a step makes: the smallest peak, and of those that reach it (or stay within `budget_bytes`)
// the fewest steps. The graph must be scheduled, and keeps its schedule otherwise. Returns whether
// it changed anything.
bool tile_rows(Graph& graph, int64_t budget_bytes = 0);

// Computes the first layers, forward and backward, for one example of a batch after the other, so
// that what one layer writes is in the cache when the next one reads it, and one example's
// activations are there at a time where none are saved. Gradients of parameters are added up. The
// graph must be scheduled. Returns whether it changed anything.
struct WorthStreaming {
  // Only layers that read and write so many times their weights of one example: others read their
  // weights once for a whole batch.
  int64_t times_weights = 8;
  // Only where some of them reads and writes more than this of a batch, as less stays in the cache,
  // and all of them multiply no more often for a byte than memory is slower than arithmetic. Or
  // where the peak of memory falls by a tenth.
  int64_t bytes = 1 << 20;
  int64_t macs_per_byte = 8;
};
bool stream_examples(Graph& graph, const WorthStreaming& worth = {});

// Computes saved activations a second time, for their readers behind the loss, instead of keeping
// them, until the peak of memory is within the budget: those first that save most bytes for a
// multiplication, and only where the peak falls. The copies compute the same bits. Returns whether
// it changed anything.
bool rematerialize(Graph& graph, int64_t budget_bytes);

// The same of the masks of clamps alone, as far as the peak falls by it: an element's bit is known
// from the output, which most layers behind keep anyway. Costs a pass over each of these outputs.
bool remake_masks(Graph& graph);

}  // namespace attune
