// What products multiply. Included once a target: no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_OPERANDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_OPERANDS_INL_H_
#undef ATTUNE_KERNELS_SIMD_OPERANDS_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_OPERANDS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/geometry.h"
#include "kernels/simd/vector-inl.h"

// A source of rows makes a cursor at a row; cursor.runs(begin, end, f) calls f.put(at, source,
// length) for consecutive runs of elements [begin, end) of its row, `at` counting from `begin`; a
// null source stands for zeros. cursor.next(n) goes n rows on. ahead(begin, end): the memory
// of these rows, where it is known.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// Memory that is needed soon, asked for a line at a time while products are computed: each value
// of k fetches at `at` and moves on by `step` floats.
struct Ahead {
  const float* at = nullptr;
  int64_t step = 0;
};

inline constexpr int64_t kLine = 64 / sizeof(float);

// Lines, `step` floats apart, that are fetched some at a time.
class FetchAhead {
 public:
  FetchAhead() = default;
  FetchAhead(const float* at, int64_t step, int64_t lines) : at_(at), step_(step), left_(lines) {}
  // All of a piece of memory.
  static FetchAhead region(const float* data, int64_t floats) {
    return {data, kLine, (floats + kLine - 1) / kLine};
  }
  bool done() const { return left_ <= 0; }
  // What to fetch while `count` values of k go by.
  Ahead next(int count) {
    if (left_ <= 0) return {at_, 0};
    const Ahead ahead{at_, step_};
    at_ += count * step_;
    left_ -= count;
    return ahead;
  }

 private:
  const float* at_ = nullptr;
  int64_t step_ = 0, left_ = 0;
};

// Some of them, one after the other.
class FetchList {
 public:
  // Four at most.
  void add(const FetchAhead& ahead) { all_[count_++] = ahead; }
  Ahead next(int count) {
    while (first_ + 1 < count_ && all_[first_].done()) ++first_;
    return all_[first_].next(count);
  }

 private:
  FetchAhead all_[4];
  int first_ = 0, count_ = 0;
};

// A dense matrix, or one of its column ranges.
struct MatrixRows {
  const float* data;
  int64_t stride;
  struct Cursor {
    const float* row;
    int64_t stride;
    template <class F>
    void runs(int64_t begin, int64_t end, F& f) const {
      f.put(0, row + begin, end - begin);
    }
    void next(int64_t rows = 1) { row += rows * stride; }
  };
  Cursor at(int64_t row) const { return {data + row * stride, stride}; }
  FetchAhead ahead(int64_t begin, int64_t end) const {
    return FetchAhead::region(data + begin * stride, (end - begin) * stride);
  }
  FetchAhead panel_ahead(int64_t col, int64_t rows) const { return {data + col, stride, rows}; }
};

// Row (n, i, j), flat, holds the elements (tap of h, tap of w, channel), flat, of an NHWC image.
struct PatchRows {
  const float* data;
  WindowAxis h, w;
  int64_t channels;

  // Rows of one line of which no tap is padding, and neighbouring taps are neighbours in memory.
  struct Inside {
    const float* data = nullptr;
    int64_t rows = 0, row_step = 0;
    int64_t run = 0, line_step = 0;  // the taps of a line

    // Calls f(at, source, length) for runs of elements [begin, end) of the first row; those of the
    // others lie row_step further each.
    template <class F>
    void runs(int64_t begin, int64_t end, F f) const {
      int64_t from = begin % run;
      const float* line = data + begin / run * line_step;
      for (int64_t at = begin; at < end; from = 0, line += line_step) {
        const int64_t length = std::min(run - from, end - at);
        f(at - begin, line + from, length);
        at += length;
      }
    }
  };

  struct Cursor {
    const PatchRows& p;
    const float* image;
    int64_t i, j;

    template <class F>
    void runs(int64_t begin, int64_t end, F& f) const {
      int64_t th = 0, tw = 0, channel = begin;
      if (begin != 0) {
        const int64_t tap = begin / p.channels;
        channel = begin % p.channels;
        th = tap / p.w.taps, tw = tap % p.w.taps;
      }
      for (int64_t at = begin; at < end;) {
        const int64_t y = p.h.index(i, th), x = p.w.index(j, tw);
        const bool line = p.h.inside(y), inside = line && p.w.inside(x);
        int64_t taps = 1;
        if (!line)
          taps = p.w.taps - tw;
        else if (inside && p.w.delta == 1)  // neighbouring taps are neighbours in memory
          taps = std::min(p.w.taps - tw, p.w.limit - x);
        const int64_t length = std::min(taps * p.channels - channel, end - at);
        f.put(at - begin, inside ? image + (y * p.w.limit + x) * p.channels + channel : nullptr,
              length);
        at += length;
        channel = 0;
        tw += taps;
        if (tw == p.w.taps) tw = 0, ++th;
      }
    }
    // Rows from this one on, `most` of them at most; none if this one is not inside.
    Inside inside(int64_t most) const {
      const int64_t y = p.h.index(i, 0), x = p.w.index(j, 0), room = p.w.limit - p.w.taps - x;
      if (p.w.delta != 1 || !p.h.inside(y) || !p.h.inside(y + (p.h.taps - 1) * p.h.delta) ||
          x < 0 || room < 0)
        return {};
      const int64_t rows = std::min({most, p.w.count - j, room / p.w.stride + 1});
      const int64_t line = p.w.limit * p.channels;
      return {image + y * line + x * p.channels, rows, p.w.stride * p.channels,
              p.w.taps * p.channels, p.h.delta * line};
    }
    // Goes no further than the end of a line.
    void next(int64_t rows = 1) {
      j += rows;
      if (j < p.w.count) return;
      j = 0;
      if (++i < p.h.count) return;
      i = 0;
      image += p.h.limit * p.w.limit * p.channels;
    }
  };
  Cursor at(int64_t row) const {
    const int64_t n = row / (w.count * h.count);
    return {*this, data + n * h.limit * w.limit * channels, row / w.count % h.count, row % w.count};
  }
  FetchAhead ahead(int64_t, int64_t) const { return {}; }
};

