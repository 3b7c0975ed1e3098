#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {

Status open_single_file(const std::string& path, const DatasetRequest& request,
                        std::unique_ptr<Dataset>* dataset) {
  if (!request.labels_optional)
    return file_error(path,
                      "a single file has no label; give a folder of class folders, a .csv manifest "
                      "or an .npz with labels");
  std::unique_ptr<ExampleFile> loader;
  ATTUNE_RETURN_IF_ERROR(ExampleFile::create(request, &loader));
  if (!loader->takes(extension_of(path)))
    return file_error(path, "the model's front end takes %s; give one of these", loader->kind());
  ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
  auto reader = std::make_unique<FileReader>(request, std::vector<std::string>{path},
                                             Labels(request), std::move(loader));
  ATTUNE_RETURN_IF_ERROR(reader->prepare(path, request));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
