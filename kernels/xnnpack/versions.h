#pragma once

#include <xnnpack.h>

#include "attune/tensor.h"

// XNNPACK's calls that differ between its versions of 2022 (Debian 12) and of 2024 (Debian 13). The
// later one takes two caches where an operator is created, and knows its shape before its
// addresses.
namespace attune::xnnpack {

#ifdef XNN_FLAG_TRANSIENT_INDIRECTION_BUFFER  // came with the later interface

// function(arguments..., op), without caches.
template <class Function, class... Arguments>
xnn_status create(Function* function, xnn_operator_t* op, Arguments... arguments) {
  return function(arguments..., nullptr, nullptr, op);
}

// Both of these set `op` up to read x and write y, in NHWC.
inline xnn_status set_up_convolution(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                     pthreadpool_t threads) {
  size_t workspace_bytes = 0, alignment = 0;
  const xnn_status status =
      xnn_reshape_convolution2d_nhwc_f32(op, x.shape[0], x.shape[1], x.shape[2], &workspace_bytes,
                                         &alignment, nullptr, nullptr, threads);
  if (status != xnn_status_success) return status;
  // Depthwise kernels of several passes alone want it, and a default build has none.
  if (workspace_bytes > 0) return xnn_status_unsupported_parameter;
  return xnn_setup_convolution2d_nhwc_f32(op, nullptr, x.as<float>(), y.as<float>());
}

// `rest_h`, `rest_w`: pixels at the end of y that no step of the window reaches.
inline xnn_status set_up_deconvolution(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                       uint32_t rest_h, uint32_t rest_w, pthreadpool_t threads) {
  const xnn_status status = xnn_reshape_deconvolution2d_nhwc_f32(
      op, x.shape[0], x.shape[1], x.shape[2], rest_h, rest_w, nullptr, nullptr, threads);
  if (status != xnn_status_success) return status;
  return xnn_setup_deconvolution2d_nhwc_f32(op, x.as<float>(), y.as<float>());
}

inline xnn_status set_up_fully_connected(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                         pthreadpool_t threads) {
  const xnn_status status = xnn_reshape_fully_connected_nc_f32(op, x.shape[0], threads);
  if (status != xnn_status_success) return status;
  return xnn_setup_fully_connected_nc_f32(op, x.as<float>(), y.as<float>());
}

#else

template <class Function, class... Arguments>
xnn_status create(Function* function, xnn_operator_t* op, Arguments... arguments) {
  return function(arguments..., op);
}

inline xnn_status set_up_convolution(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                     pthreadpool_t threads) {
  return xnn_setup_convolution2d_nhwc_f32(op, x.shape[0], x.shape[1], x.shape[2], x.as<float>(),
                                          y.as<float>(), threads);
}

inline xnn_status set_up_deconvolution(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                       uint32_t rest_h, uint32_t rest_w, pthreadpool_t threads) {
  return xnn_setup_deconvolution2d_nhwc_f32(op, x.shape[0], x.shape[1], x.shape[2], rest_h, rest_w,
                                            x.as<float>(), y.as<float>(), threads);
}

inline xnn_status set_up_fully_connected(xnn_operator_t op, const Tensor& x, const Tensor& y,
                                         pthreadpool_t threads) {
  return xnn_setup_fully_connected_nc_f32(op, x.shape[0], x.as<float>(), y.as<float>(), threads);
}

#endif

}  // namespace attune::xnnpack