// Calls many(i, rows) for stretches of rows without padding, and one(i, cursor) for every other
// one of rows [row, row + count); i counts from `row`.
template <class Rows, class Many, class One>
HWY_INLINE void for_rows(const Rows& source, int64_t row, int64_t count, Many many, One one) {
  auto cursor = source.at(row);
  for (int64_t i = 0, n; i < count; i += n, cursor.next(n)) {
    n = 0;
    if constexpr (std::is_same_v<Rows, PatchRows>) {
      const PatchRows::Inside rows = cursor.inside(count - i);
      n = rows.rows;
      if (n > 0) many(i, rows);
    }
    if (n == 0) one(i, cursor), n = 1;
  }
}

// ---- Operand a: `rows` rows from m, elements [k, k + count), into a buffer ----------------------

// The buffer holds element (i, k) at i * kRowStride + k, or at k * kRowStride + i where kKMajor.

struct CopyRun {
  float* to;
  void put(int64_t at, const float* source, int64_t length) {
    if (source)
      copy(to + at, source, length);
    else
      fill_zeros(to + at, length);
  }
};

template <class Rows>
struct RowMajorA {
  static constexpr bool kKMajor = false;
  static constexpr bool kIsMatrix = std::is_same_v<Rows, MatrixRows>;
  Rows source;
  template <int kRowStride>
  void pack(float* to, int64_t m, int rows, int64_t k, int count) const {
    for_rows(
        source, m, rows,
        [&](int64_t i, const auto& inside) {
          inside.runs(k, k + count, [&](int64_t at, const float* from, int64_t length) {
            copy_rows(to + i * kRowStride + at, kRowStride, from, inside.row_step, inside.rows,
                      length);
          });
        },
        [&](int64_t i, const auto& cursor) {
          CopyRun run{to + i * kRowStride};
          cursor.runs(k, k + count, run);
        });
  }
  FetchAhead ahead(int64_t begin, int64_t end) const { return source.ahead(begin, end); }
};

// a[m, k] = data[k * stride + m].
struct ColMajorA {
  static constexpr bool kKMajor = true, kIsMatrix = false;
  const float* data;
  int64_t stride;
  template <int kRowStride>
  void pack(float* to, int64_t m, int rows, int64_t k, int count) const {
    const float* from = data + k * stride + m;
    for (int j = 0; j < count; ++j, from += stride, to += kRowStride) copy(to, from, rows);
  }
  // Values [k0, k1) of k of some tiles' rows [begin, end): the lines of the cache, two at most,
  // that hold no row before these.
  void ahead(int64_t begin, int64_t end, int64_t k0, int64_t k1, FetchList& list) const {
    const float* const from = data + k0 * stride;
    list.add({from + std::min(begin + kLine - 1, end - 1), stride, k1 - k0});
    list.add({from + end - 1, stride, k1 - k0});
  }
};

// ---- Operand b: rows into panels of 2 vectors --------------------------------------------------

inline constexpr int kPanel = 2 * kLanes;

struct PanelRun {
  float* base;
  int64_t panel;  // floats
  void put(int64_t at, const float* source, int64_t length) {
    float* to = base + at / kPanel * panel;
    int64_t place = at % kPanel;
    while (length > 0) {
      const int64_t n = std::min<int64_t>(kPanel - place, length);
      if (n == kPanel && source) {
        store(load(source), to);
        store(load(source + kLanes), to + kLanes);
      } else if (source) {
        copy(to + place, source, n);
      } else {
        fill_zeros(to + place, n);
      }
      if (source) source += n;
      length -= n;
      to += panel;
      place = 0;
    }
  }
};

