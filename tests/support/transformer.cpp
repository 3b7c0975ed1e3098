#include "tests/support/transformer.h"

#include <google/protobuf/unknown_field_set.h>

#include <cmath>

#include "engine/random.h"

namespace attune::test {
namespace {

class TransformerBuilder {
 public:
  TransformerBuilder(Family family, Exporter exporter, const TransformerSizes& sizes)
      : sizes_(sizes), family_(family), torchscript_(exporter == Exporter::torchscript) {}

  OnnxModel build() {
    net_.int_input("ids", {-1, sizes_.length}).output("scores");
    const int64_t head = sizes_.width / sizes_.heads;
    net_.ints("heads", {0, 0, sizes_.heads, head}).ints("joined", {0, 0, sizes_.width});
    net_.ints("first", {0});
    net_.tensor("const_scale", {}, static_cast<float>(1 / std::sqrt(head)));
    std::string x;
    switch (family_) {
      case Family::bert:
        x = embed("bert.embeddings");
        for (int64_t b = 0; b < sizes_.blocks; ++b) x = bert_block(x, b);
        x = linear(first_token(x), "bert.pooler.dense", sizes_.width, sizes_.width);
        x = node("Tanh", {x}, "bert.pooler.activation");
        break;
      case Family::distilbert:
        x = embed("distilbert.embeddings");
        for (int64_t b = 0; b < sizes_.blocks; ++b) x = distilbert_block(x, b);
        x = linear(first_token(x), "pre_classifier", sizes_.width, sizes_.width);
        x = node("Relu", {x}, "");
        break;
      case Family::llama:
        x = node("Gather", {table("model.embed_tokens.weight"), "ids"}, "model.embed_tokens");
        for (int64_t b = 0; b < sizes_.blocks; ++b) x = llama_block(x, b);
        x = first_token(root_mean_square(x, "model.norm"));
        break;
    }
    x = linear(x, family_ == Family::llama ? "score" : "classifier", sizes_.width, sizes_.classes,
               family_ != Family::llama);
    net_.node("Identity", {x}, {"scores"});
    return net_.model();
  }

 private:
  std::string bert_block(const std::string& x, int64_t block) {
    const std::string in = "bert.encoder.layer." + std::to_string(block);
    const std::string self = in + ".attention.self";
    std::string y = attention(x, self, self + ".query", self + ".key", self + ".value", true);
    y = linear(y, in + ".attention.output.dense", sizes_.width, sizes_.width);
    const std::string middle = norm(node("Add", {y, x}, in), in + ".attention.output.LayerNorm");
    y = linear(middle, in + ".intermediate.dense", sizes_.width, sizes_.inner);
    y = node("HardSwish", {y}, in + ".intermediate.intermediate_act_fn");
    y = linear(y, in + ".output.dense", sizes_.inner, sizes_.width);
    return norm(node("Add", {y, middle}, in), in + ".output.LayerNorm");
  }

  std::string distilbert_block(const std::string& x, int64_t block) {
    const std::string in = "distilbert.transformer.layer." + std::to_string(block);
    const std::string self = in + ".attention";
    std::string y = attention(x, self, self + ".q_lin", self + ".k_lin", self + ".v_lin", true);
    y = linear(y, self + ".out_lin", sizes_.width, sizes_.width);
    const std::string middle = norm(node("Add", {y, x}, in), in + ".sa_layer_norm");
    y = linear(middle, in + ".ffn.lin1", sizes_.width, sizes_.inner);
    y = node("HardSwish", {y}, in + ".ffn.activation");
    y = linear(y, in + ".ffn.lin2", sizes_.inner, sizes_.width);
    return norm(node("Add", {y, middle}, in), in + ".output_layer_norm");
  }

  std::string llama_block(const std::string& x, int64_t block) {
    const std::string in = "model.layers." + std::to_string(block);
    const std::string self = in + ".self_attn", mlp = in + ".mlp";
    std::string y = root_mean_square(x, in + ".input_layernorm");
    y = attention(y, self, self + ".q_proj", self + ".k_proj", self + ".v_proj", false);
    y = linear(y, self + ".o_proj", sizes_.width, sizes_.width, false);
    const std::string middle = node("Add", {x, y}, in);
    y = root_mean_square(middle, in + ".post_attention_layernorm");
    const std::string gate =
        node("HardSwish", {linear(y, mlp + ".gate_proj", sizes_.width, sizes_.inner, false)}, mlp);
    const std::string up = linear(y, mlp + ".up_proj", sizes_.width, sizes_.inner, false);
    y = linear(node("Mul", {gate, up}, mlp), mlp + ".down_proj", sizes_.inner, sizes_.width, false);
    return node("Add", {middle, y}, in);
  }

  std::string embed(const std::string& in) {
    const std::string words =
        node("Gather", {table(in + ".word_embeddings.weight"), "ids"}, in + ".word_embeddings");
    const std::string places = in + ".position_embeddings.weight";
    random(places, {sizes_.length, sizes_.width}, 0.5);
    return norm(node("Add", {words, places}, in), in + ".LayerNorm");
  }
  std::string table(const std::string& name) {
    random(name, {sizes_.vocabulary, sizes_.width}, 1);
    return name;
  }

