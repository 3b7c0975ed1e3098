// y = softmax(q k^T * scale + bias) v, head by head, as a composition.
#include <cmath>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// In place of -infinity: nothing after a softmax, and finite, so that a row of nothing else has a
// gradient. What is less than half of it is masked.
constexpr double kMasked = -1e30;

class Attention {
 public:
  explicit Attention(OnnxNode& n) : n_(n) {
    mode_ = n.integer("qk_matmul_output_mode", 0);
    if (mode_ < 0 || mode_ > 3) n.fail("qk_matmul_output_mode {}", mode_);
    if (n.has(4) != n.has(5)) n.fail("one of past_key and past_value");
    if (n.has(4) && n.has(6)) n.fail("past keys together with nonpad_kv_seqlen");
    q_ = heads(0, "q_num_heads");
    k_ = heads(1, "kv_num_heads");
    v_ = heads(2, "kv_num_heads");
    if (n.has(4)) {
      past_ = n.dims(4).at(2);
      k_ = n.emit(Op::concat, AxisAttrs{2}, {n.value(4), k_}, "keys");
      v_ = n.emit(Op::concat, AxisAttrs{2}, {n.value(5), v_}, "values");
    }
    const Dims q = to_dims(n.shape(q_)), k = to_dims(n.shape(k_)), v = to_dims(n.shape(v_));
    batch_ = q[0], heads_ = q[1], queries_ = q[2], size_ = q[3];
    groups_ = k[1], keys_ = k[2], values_ = v[3];
    if (k[0] != batch_ || v[0] != batch_ || v[1] != groups_ || v[2] != keys_ || k[3] != size_ ||
        heads_ % groups_ != 0)
      n.fail("queries of shape {}, keys of {} and values of {}", dims_text(q), dims_text(k),
             dims_text(v));
  }

  void run() {
    n_.set(1, k_);
    n_.set(2, v_);
    ValueId s = scores();
    if (mode_ == 0) n_.set(3, s);
    if (const double cap = n_.real("softcap", 0); cap > 0) {
      s = n_.emit(Op::scale, ScaleAttrs{1 / cap, 0}, {s}, "per_cap");
      s = n_.emit(Op::tanh, NoAttrs{}, {s}, "tanh");
      s = n_.emit(Op::scale, ScaleAttrs{cap, 0}, {s}, "capped");
    }
    if (mode_ == 1) n_.set(3, s);
    s = masked(s);
    if (mode_ == 2) show_masked(s);
    ValueId p = n_.emit(Op::softmax, NoAttrs{}, {s}, "probabilities");
    if (may_be_empty_) {
      // A row that sees nothing gives nothing, as in PyTorch.
      const ValueId most = n_.emit(Op::reduce_max, NoAttrs{}, {s}, "largest");
      const ValueId some =
          n_.emit(Op::less, NoAttrs{}, {n_.number(kMasked / 2), most}, "sees_some");
      p = n_.emit(Op::mul, NoAttrs{}, {p, some}, "seen");
    }
    if (mode_ == 3) n_.set(3, p);
    n_.set(0, merged(p));
  }

 private:
  // [B,H,S,D], of [B,S,H*D] perhaps.
  ValueId heads(int input, const char* count) const {
    const Dims dims = n_.dims(input);
    const ValueId x = n_.value(input);
    if (dims.size() == 4) return x;
    const int64_t heads = n_.integer(count, 0);
    if (dims.size() != 3 || heads < 1 || dims[2] % heads != 0)
      n_.fail("an input of shape {} in {} heads", dims_text(dims), heads);
    const ValueId apart = n_.reshape(x, {dims[0], dims[1], heads, dims[2] / heads}, "heads");
    return n_.transpose(apart, {0, 2, 1, 3}, "heads");
  }

  // Heads that share keys are rows of one product.
  Dims grouped(int64_t columns) const {
    return {batch_, groups_, heads_ / groups_ * queries_, columns};
  }

