#include "attune/open_dataset.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/reader.h"
#include "engine/io/sound.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

Status check_request(const DatasetRequest& request) {
  if (request.inputs.empty()) return Status::error("the model has no input; compile the plan anew");
  for (const ExampleSpec& input : request.inputs)
    if (input.shape.rank < 0 || input.shape.rank > kMaxRank || input.shape.elements() < 1 ||
        input.dtype == DType::mask)
      return Status::error("model input `%.*s`: no reader makes %s %s; compile the plan anew",
                           static_cast<int>(input.name.size()), input.name.data(),
                           dtype_name(input.dtype), dims_text(input.shape).c_str());
  if (request.classes < 0 || (request.classes > 0 && !request.class_names.empty() &&
                              request.class_names.size() != static_cast<size_t>(request.classes)))
    return Status::error("%zu class names for %d classes; compile the plan anew",
                         request.class_names.size(), request.classes);
  if (request.classes == 0 && (request.target.elements() < 1 || !is_real(request.target_dtype)))
    return Status::error("targets of %s %s; compile the plan anew",
                         dtype_name(request.target_dtype), dims_text(request.target).c_str());
  return Status::ok();
}

std::vector<std::string> input_names(const DatasetRequest& request) {
  std::vector<std::string> names;
  for (const ExampleSpec& input : request.inputs) names.emplace_back(input.name);
  return names;
}

using Opener = Status (*)(const std::string&, const DatasetRequest&, std::unique_ptr<Dataset>*);

Opener opener_of_extension(const std::string& path) {
  struct Row {
    const char* extension;
    Opener open;
  };
  constexpr Row kRows[] = {
      {".npz", open_npz}, {".npy", open_npy}, {".csv", open_manifest}, {".tsv", open_manifest}};
  const std::string extension = extension_of(path);
  for (const Row& row : kRows)
    if (extension == row.extension) return row.open;
  for (const auto& extensions : {image_extensions(), sound_extensions()})
    if (std::ranges::count(extensions, extension) > 0) return open_single_file;
  return nullptr;
}

// IDX files go by names without a usual extension, so their first bytes decide.
bool looks_like_idx(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  unsigned char start[3] = {};
  if (!file || std::fread(start, 1, 3, file.get()) != 3) return false;
  const bool gzip = start[0] == 0x1f && start[1] == 0x8b;
  const bool idx = start[0] == 0 && start[1] == 0 && start[2] != 0;
  return gzip || idx;
}

Status open_folder(const std::string& path, const DatasetRequest& request,
                   std::unique_ptr<Dataset>* dataset) {
  std::string images_path;
  ATTUNE_RETURN_IF_ERROR(find_idx_images(path, &images_path));
  if (!images_path.empty()) return open_idx(images_path, request, dataset);
  return open_class_folder(path, request, dataset);
}

}  // namespace

Status open_dataset(const std::string& path, const DatasetRequest& request,
                    std::unique_ptr<Dataset>* dataset) {
  return guarded(path, [&]() -> Status {
    dataset->reset();
    ATTUNE_RETURN_IF_ERROR(check_request(request));
    std::error_code failure;
    const fs::file_status status = fs::status(path, failure);
    if (status.type() == fs::file_type::not_found)
      return file_error(path, "no such file or folder; check the path");
    const std::string extension = extension_of(path);
    const bool table = extension == ".csv" || extension == ".tsv";
    if (request.inputs.size() > 1 && extension != ".npz" && !(table && !request.columns.empty()))
      return file_error(path,
                        "the model has %zu inputs (%s); give an .npz with an array for each%s",
                        request.inputs.size(), name_list(input_names(request)).c_str(),
                        table ? ", or say with --columns which column goes where" : "");
    if (request.advantages && extension != ".npz")
      return file_error(path,
                        "the model learns from actions and their advantages; give an .npz with the "
                        "model's inputs, `actions` and `advantages`");
    if (!request.columns.empty() && !table)
      return file_error(path, "--columns is for a .csv or .tsv; leave it out");
    if (request.windows.stride > 0 && !table && extension != ".npz" && extension != ".npy")
      return file_error(path, "--window-stride is for a .csv, .npz or .npy; leave it out");
    if (status.type() == fs::file_type::directory) return open_folder(path, request, dataset);
    ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
    if (const Opener open = opener_of_extension(path)) return open(path, request, dataset);
    if (looks_like_idx(path) || file_name_of(path).find("-ubyte") != std::string::npos)
      return open_idx(path, request, dataset);
    // A picture or a sound of any name: its first bytes tell.
    if (request.labels_optional && request.preprocess.front_end != FrontEnd::none)
      return open_single_file(path, request, dataset);
    return file_error(
        path,
        "unknown kind of data; give a folder of class folders, IDX, .npz, .npy, .csv, "
        "an image or a sound");
  });
}

}  // namespace attune
