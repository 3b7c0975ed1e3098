#include <algorithm>

#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/reader.h"
#include "engine/io/sound.h"

namespace attune {

Status open_single_file(const std::string& path, const DatasetRequest& request,
                        std::unique_ptr<Dataset>* dataset) {
  if (!request.labels_optional)
    return file_error(path,
                      "a single file has no label; give a folder of class folders, a .csv manifest "
                      "or an .npz with labels");
  std::unique_ptr<ExampleFile> loader;
  ATTUNE_RETURN_IF_ERROR(ExampleFile::create(request, &loader));
  const std::string extension = extension_of(path);
  const auto is_of = [&](const std::vector<std::string_view>& kind) {
    return std::ranges::find(kind, extension) != kind.end();
  };
  // A file of no known name may be anything: its first bytes tell.
  const bool is_known =
      extension == ".npy" || is_of(image_extensions()) || is_of(sound_extensions());
  if (is_known && !loader->takes(extension))
    return file_error(path, "the model's front end takes %s; give one of these", loader->kind());
  ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
  auto reader = std::make_unique<FileReader>(request, std::vector<std::string>{path},
                                             Labels(request), std::move(loader));
  ATTUNE_RETURN_IF_ERROR(reader->prepare(path, request));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
