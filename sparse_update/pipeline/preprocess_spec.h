#pragma once

#include <string>

#include "attune/preprocess.h"

namespace attune {

// Preprocessing of what the user wrote: a preset, a JSON file, or such JSON itself. Throws Error
// that names the file, the key and what is there instead.
//   none            the data is what the model takes
//   imagenet        shorter side to 256, the middle 224x224, RGB, (x / 255 - mean) / deviation with
//                   ImageNet's
//   imagenet:WxH    the same for W x H; the shorter side to 8/7 of the longer of W and H
//   unit:WxH[xC]    stretched to W x H with C channels (1 or 3, default 3), x / 255
//   signed:WxH[xC]  the same, x / 127.5 - 1
//   mfcc            MfccPreprocess as it is by default: 1 s of 16 kHz audio, 49 x 10 coefficients
//   mfcc:WINDOW     the same; of a longer clip the `first` (default), `centre` or `loudest` part
//   FILE.json       {"image": {"width": W, "height": H, "channels": 3, "resize": "stretch",
//                              "resize_shorter": P, "interpolation": "bilinear", "antialias": true,
//                              "order": "RGB", "mean": [..], "std": [..]}}
//                   or {"mfcc": {"sample_rate": 16000, ...}} with the fields of MfccPreprocess.
//                   `mean` and `std` (defaults 0 and 1) act on x / 255, in the order of the model's
//                   channels; one number serves all. `resize_shorter` belongs to "center_crop".
Preprocess parse_preprocess(const std::string& file_or_preset);

// One line for people: "224x224 RGB, shorter side to 256, centre crop".
std::string preprocess_text(const Preprocess& preprocess);

}  // namespace attune
