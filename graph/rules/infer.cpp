#include <algorithm>
#include <sstream>
#include <utility>

#include "graph/rules/rules.h"
#include "kernels/binding.h"

namespace attune {
namespace {

constexpr const char* kSignatures[] = {
#define OP(id, name, version, kind, Attrs, in_place, signature) signature,
#include "kernels/ops.def"
#undef OP
};

void check_arity(const Graph& graph, const Node& node) {
  const OpInfo& info = op_info(node.op);
  const int count = static_cast<int>(node.inputs.size());
  for (ValueId id : node.inputs)
    if (id != kNone && (id < 0 || id >= static_cast<ValueId>(graph.values.size())))
      throw_error("{} '{}': there is no value {}", info.name, node.name, id);
  if (!attrs_match(node.op, node.attrs))
    throw_error("{}: attributes of another operator", node_text(graph, node));
  if (count < info.required_inputs || (info.max_inputs != kAnyNumber && count > info.max_inputs))
    throw_error("{}: {} inputs, where it takes {} to {}", node_text(graph, node), count,
                info.required_inputs, info.max_inputs);
  for (int i = 0; i < count; ++i)
    if (node.inputs[i] == kNone && !input_optional(node.op, i))
      throw_error("{}: input {} is missing", node_text(graph, node), i);
  if (static_cast<int>(node.outputs.size()) > info.max_outputs)
    throw_error("{}: {} outputs, where it has {}", node_text(graph, node), node.outputs.size(),
                info.max_outputs);
}

// The first of some windows that has no element inside the image, or -1.
int64_t blind_window(const AxisFacts::Window& w, int32_t image, int32_t count) {
  for (int64_t o = 0; o < count; ++o) {
    int64_t tap = o * w.stride - w.pad_before;
    const int64_t last = tap + int64_t{w.dilation} * (w.kernel - 1);
    if (tap < 0) tap += (-tap + w.dilation - 1) / w.dilation * w.dilation;  // the first inside
    if (tap >= image || tap > last) return o;
  }
  return -1;
}

// Binds a node to its signature, and words what is wrong with it.
class Inference {
 public:
  Inference(const Graph& graph, const Node& node, const Shape* wanted)
      : graph_(graph),
        node_(node),
        wanted_(wanted),
        row_(signature(node.op)),
        tensors_(tensors_of(graph, node)),
        binding_(node.op, attrs_data(node.attrs), tensors_, real()) {}

  std::vector<Tensor> outputs() {
    if (const char* wrong = binding_.bind(wanted_)) refuse(wrong);
    check_attributes();
    check_constant_places();
    std::vector<Tensor> made(static_cast<size_t>(row_.outputs));
    for (int o = 0; o < row_.outputs; ++o) {
      if (node_.output(o) != kNone && !binding_.may_have(o)) fail("a sum without a mask");
      const Shape shape = output_shape(row_.output(o));
      if (std::any_of(shape.dims, shape.dims + shape.rank, [](int32_t size) { return size <= 0; }))
        fail("its output {} is empty", shape_text(shape));
      if (node_.op == Op::top_k && shape.last() > tensors_[0].shape.last())
        fail("the {} largest of {}", shape.last(), tensors_[0].shape.last());
      made[static_cast<size_t>(o)].dtype = binding_.type_of(inputs() + o);
      made[static_cast<size_t>(o)].shape = shape;
    }
    return made;
  }

 private:
  static std::vector<Tensor> tensors_of(const Graph& graph, const Node& node) {
    static char there;  // Binding reads no data.
    std::vector<Tensor> tensors;
    for (ValueId id : node.inputs)
      tensors.push_back(
          id == kNone
              ? Tensor()
              : Tensor{.data = &there, .dtype = graph.value(id).dtype, .shape = graph.shape(id)});
    return tensors;
  }

  // The type of the first input that has no type of its own.
  DType real() const {
    for (int i = 0; i < inputs(); ++i)
      if (row_.input(i).operand_type() == OperandType::real && is_real(tensors_[i].dtype))
        return tensors_[i].dtype;
    return graph_.real;
  }

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error("{}: {}", node_text(graph_, node_),
                fmt::format(format, std::forward<Args>(args)...));
  }

