#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

// Whether `inner` is `folder` or lies on the way to it: a link that leads back.
bool leads_back(const fs::path& inner, const fs::path& folder) {
  std::error_code failure;
  const fs::path target = fs::canonical(inner, failure);
  if (failure) return true;
  const fs::path here = fs::canonical(folder, failure);
  if (failure) return true;
  return std::mismatch(target.begin(), target.end(), here.begin(), here.end()).first ==
         target.end();
}

// Appends the files of `folder` that the front end takes.
void append_examples(const std::string& folder, const Listing& listing, const ExampleFile& loader,
                     std::vector<std::string>* paths) {
  for (const std::string& file : listing.files)
    if (loader.takes(extension_of(file))) paths->push_back((fs::path(folder) / file).string());
}

// What to say where a folder holds nothing of use.
Status nothing_in(const std::string& folder, const ExampleFile& loader,
                  const std::vector<std::string>& classes) {
  if (classes.empty())
    return file_error(folder, "holds no %s; add some or give another folder", loader.kind());
  return file_error(folder, "holds no %s; add some or remove the folder (the model's classes: %s)",
                    loader.kind(), name_list(classes).c_str());
}

}  // namespace

Status list_folder(const std::string& path, Listing* listing) {
  std::error_code failure;
  fs::directory_iterator entry(path, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code broken_link;  // or a loop of links
    const fs::file_status status = fs::status(entry->path(), broken_link);
    if (status.type() == fs::file_type::directory && !leads_back(entry->path(), path))
      listing->folders.push_back(name);
    if (status.type() == fs::file_type::regular) listing->files.push_back(name);
  }
  if (failure) return file_error(path, "cannot be listed (%s)", failure.message().c_str());
  std::ranges::sort(listing->folders);
  std::ranges::sort(listing->files);
  return Status::ok();
}

Status list_class_folders(const std::string& path, std::vector<std::string>* names) {
  return guarded(path, [&]() -> Status {
    Listing listing;
    ATTUNE_RETURN_IF_ERROR(list_folder(path, &listing));
    if (listing.folders.empty())
      return file_error(path, "has no class folders; put the examples into one folder per class");
    *names = std::move(listing.folders);
    return Status::ok();
  });
}

Status open_class_folder(const std::string& path, const DatasetRequest& request,
                         std::unique_ptr<Dataset>* dataset) {
  std::unique_ptr<ExampleFile> loader;
  ATTUNE_RETURN_IF_ERROR(ExampleFile::create(request, &loader));
  Listing top;
  ATTUNE_RETURN_IF_ERROR(list_folder(path, &top));

  Labels labels(request);
  std::vector<std::string> paths;
  const bool classified = request.classes > 0 && !request.class_names.empty();
  if (!classified && !request.labels_optional)
    return request.classes > 0
               ? file_error(path,
                            "the plan names no classes, so folders are no labels; compile it with "
                            "--labels, or give a .csv manifest of path,number")
               : file_error(path,
                            "folders are classes, but the model learns numbers; give a .csv "
                            "manifest of path,number or an .npz with x and y");
  if (top.folders.empty()) {
    append_examples(path, top, *loader, &paths);
    if (paths.empty()) return nothing_in(path, *loader, request.class_names);
    if (!request.labels_optional)
      return file_error(path, "has no class folders; put the files into one folder per class (%s)",
                        name_list(request.class_names).c_str());
  }
  for (const std::string& name : top.folders) {
    const std::string folder = (fs::path(path) / name).string();
    const auto known = std::ranges::find(request.class_names, name);
    if (classified && known == request.class_names.end())
      return file_error(folder,
                        "unknown class; rename or remove the folder (the model's classes: %s)",
                        name_list(request.class_names).c_str());
    Listing listing;
    ATTUNE_RETURN_IF_ERROR(list_folder(folder, &listing));
    const size_t before = paths.size();
    append_examples(folder, listing, *loader, &paths);
    if (paths.size() == before) return nothing_in(folder, *loader, request.class_names);
    for (size_t i = before; classified && i < paths.size(); ++i)
      ATTUNE_RETURN_IF_ERROR(labels.add_class(paths[i], known - request.class_names.begin()));
  }
  *dataset =
      std::make_unique<FileReader>(request, std::move(paths), std::move(labels), std::move(loader));
  return Status::ok();
}

}  // namespace attune