  ValueId scores() const {
    const double scale = n_.real("scale", 1 / std::sqrt(static_cast<double>(size_)));
    const ValueId q = n_.emit(Op::scale, ScaleAttrs{scale, 0}, {q_}, "scaled");
    const ValueId s = n_.emit(Op::matmul, MatmulAttrs{false, true},
                              {n_.reshape(q, grouped(size_), "groups"), k_}, "scores");
    return n_.reshape(s, {batch_, heads_, queries_, keys_}, "scores");
  }

  ValueId merged(ValueId p) const {
    const ValueId rows = n_.reshape(p, grouped(keys_), "groups");
    const bool apart = n_.rank(0) == 4, ends = apart && groups_ == heads_;
    ValueId y = n_.emit(Op::matmul, MatmulAttrs{}, {rows, v_}, ends ? nullptr : "attended");
    y = n_.reshape(y, {batch_, heads_, queries_, values_}, apart ? nullptr : "heads");
    if (apart) return y;
    y = n_.transpose(y, {0, 2, 1, 3}, "merged");
    return n_.reshape(y, {batch_, queries_, heads_ * values_}, nullptr);
  }

  // ---- Masks ------------------------------------------------------------------------------------

  ValueId masked(ValueId s) {
    const Dims square = {queries_, keys_};
    std::vector<double> known(static_cast<size_t>(queries_ * keys_), 0);
    bool some = false;
    // Query i sees key j where j - i - past is no more than `right` and no less than -`left`.
    const bool causal = n_.integer("is_causal", 0) != 0, padded = n_.has(6);
    const int64_t left = n_.integer("left_window_size", -1);
    const int64_t right = causal ? 0 : n_.integer("right_window_size", -1);
    if (!padded && (left >= 0 || right >= 0)) {
      for (int64_t i = 0; i < queries_; ++i)
        for (int64_t j = 0; j < keys_; ++j) {
          const int64_t ahead = j - i - past_;
          if ((right >= 0 && ahead > right) || (left >= 0 && -ahead > left))
            known[static_cast<size_t>(i * keys_ + j)] = kMasked, some = true;
        }
    }
    Dims dims = square;
    if (n_.has(3) && is_fixed()) {
      const KnownTensor mask = known_mask();
      dims = broadcast_dims(mask.dims, square);
      const std::vector<double> added = mask.data->broadcast(mask.dims, dims)->reals();
      std::vector<double> both(added.size());
      for (size_t i = 0; i < both.size(); ++i)
        both[i] = std::max(added[i] + known[i % known.size()], kMasked);
      known = std::move(both);
      some = true;
    }
    if (some) {
      for (size_t row = 0; row < known.size(); row += static_cast<size_t>(keys_))
        may_be_empty_ |= std::all_of(known.begin() + static_cast<ptrdiff_t>(row),
                                     known.begin() + static_cast<ptrdiff_t>(row) + keys_,
                                     [](double x) { return x < kMasked / 2; });
      s = n_.emit(Op::add, NoAttrs{}, {s, n_.constant(dims, std::move(known), "mask")}, "masked");
      masks_ = true;
    }
    if (n_.has(3) && !is_fixed()) s = add_computed(s);
    return padded ? mask_padding(s, left, right) : s;
  }

  bool is_fixed() const { return n_.is_known(3) && !n_.trains(3, Use::operand); }
  bool is_bool() const { return n_.type(3) == ElementType::boolean; }
  int64_t missing_keys() const {
    const Dims dims = n_.dims(3);
    return dims.empty() || dims.back() == 1 ? 0 : std::max<int64_t>(keys_ - dims.back(), 0);
  }

