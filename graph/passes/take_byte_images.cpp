#include "graph/ir/error.h"
#include "graph/passes/passes.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// Whether a node turns planes [N,C,H,W] to an image of this shape. A single plane is one already.
bool turns_to_image(const Graph& graph, const Node& node, const Shape& image) {
  if (node.op == Op::reshape) return image[3] == 1 && graph.shape(node.outputs[0]) == image;
  if (node.op != Op::transpose) return false;
  const auto& perm = node.as<TransposeAttrs>().perm;
  return perm[0] == 0 && perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
}

}  // namespace

ImageOrder image_order(const Shape& input, const Shape& image) {
  const int32_t batch = input[0], height = image[0], width = image[1], channels = image[2];
  if (input == Shape{batch, channels, height, width}) return ImageOrder::planes;
  if (input == Shape{batch, height, width, channels}) return ImageOrder::pixels;
  const bool grey = channels == 1 &&
                    (input == Shape{batch, height, width} || input == Shape{batch, height * width});
  return grey ? ImageOrder::pixels : ImageOrder::none;
}

void take_byte_images(Graph& graph, const Shape& image_shape, const std::vector<double>& scale,
                      const std::vector<double>& offset) {
  if (graph.inputs.empty()) throw_error("--preprocess: the model has no input");
  Port& port = graph.inputs.front();
  const ValueId old_input = port.value;
  const Shape shape = graph.shape(old_input);
  const int32_t channels = image_shape[2];
  const ImageOrder order = image_order(shape, image_shape);
  if (order == ImageOrder::none)
    throw_error("--preprocess: the model's input {} has shape {}, which no images {} make",
                port.name, shape_text(shape), shape_text(image_shape));

  const ValueId input =
      graph.add_value({.name = port.name + ".bytes",
                       .dtype = DType::u8,
                       .shape = {shape[0], image_shape[0], image_shape[1], channels},
                       .role = Role::input});
  const ValueId scales = graph.add_constant("normalize.scale", Shape{channels}, scale);
  const ValueId offsets = graph.add_constant("normalize.offset", Shape{channels}, offset);
  std::vector<Node> first;
  first.push_back(
      graph.make(Op::normalize, NoAttrs{}, {input, scales, offsets}, port.name + "/normalize"));
  const ValueId image = first.front().outputs[0];

  // Readers that turned the input to NHWC take the image as it is; others get it turned back.
  if (order == ImageOrder::planes) {
    for (Node& node : graph.nodes)
      if (node.inputs[0] == old_input && turns_to_image(graph, node, graph.shape(image))) {
        graph.replace_uses(node.outputs[0], image);
        node.outputs.clear();
      }
    std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  }
  if (order == ImageOrder::pixels && shape == graph.shape(image)) {
    graph.replace_uses(old_input, image);
  } else if (!graph.readers()[old_input].empty()) {
    const TransposeAttrs planes = transpose_attrs({0, 3, 1, 2});
    first.push_back(
        order == ImageOrder::planes
            ? graph.make(Op::transpose, planes, {image}, port.name + "/planes")
            : graph.make(Op::reshape, NoAttrs{}, {image}, port.name + "/pixels", &shape));
    graph.replace_uses(old_input, first.back().outputs[0]);
  }
  graph.nodes.insert(graph.nodes.begin(), first.begin(), first.end());
  graph.inputs.front().value = input;
  graph.index();
}

}  // namespace attune