  Shape output_shape(const SignatureOperand& operand) const {
    if (operand.any_shape) return binding_.own_shape();
    Shape made;
    int block = 0;
    for (int t = 0; t < operand.count; ++t) {
      const SignatureAxis& term = operand.axes[t];
      if (!term.is_rest()) {
        made[made.rank++] = binding_.size_of(term);
        continue;
      }
      for (int i = binding_.rest_rank(block); i-- > 0;)
        made[made.rank++] = term.kind == SignatureAxis::ones ? 1 : binding_.rest_size(block, i);
      ++block;
    }
    // Where input 0 is a scalar that counts as [1], so is what is written like it.
    const bool written = block < operand.count;
    if (written && made.rank == 1 && operand.count == row_.input(0).count &&
        tensors_[0].shape.rank == 0)
      made = {};
    return made;
  }

  // ---- What no signature says, and no device checks -------------------------------------------

  void check_attributes() const {
    std::visit(
        [&](const auto& a) {
          if constexpr (requires { a.clamp_min; }) check_clamp(a.clamp_min, a.clamp_max);
          if constexpr (requires { a.min; }) check_clamp(a.min, a.max);
          if constexpr (requires { a.epsilon; })
            if (!(a.epsilon >= 0)) fail("epsilon {}", a.epsilon);
          if constexpr (requires { a.count_padding; })
            for (const char* image : {"H", "W"}) check_sight(row_.find(image));
        },
        node_.attrs);
  }

  void check_clamp(double low, double high) const {
    if (!(low <= high)) fail("clamp from {} to {}", low, high);
  }

  void check_sight(int image) const {
    const int64_t blind =
        blind_window(window(image), binding_.size(image), binding_.windows(image));
    if (blind >= 0) fail("window {} sees only padding{}", blind, window_text(image));
  }

  void check_constant_places() const {
    for (int i = 0; i < inputs(); ++i) {
      const SignatureOperand& operand = row_.input(i);
      if (operand.operand_type() != OperandType::places || node_.inputs[i] == kNone) continue;
      const int32_t size = binding_.size(operand.places), count = tensors_[i].shape[0];
      if (op_info(node_.op).kind == OpKind::update && !operand.is_ids() && count > size)
        fail("{}: {} elements of an axis of {}", word(i), count, size);
      const Value& places = graph_.value(node_.inputs[i]);
      if (!places.data) continue;
      for (int64_t place : places.data->ints())
        if (place < 0 || place >= size)
          fail("{}: {} is no element of an axis of {}", word(i), place, size);
    }
  }

  // ---- Messages ---------------------------------------------------------------------------------

  [[noreturn]] void refuse(const char* wrong) {
    const int k = binding_.operand;
    if (binding_.image != kNoName) fail("{}{}", wrong, window_text(binding_.image));
    if (k < 0) refuse_attributes(wrong);
    const SignatureOperand& operand = k < inputs() ? row_.input(k) : row_.output(k - inputs());
    if (k < inputs() && !binding_.type_fits(k, tensors_[k].dtype))
      fail("{} is {}, where {} is needed", word(k), dtype_name(tensors_[k].dtype),
           needed_type(k, operand));
    const Shape& shape = k < inputs() ? tensors_[k].shape : *wanted_;
    int blocks = 0;
    for (int t = 0; t < operand.count; ++t) blocks += operand.axes[t].is_rest();
    if (blocks == 2 && (binding_.facts().axis < 0 || binding_.facts().axis >= shape.rank))
      fail("{} is {}: it has no axis {}", word(k), shape_text(shape), binding_.facts().axis);
    if (operand.axes[0].kind == SignatureAxis::rest_or_less)
      fail("{} is {}, which does not broadcast to {}", word(k), shape_text(shape),
           needed_shape(row_.output(0), -1));
    const int axis = binding_.axis;
    if (axis < 0)
      fail("{} is {}, where {} is needed", word(k), shape_text(shape), needed_shape(operand, k));
    const SignatureAxis term =
        operand_axes(operand, k, shape.rank, binding_.facts()).axes[axis].term;
    if (term.factor != kNoName && shape[axis] % binding_.size(term.name) != 0)
      fail("{} is {}, where {} does not divide by {} = {}", word(k), shape_text(shape), shape[axis],
           name_text(term.name), binding_.size(term.name));
    fail("{} is {}, where {} is needed{}", word(k), shape_text(shape), needed_shape(operand, k),
         reason(k, term));
  }

  [[noreturn]] void refuse_attributes(const char* wrong) const {
    std::string text = attrs_text(node_.attrs);
    if (const int32_t* perm = binding_.facts().perm)
      text = fmt::format("[{}]", fmt::join(perm, perm + tensors_[0].shape.rank, ","));
    fail("{}{}{}{}", wrong, text.empty() ? "" : ": ", text,
         wanted_ == nullptr ? "" : ", for an output of " + shape_text(*wanted_));
  }