// Of a source, rows from `row` and columns from `col` on.
template <class Rows>
struct RowMajorB {
  Rows source;
  int64_t row = 0, col = 0;
  RowMajorB from_column(int64_t c) const { return {source, row, col + c}; }
  // Of a matrix: element (k, c).
  const float* at(int64_t k, int64_t c) const {
    return source.data + (row + k) * source.stride + col + c;
  }
  // Rows [k, k + count), `cols` columns, into panels one after the other.
  void pack(float* to, int64_t k, int count, int64_t cols) const {
    const int64_t panel = int64_t{count} * kPanel;
    for_rows(
        source, row + k, count,
        [&](int64_t i, const auto& inside) {
          inside.runs(col, col + cols, [&](int64_t at, const float* from, int64_t length) {
            const int64_t place = at % kPanel;
            float* first = to + i * kPanel + at / kPanel * panel;
            if (place + length <= kPanel)
              copy_rows(first + place, kPanel, from, inside.row_step, inside.rows, length);
            else
              for (int64_t j = 0; j < inside.rows; ++j, from += inside.row_step)
                PanelRun{first + j * kPanel, panel}.put(place, from, length);
          });
        },
        [&](int64_t i, const auto& cursor) {
          PanelRun run{to + i * kPanel, panel};
          cursor.runs(col, col + cols, run);
        });
    if (cols % kPanel == 0) return;
    float* rest = to + cols / kPanel * panel + cols % kPanel;
    for (int i = 0; i < count; ++i, rest += kPanel) fill_zeros(rest, kPanel - cols % kPanel);
  }
  // One panel alone, from column `c` of `cols` on.
  void pack_panel(float* to, int64_t k, int count, int64_t cols, int64_t c) const {
    auto cursor = source.at(row + k);
    const int64_t end = std::min(c + kPanel, cols);
    for (int i = 0; i < count; ++i, cursor.next(), to += kPanel) {
      CopyRun run{to};
      cursor.runs(col + c, col + end, run);
      if (end < c + kPanel) fill_zeros(to + end - c, c + kPanel - end);
    }
  }
  // Its memory: two lines of each of `depth` rows.
  void panel_ahead(int64_t c, int64_t depth, FetchList& ahead) const {
    ahead.add(source.panel_ahead(col + c, depth));
    ahead.add(source.panel_ahead(col + c + kLine, depth));
  }
};

// Columns that are transposed together: half of what AVX-512 holds, which loads two of these in the
// time of one whole vector.
inline constexpr int kColumns = kLanes < 8 ? kLanes : 8;
using DColumns = hn::CappedTag<float, kColumns>;

// Four elements from each of kColumns / 4 rows, 4 * stride apart.
HWY_INLINE hn::Vec<DColumns> load_blocks(const float* p, int64_t stride) {
  const DColumns d;
  if constexpr (kColumns == 4) {
    (void)stride;
    return hn::LoadU(d, p);
  } else {
    const hn::Half<DColumns> four;
    return hn::Combine(d, hn::LoadU(four, p + 4 * stride), hn::LoadU(four, p));
  }
}

// to[k * to_stride + j] = from[j * stride + k] for k < 4, j < kColumns.
HWY_INLINE void transpose_four(const float* from, int64_t stride, float* to, int64_t to_stride) {
  const hn::Repartition<uint64_t, DColumns> wide;
  const DColumns d;
  const auto a = load_blocks(from, stride), b = load_blocks(from + stride, stride);
  const auto c = load_blocks(from + 2 * stride, stride), e = load_blocks(from + 3 * stride, stride);
  const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(wide, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(wide, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_low, ce_low)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_low, ce_low)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_high, ce_high)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_high, ce_high)), d, to + 3 * to_stride);
}

// b[k, n] = data[n * stride + k].
struct ColMajorB {
  const float* data;
  int64_t stride;
  ColMajorB from_column(int64_t c) const { return {data + c * stride, stride}; }
  void pack(float* to, int64_t k, int count, int64_t cols) const {
    for (int64_t col = 0; col < cols; col += kPanel, to += int64_t{count} * kPanel)
      pack_panel(to, k, count, cols, col);
  }
  // One panel alone, from column `col` on.
  void pack_panel(float* to, int64_t k, int count, int64_t cols, int64_t col) const {
    for (int first = 0; first < kPanel; first += kColumns) {
      const int64_t n = col + first;
      const float* from = data + n * stride + k;
      float* panel = to + first;
      int j = 0;
      if (n + kColumns <= cols)
        for (; j + 4 <= count; j += 4) transpose_four(from + j, stride, panel + j * kPanel, kPanel);
      const int64_t rows = std::clamp<int64_t>(cols - n, 0, kColumns);
      for (; j < count; ++j) {
        for (int64_t i = 0; i < rows; ++i) panel[j * kPanel + i] = from[i * stride + j];
        for (int64_t i = rows; i < kColumns; ++i) panel[j * kPanel + i] = 0;
      }
    }
  }
  // Its memory: kPanel whole columns.
  void panel_ahead(int64_t col, int64_t, FetchList& ahead) const {
    ahead.add(FetchAhead::region(data + col * stride, kPanel * stride));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