  // What is to be added; keys that the mask does not have are not seen.
  KnownTensor known_mask() const {
    KnownTensor mask = cast(n_.known(3, "mask"), ElementType::f64);
    std::vector<double> reals = mask.data->reals();
    for (double& x : reals)
      if (is_bool())
        x = x != 0 ? 0 : kMasked;
      else
        x = std::max(x, kMasked);
    mask.data = Data::of_reals(std::move(reals));
    mask.view.reset();
    if (missing_keys() == 0) return mask;
    KnownTensor end;
    end.type = ElementType::f64;
    end.dims = mask.dims;
    end.dims.back() = missing_keys();
    end.data =
        Data::of_reals(std::vector<double>(static_cast<size_t>(count_elements(end.dims)), kMasked));
    return concat({mask, end}, static_cast<int>(mask.dims.size()) - 1);
  }

  ValueId add_computed(ValueId s) {
    ValueId mask = n_.value(3);
    const int last = n_.shape(mask).rank - 1;
    if (is_bool()) {
      if (missing_keys() > 0) mask = n_.pad(mask, last, 0, missing_keys(), 0);
      return add_seen(s, mask);
    }
    if (missing_keys() > 0) mask = n_.pad(mask, last, 0, missing_keys(), kMasked);
    s = n_.emit(Op::add, NoAttrs{}, {s, mask}, "masked");
    masks_ = may_be_empty_ = true;
    return n_.emit(Op::clamp, ClampAttrs{.min = kMasked}, {s}, "finite");
  }

  // `seen` is 1 where a query sees a key, else 0.
  ValueId add_seen(ValueId s, ValueId seen) {
    const ScaleAttrs attrs{-kMasked, kMasked};
    masks_ = may_be_empty_ = true;
    return n_.emit(Op::add, NoAttrs{}, {s, n_.emit(Op::scale, attrs, {seen}, "unseen")}, "masked");
  }

  // Of each example, keys from its length on are padding, and the last query is at its last key.
  ValueId mask_padding(ValueId s, int64_t left, int64_t right) {
    const ValueId length = n_.reshape(n_.value(6), {batch_, 1, 1, 1}, "length");
    std::vector<double> key, ahead;
    for (int64_t j = 0; j < keys_; ++j) key.push_back(static_cast<double>(j));
    for (int64_t i = 0; i < queries_; ++i)
      for (int64_t j = 0; j < keys_; ++j) ahead.push_back(static_cast<double>(j - i + queries_));
    const ValueId keys = n_.constant({keys_}, std::move(key), "keys");
    s = add_seen(s, n_.emit(Op::less, NoAttrs{}, {keys, length}, "inside"));
    if (left < 0 && right < 0) return s;
    const ValueId at = n_.constant({queries_, keys_}, std::move(ahead), "ahead");
    const ValueId distance = n_.emit(Op::sub, NoAttrs{}, {at, length}, "distance");
    const auto no_more = [&](ValueId x, int64_t most, const char* name) {
      const ValueId limit = n_.number(static_cast<double>(most));
      s = add_seen(s, n_.emit(Op::less_or_equal, NoAttrs{}, {x, limit}, name));
    };
    if (right >= 0) no_more(distance, right, "before");
    if (left >= 0)
      no_more(n_.emit(Op::scale, ScaleAttrs{-1, 0}, {distance}, "back"), left, "behind");
    return s;
  }

  // As the file has it, with -infinity.
  void show_masked(ValueId s) const {
    if (!masks_ || !n_.wants(3)) return n_.set(3, s);
    const ValueId is_masked =
        n_.emit(Op::less, NoAttrs{}, {s, n_.number(kMasked / 2)}, "is_masked");
    const ValueId none = n_.number(-std::numeric_limits<double>::infinity());
    n_.set(3, n_.emit(Op::where, NoAttrs{}, {is_masked, none, s}, "shown"));
  }

  OnnxNode& n_;
  int64_t mode_ = 0, past_ = 0;
  ValueId q_ = kNone, k_ = kNone, v_ = kNone;
  int64_t batch_ = 0, heads_ = 0, groups_ = 0, queries_ = 0, keys_ = 0, size_ = 0, values_ = 0;
  bool masks_ = false;         // some entries may be masked
  bool may_be_empty_ = false;  // some rows may see nothing
};

}  // namespace

void import_Attention(OnnxNode& n) { Attention(n).run(); }

}  // namespace attune