  std::string needed_type(int k, const SignatureOperand& operand) const {
    const DType type = binding_.type_of(k);
    if (operand.operand_type() == OperandType::whole && type == DType::mask)
      return "a type of whole bytes";
    if (operand.operand_type() == OperandType::real && !is_real(tensors_[k].dtype))
      return "f32 or f64";
    return dtype_name(type);
  }

  // "[2,O,3]": names stand where no size is known.
  std::string needed_shape(const SignatureOperand& operand, int k) const {
    std::vector<std::string> sizes;
    int block = 0;
    for (int t = 0; t < operand.count; ++t) {
      const SignatureAxis& term = operand.axes[t];
      if (!term.is_rest()) {
        const int32_t size = binding_.size_of(term);
        sizes.push_back(size < 0 || operand.many ? term_text(term) : std::to_string(size));
        continue;
      }
      if (binding_.rest_rank(block) < 0) sizes.push_back("..");
      for (int i = binding_.rest_rank(block); i-- > 0;)
        sizes.push_back(std::to_string(binding_.rest_size(block, i)));
      ++block;
    }
    if (operand.swapped && binding_.facts().swapped[k])
      std::swap(sizes.rbegin()[0], sizes.rbegin()[1]);
    return fmt::format("[{}]", fmt::join(sizes, ","));
  }

  // ": C is 3 in x", or ": C is 3 in the attributes".
  std::string reason(int k, const SignatureAxis& term) const {
    if (term.kind != SignatureAxis::named) return "";
    const std::string is = fmt::format(": {} is {}", term_text(term), binding_.size_of(term));
    if (term.window)
      return fmt::format("{}, the windows over {} = {}", is, name_text(term.name),
                         binding_.size(term.name));
    for (int i = 0; i < inputs(); ++i)
      for (int t = 0; t < row_.input(i).count; ++t) {
        const SignatureAxis& other = row_.input(i).axes[t];
        if (i != k && tensors_[i] && !other.window && inner_name(other) == inner_name(term))
          return is + " in " + word(i);
      }
    return is + " in the attributes";
  }
  int inner_name(const SignatureAxis& term) const {
    return binding_.real_name(term.factor == kNoName ? term.name : term.factor);
  }

  const AxisFacts::Window& window(int image) const {
    return image == row_.find("H") ? binding_.facts().rows : binding_.facts().columns;
  }
  std::string window_text(int image) const {
    const AxisFacts::Window& w = window(image);
    const int kernel = row_.find("K" + name_text(image));
    return fmt::format(": {} is {}, the kernel {}, stride {}, dilation {}, padding {} and {}",
                       name_text(image), std::max(binding_.size(image), 0),
                       kernel == kNoName ? w.kernel : std::max(binding_.size(kernel), 0), w.stride,
                       w.dilation, w.pad_before, w.pad_after);
  }

  // The name of an operand in the signature.
  std::string word(int k) const {
    if (k < inputs() && row_.input(k).many) return fmt::format("input {}", k);
    const int place = k < inputs() ? k : row_.inputs + k - inputs();
    std::istringstream words(kSignatures[static_cast<int>(node_.op)]);
    std::string word;
    for (int i = 0; i <= place; i += word != "->") words >> word;
    return word.substr(word.starts_with('+'), word.find('[') - word.starts_with('+'));
  }

  std::string name_text(int name) const {
    return {row_.names[name], row_.names[name][1] == '\0' ? size_t{1} : size_t{2}};
  }
  std::string term_text(const SignatureAxis& term) const {
    if (term.kind != SignatureAxis::named) return "1";
    if (term.window) return name_text(term.name) + "'";
    if (term.factor == kNoName) return name_text(term.name);
    return name_text(term.name) + "*" + name_text(term.factor);
  }

  int inputs() const { return static_cast<int>(tensors_.size()); }

  const Graph& graph_;
  const Node& node_;
  const Shape* const wanted_;
  const Signature& row_;
  const std::vector<Tensor> tensors_;
  Binding binding_;
};

}  // namespace

std::vector<Tensor> infer_outputs(const Graph& graph, const Node& node, const Shape* wanted) {
  check_arity(graph, node);
  return Inference(graph, node, wanted).outputs();
}

}  // namespace attune