  std::string attention(const std::string& x, const std::string& in, const std::string& q,
                        const std::string& k, const std::string& v, bool biased) {
    const auto heads = [&](const std::string& projection, std::vector<int64_t> perm) {
      const std::string y = linear(x, projection, sizes_.width, sizes_.width, biased);
      return transposed(node("Reshape", {y, "heads"}, in), std::move(perm), in);
    };
    const std::string query = heads(q, {0, 2, 1, 3}), key = heads(k, {0, 2, 3, 1});
    std::string y = node("Mul", {node("MatMul", {query, key}, in), "const_scale"}, in);
    y = node("Softmax", {y}, in);
    y = node("MatMul", {y, heads(v, {0, 2, 1, 3})}, in);
    return node("Reshape", {transposed(y, {0, 2, 1, 3}, in), "joined"}, in);
  }

  std::string transposed(const std::string& x, std::vector<int64_t> perm, const std::string& in) {
    const std::string y = node("Transpose", {x}, in);
    set_ints(last_node(), "perm", perm);
    return y;
  }

  // As exporters write it: of a matrix that they transposed, and its bias.
  std::string linear(const std::string& x, const std::string& module, int64_t in, int64_t out,
                     bool biased = true) {
    const std::string weight = (torchscript_ ? "onnx::MatMul_" : "val_") + std::to_string(++made_);
    random(weight, {in, out}, 1 / std::sqrt(static_cast<double>(in)));
    const std::string y = node("MatMul", {x, weight}, module);
    if (!biased) return y;
    random(module + ".bias", {out}, 0.1);
    return node("Add", {module + ".bias", y}, module);
  }

  std::string norm(const std::string& x, const std::string& module) {
    net_.tensor(module + ".weight", {sizes_.width}, 1, 0.01f);
    net_.tensor(module + ".bias", {sizes_.width}, 0, 0.01f);
    return node("LayerNormalization", {x, module + ".weight", module + ".bias"}, module);
  }

  std::string root_mean_square(const std::string& x, const std::string& module) {
    net_.tensor(module + ".weight", {sizes_.width}, 1, 0.01f);
    net_.tensor("val_epsilon" + std::to_string(++made_), {}, 1e-6f);
    const std::string epsilon = "val_epsilon" + std::to_string(made_);
    const std::string mean = node("ReduceMean", {node("Mul", {x, x}, module)}, module);
    set_ints(last_node(), "axes", {-1});
    const std::string deviation = node("Sqrt", {node("Add", {mean, epsilon}, module)}, module);
    return node("Mul", {module + ".weight", node("Div", {x, deviation}, module)}, module);
  }

  std::string first_token(const std::string& x) {
    const std::string y = node("Gather", {x, "first"}, "");
    set_int(last_node(), "axis", 1);
    net_.ints("flat", {0, sizes_.width});
    return node("Reshape", {y, "flat"}, "");
  }

  // A node of a module, named as the exporter does.
  std::string node(const std::string& op, const std::vector<std::string>& inputs,
                   const std::string& module) {
    const std::string number = std::to_string(++made_), output = "value_" + number;
    onnx::NodeProto& made = net_.node(op, inputs, {output});
    if (torchscript_) {
      // "/encoder/layer.0/query/MatMul": only what is counted is joined by a dot.
      std::string path = "/" + module;
      for (size_t at = 1; at + 1 < path.size(); ++at)
        if (path[at] == '.' && (path[at + 1] < '0' || path[at + 1] > '9')) path[at] = '/';
      made.set_name(path + (module.empty() ? "" : "/") + op + "_" + number);
      return output;
    }
    made.set_name("node_" + op + "_" + number);
    onnx::StringStringEntryProto scopes;
    scopes.set_key("pkg.torch.onnx.name_scopes");
    scopes.set_value("['', '" + module + "', 'linear_" + number + "']");
    constexpr int kMetadata = 9;  // Debian's ONNX does not know the field
    made.GetReflection()->MutableUnknownFields(&made)->AddLengthDelimited(
        kMetadata, scopes.SerializeAsString());
    return output;
  }
  onnx::NodeProto& last_node() {
    auto& graph = *net_.proto().mutable_graph();
    return *graph.mutable_node(graph.node_size() - 1);
  }

  void random(const std::string& name, const std::vector<int64_t>& dims, double scale) {
    net_.tensor(name, dims, 0, 0);
    auto& graph = *net_.proto().mutable_graph();
    for (float& x : *graph.mutable_initializer(graph.initializer_size() - 1)->mutable_float_data())
      x = static_cast<float>(scale * (static_cast<double>(random_.next() >> 11) * 0x1p-52 - 1));
  }

  const TransformerSizes sizes_;
  const Family family_;
  const bool torchscript_;
  OnnxBuilder net_;
  Random random_{5, 0};
  int made_ = 0;
};

}  // namespace

OnnxModel transformer(Family family, Exporter exporter, const TransformerSizes& sizes) {
  return TransformerBuilder(family, exporter, sizes).build();
}

}  // namespace attune::test
