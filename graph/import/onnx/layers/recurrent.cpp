#include "graph/import/onnx/layers/recurrent.h"

#include <algorithm>

namespace attune {
namespace {

bool all_zero(const KnownTensor& tensor) {
  bool zero = true;
  tensor.data->each_block([&](size_t, std::span<const double> block) {
    zero &= std::all_of(block.begin(), block.end(), [](double x) { return x == 0; });
  });
  return zero;
}

// A matrix of the layer, known or computed. `dims` are the node's own.
ValueId weight(const OnnxNode& n, int input, const Dims& dims, const Dims& view, const char* what) {
  if (n.dims(input) != dims)
    n.fail("its {} has shape {}, not {}", what, dims_text(n.dims(input)), dims_text(dims));
  if (n.is_known(input) && !n.known(input, what).derived)
    return n.weight(input, view, identity_perm(static_cast<int>(view.size())), what);
  return n.reshape(n.operand(input, Use::weight), view, what);
}

// A state before the first step as [N,D,H], or kNone: zeros.
ValueId initial_state(const OnnxNode& n, int input, const Recurrent& layer, const char* what) {
  if (!n.has(input)) return kNone;
  const Dims dims = layer.steps_first ? Dims{layer.directions, layer.examples, layer.hidden}
                                      : Dims{layer.examples, layer.directions, layer.hidden};
  if (n.dims(input) != dims)
    n.fail("its {} has shape {}, not {}", what, dims_text(n.dims(input)), dims_text(dims));
  if (n.is_known(input)) {
    const KnownTensor& known = n.known(input, what);
    const bool learned = known.view && known.view->mark == Mark::parameter;
    if (!learned && all_zero(known)) return kNone;
  }
  const ValueId state = n.operand(input);
  return layer.steps_first ? n.transpose(state, {1, 0, 2}, what) : state;
}

void read_lengths(const OnnxNode& n, Recurrent* layer) {
  if (!n.has(4)) return;
  const Dims dims = {layer->examples};
  if (n.dims(4) != dims)
    n.fail("its sequence lengths have shape {}, not {}", dims_text(n.dims(4)), dims_text(dims));
  if (n.is_known(4)) {
    Dims lengths = n.known_ints(4, "sequence lengths");
    const auto whole = [&](int64_t length) { return length >= layer->steps; };
    if (std::all_of(lengths.begin(), lengths.end(), whole)) return;
    layer->known_lengths = std::move(lengths);
  }
  layer->lengths = n.places(4);
}

// Those that take one, in order, take a number from the node's list.
void read_activations(const OnnxNode& n, Recurrent* layer) {
  struct Known {
    const char* name;
    double alpha, beta;
    int numbers;
  };
  constexpr Known kActivations[] = {
      {"relu", 0, 0, 0},
      {"tanh", 0, 0, 0},
      {"sigmoid", 0, 0, 0},
      {"affine", 1, 0, 2},
      {"elu", 1, 0, 1},
      {"leakyrelu", 0.01, 0, 1},
      {"scaledtanh", 1, 1, 2},
      {"softsign", 0, 0, 0},
      {"hardsigmoid", 0.2, 0.5, 2},
      {"thresholdedrelu", 1, 0, 1},
      {"softplus", 0, 0, 0},
  };
  std::vector<std::string> names = n.texts("activations");
  const auto of_direction = [&]() -> std::vector<std::string> {
    if (layer->op == Op::lstm) return {"Sigmoid", "Tanh", "Tanh"};
    if (layer->op == Op::gru) return {"Sigmoid", "Tanh"};
    return {"Tanh"};
  }();
  const size_t wanted = of_direction.size() * static_cast<size_t>(layer->directions);
  if (names.empty())
    for (size_t i = 0; i < wanted; ++i) names.push_back(of_direction[i % of_direction.size()]);
  if (names.size() != wanted) n.fail("{} activations, not {}", names.size(), wanted);
  const std::vector<double> alphas = n.reals("activation_alpha"),
                            betas = n.reals("activation_beta");
  size_t alpha = 0, beta = 0;
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto* known = std::find_if(std::begin(kActivations), std::end(kActivations),
                                     [&](const Known& k) { return name == k.name; });
    if (known == std::end(kActivations)) n.fail("activation {} is not supported", name);
    Activation made{name, known->alpha, known->beta};
    if (known->numbers > 0 && alpha < alphas.size()) made.alpha = alphas[alpha++];
    if (known->numbers > 1 && beta < betas.size()) made.beta = betas[beta++];
    layer->activations.push_back(std::move(made));
  }
}

Recurrent read_layer(const OnnxNode& n, Op op, int64_t gates) {
  Recurrent layer;
  layer.op = op, layer.gates = gates;
  layer.steps_first = n.integer("layout", 0) == 0;
  const std::string direction = n.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    n.fail("direction {} is not supported", direction);
  layer.directions = direction == "bidirectional" ? 2 : 1;
  layer.reverse = direction == "reverse";
  const Dims x = n.dims(0), r = n.dims(2);
  if (x.size() != 3) n.fail("its input has shape {}", dims_text(x));
  if (r.size() != 3) n.fail("its recurrent weight has shape {}", dims_text(r));
  layer.steps = x[layer.steps_first ? 0 : 1];
  layer.examples = x[layer.steps_first ? 1 : 0];
  layer.hidden = n.integer("hidden_size", r[2]);
  layer.reset_after = n.integer("linear_before_reset", 0) != 0;
  layer.input_forget = n.integer("input_forget", 0) != 0;
  layer.clip = n.real("clip", 0);
  const int64_t d = layer.directions, rows = gates * layer.hidden;
  read_activations(n, &layer);
  read_lengths(n, &layer);

  // The products of all steps at once: a layer as any other, of both directions.
  const ValueId w = weight(n, 1, {d, rows, x[2]}, {d * rows, x[2]}, "weight");
  ValueId in = n.value(0);
  if (layer.steps_first) in = n.transpose(in, {1, 0, 2}, "examples_first");
  in = n.reshape(in, {layer.examples * layer.steps, x[2]}, "rows");
  const ValueId product = n.emit(Op::linear, LinearAttrs{}, {in, w}, "input");
  layer.xw = n.reshape(product, {layer.examples, layer.steps, d, rows}, "steps");

  layer.r = weight(n, 2, {d, rows, layer.hidden}, {d, rows, layer.hidden}, "recurrent_weight");
  if (n.has(3)) layer.b = weight(n, 3, {d, 2 * rows}, {d, 2, rows}, "bias");
  layer.h = initial_state(n, 5, layer, "initial_state");
  if (op == Op::lstm) {
    layer.c = initial_state(n, 6, layer, "initial_cell");
    if (n.has(7) && !(n.is_known(7) && all_zero(n.known(7, "peepholes"))))
      layer.peepholes = weight(n, 7, {d, 3 * layer.hidden}, {d, 3 * layer.hidden}, "peepholes");
  }
  return layer;
}

// Whether an operator computes the whole layer.
bool is_fused(const Recurrent& layer) {
  if (layer.clip != 0 || layer.input_forget || layer.peepholes != kNone) return false;
  const size_t each = layer.activations.size() / static_cast<size_t>(layer.directions);
  const auto& first = layer.activations.front().name;
  for (size_t i = 0; i < layer.activations.size(); ++i) {
    const std::string& name = layer.activations[i].name;
    if (layer.op == Op::rnn ? name != first || (name != "tanh" && name != "relu")
                            : name != (i % each == 0 ? "sigmoid" : "tanh"))
      return false;
  }
  return true;
}

RecurrentOutputs fuse(const OnnxNode& n, const Recurrent& layer) {
  RecurrentOutputs made;
  const auto& [op, xw, r, b, h, c, lengths] =
      std::tie(layer.op, layer.xw, layer.r, layer.b, layer.h, layer.c, layer.lengths);
  if (op == Op::lstm)
    made.y = n.emit(op, LstmAttrs{layer.reverse}, {xw, r, b, h, c, lengths});
  else if (op == Op::gru)
    made.y = n.emit(op, GruAttrs{layer.reverse, layer.reset_after}, {xw, r, b, h, lengths});
  else
    made.y = n.emit(op, RnnAttrs{layer.reverse, layer.activations[0].name == "relu"},
                    {xw, r, b, h, lengths});
  if (n.wants(1)) made.h = n.also(1);
  if (n.wants(2)) made.c = n.also(2);
  return made;
}

void import_recurrent(OnnxNode& n, Op op, int64_t gates) {
  const Recurrent layer = read_layer(n, op, gates);
  const RecurrentOutputs made = is_fused(layer) ? fuse(n, layer) : unroll(n, layer);
  // An axis of one direction is left out while the others change places, so that this meets the
  // transpose that exporters put behind.
  const auto moved = [&](ValueId x, const Perm& perm, const Perm& perm_of_one) {
    if (!layer.steps_first) return x;
    if (layer.directions > 1) return n.transpose(x, perm, "steps_first");
    Dims dims = to_dims(n.shape(x));
    const Dims whole = permuted(dims, perm);
    dims.erase(dims.end() - 2);
    const ValueId narrow = n.reshape(x, dims, "one_direction");
    return n.reshape(n.transpose(narrow, perm_of_one, "steps_first"), whole, "directions");
  };
  if (n.wants(0)) n.set(0, moved(made.y, {1, 2, 0, 3}, {1, 0, 2}));
  for (const auto& [output, state] : {std::pair(1, made.h), std::pair(2, made.c)})
    if (n.wants(output)) n.set(output, moved(state, {1, 0, 2}, {0, 1}));
}

}  // namespace

void import_LSTM(OnnxNode& n) { import_recurrent(n, Op::lstm, LstmAttrs::gates); }
void import_GRU(OnnxNode& n) { import_recurrent(n, Op::gru, GruAttrs::gates); }
void import_RNN(OnnxNode& n) { import_recurrent(n, Op::rnn, RnnAttrs::gates); }

}  // namespace attune
