#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
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

// What no one put there for a reader: hidden files, and what Windows, a Mac's archives and network
// drives leave behind.
bool is_clutter(const std::string& name) {
  constexpr const char* kNames[] = {"Thumbs.db",   "ehthumbs.db", "desktop.ini",
                                    "Desktop.ini", "__MACOSX",    "@eaDir"};
  return name.starts_with('.') || std::ranges::count(kNames, name) > 0;
}

// Files that no example is made of, counted by what they are.
class LeftOut {
 public:
  void add(const std::string& kind) {
    ++files_;
    ++count_[kind];
  }
  // "3 files left out: 2 .txt, 1 .heic"; empty where there are none.
  std::string text() const {
    if (files_ == 0) return "";
    std::vector<std::pair<std::string, int64_t>> kinds(count_.begin(), count_.end());
    std::ranges::stable_sort(kinds, [](auto& a, auto& b) { return a.second > b.second; });
    std::vector<std::string> parts;
    for (const auto& [kind, count] : kinds) parts.push_back(std::to_string(count) + " " + kind);
    return std::to_string(files_) + (files_ == 1 ? " file" : " files") +
           " left out: " + name_list(parts);
  }

 private:
  int64_t files_ = 0;
  std::map<std::string, int64_t> count_;
};

// Finds the files that the front end takes, and counts the others.
class Walk {
 public:
  explicit Walk(const ExampleFile& loader) : loader_(loader) {}

  // Appends the files of `folder` and of those in it, as torchvision's ImageFolder does: folder
  // after folder by path, the files of each by name.
  Status add_tree(const std::string& folder) {
    std::map<std::string, Listing> tree;
    std::set<fs::path> seen;  // links may lead around in a circle
    ATTUNE_RETURN_IF_ERROR(list_tree(folder, &seen, &tree));
    for (const auto& [inner, listing] : tree) add_files(inner, listing);
    return Status::ok();
  }
  // Files beside the class folders are of no class; readme.txt has no place elsewhere.
  void pass_over(const Listing& top) {
    for (const std::string& file : top.files)
      if (loader_.takes(extension_of(file))) left_out_.add("beside the class folders");
  }
  void note(const std::string& path, Reader* reader) const {
    if (const std::string text = left_out_.text(); !text.empty())
      reader->add_note(path + ": " + text + " (read are " + loader_.kind() + ")");
  }

  std::vector<std::string> paths;

 private:
  void add_files(const std::string& folder, const Listing& listing) {
    for (const std::string& file : listing.files) {
      const std::string extension = extension_of(file);
      if (loader_.takes(extension))
        paths.push_back((fs::path(folder) / file).string());
      else
        left_out_.add(extension.empty() ? "without extension" : shortened(extension));
    }
    for (size_t i = 0; i < listing.others.size(); ++i) left_out_.add("broken link or special file");
  }
  Status list_tree(const std::string& folder, std::set<fs::path>* seen,
                   std::map<std::string, Listing>* tree) {
    std::error_code failure;
    const fs::path real = fs::canonical(folder, failure);
    if (failure) return file_error(folder, "cannot be listed (%s)", failure.message().c_str());
    if (!seen->insert(real).second) return Status::ok();
    Listing& listing = (*tree)[folder];
    ATTUNE_RETURN_IF_ERROR(list_folder(folder, &listing));
    for (const std::string& inner : listing.folders)
      ATTUNE_RETURN_IF_ERROR(list_tree((fs::path(folder) / inner).string(), seen, tree));
    return Status::ok();
  }

  const ExampleFile& loader_;
  LeftOut left_out_;
};

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
    if (is_clutter(name)) continue;
    std::error_code broken_link;  // or a loop of links
    const fs::file_status status = fs::status(entry->path(), broken_link);
    if (status.type() == fs::file_type::regular)
      listing->files.push_back(name);
    else if (status.type() != fs::file_type::directory)
      listing->others.push_back(name);
    else if (!leads_back(entry->path(), path))
      listing->folders.push_back(name);
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
  Walk walk(*loader);
  const bool classified = request.classes > 0 && !request.class_names.empty();
  if (!classified && !request.labels_optional)
    return request.classes > 0
               ? file_error(path,
                            "the plan names no classes, so folders are no labels; compile it with "
                            "--labels, or give a .csv manifest of path,number")
               : file_error(path,
                            "folders are classes, but the model learns numbers; give a .csv "
                            "manifest of path,number or an .npz with x and y");
  if (request.labels_optional || top.folders.empty()) {
    ATTUNE_RETURN_IF_ERROR(walk.add_tree(path));
    if (walk.paths.empty()) return nothing_in(path, *loader, request.class_names);
    if (!request.labels_optional)
      return file_error(path, "has no class folders; put the files into one folder per class (%s)",
                        name_list(request.class_names).c_str());
    top.folders.clear();
  } else {
    walk.pass_over(top);
  }
  for (const std::string& name : top.folders) {
    const std::string folder = (fs::path(path) / name).string();
    const auto known = std::ranges::find(request.class_names, name);
    if (known == request.class_names.end())
      return file_error(folder,
                        "unknown class; rename or remove the folder (the model's classes: %s)",
                        name_list(request.class_names).c_str());
    const size_t before = walk.paths.size();
    ATTUNE_RETURN_IF_ERROR(walk.add_tree(folder));
    if (walk.paths.size() == before) return nothing_in(folder, *loader, request.class_names);
    for (size_t i = before; i < walk.paths.size(); ++i)
      ATTUNE_RETURN_IF_ERROR(labels.add_class(walk.paths[i], known - request.class_names.begin()));
  }
  auto reader = std::make_unique<FileReader>(request, std::move(walk.paths), std::move(labels),
                                             std::move(loader));
  walk.note(path, reader.get());
  ATTUNE_RETURN_IF_ERROR(reader->prepare(path, request));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
