// mapFile(path, size, flags, mode, fd): maps on the thread pool, since allocating a file may take seconds. If fd is given, that
// file is mapped, and the path is not opened.
#include "addon.h"
#include "descriptor.h"
#include "space.h"
#include "task.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <limits>

namespace bedrock {

namespace {

using media::MapResult;

Outcome failure(const char* call) { return {errno, std::string(call) + ": " + std::strerror(errno)}; }

// The rules of pmem_map_file(3), checked here because libpmem's own message may be mixed with an earlier one.
Outcome checkFlags(size_t size, int flags) {
  const bool creates = (flags & media::kCreate) != 0;
  if (creates && (flags & media::kReadOnly) != 0) return {EINVAL, "a file that is created is not for reading only"};
  if (creates && size == 0) return {EINVAL, "a file that is created needs a size"};
  if (creates && size > static_cast<size_t>(std::numeric_limits<off_t>::max())) {
    return {EINVAL, "the size is larger than a file can be"};
  }
  if (!creates && size != 0) return {EINVAL, "only a file that is created takes a size"};
  if (!creates && (flags & media::kTmpfile) != 0) return {EINVAL, "a temporary file must be created"};
  return {};
}

Outcome checkNotEmpty(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != 0) return {};
  return {EINVAL, "the file is empty"};
}

// A private mapping: a store through a window then neither ends the process nor changes the file. It goes to a page of this
// process.
Outcome mapForReading(int fd, MapResult* result) {
  struct stat status;
  if (fstat(fd, &status) != 0) return failure("fstat");
  const auto size = static_cast<size_t>(status.st_size);
  void* const base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (base == MAP_FAILED) return failure("mmap");
  result->base = static_cast<uint8_t*>(base);
  result->size = size;
  result->isPmem = media::medium().isPmemFile(fd);
  return {};
}

Outcome openForReading(const char* path, MapResult* result) {
  // O_NONBLOCK: with a FIFO, open would wait for the other end.
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failure("open");
  const Outcome outcome = mapForReading(fd, result);
  close(fd);
  return outcome;
}

std::string pathOf(const Descriptor& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

struct Request {
  std::string path;
  size_t size;
  int flags;
  mode_t mode;
  // The file to map, if it is already open.
  std::shared_ptr<Descriptor> file;
};

Outcome map(const Request& request, MapResult* result) {
  const auto& [path, size, flags, mode, file] = request;
  if (const Outcome fault = checkFlags(size, flags); fault.error != 0) return fault;
  // libpmem opens a path only.
  const std::string opened = file ? pathOf(*file) : path;
  if (file && file->error() != 0) return {file->error(), std::string("fcntl: ") + std::strerror(file->error())};
  if ((flags & media::kCreate) == 0) {
    if (const Outcome fault = checkNotEmpty(opened.c_str()); fault.error != 0) return fault;
  }
  if ((flags & media::kReadOnly) != 0) {
    return file ? mapForReading(file->get(), result) : openForReading(path.c_str(), result);
  }
  // A named file is created here first: if libpmem cannot allocate it, it leaves the file behind, with all the space that it
  // could get. With kExclusive libpmem deletes it itself.
  constexpr int kOwnCreation = media::kExclusive | media::kTmpfile;
  CreatedFile created;
  if ((flags & media::kCreate) != 0 && (flags & kOwnCreation) == 0) {
    const int error = created.create(path.c_str(), size, mode, (flags & media::kSparse) != 0);
    if (error != 0) return {error, std::string(created.failedCall()) + ": " + std::strerror(error)};
  }
  *result = media::medium().mapFile(opened.c_str(), size, flags, mode);
  if (result->error == 0) created.keep();
  return {result->error, result->message};
}

// A descriptor of the mapped file, for asking its length later; -1 if it no longer has this name. Not a duplicate of an
// existing descriptor, as that would keep the file locked.
int openMapped(const Request& request, size_t size) {
  const std::string path = request.file ? pathOf(*request.file) : request.path;
  const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && static_cast<size_t>(status.st_size) == size) return fd;
  close(fd);
  return -1;
}

Outcome mapShared(const Request& request, std::shared_ptr<Mapping>* mapping) {
  MapResult result;
  Outcome outcome = map(request, &result);
  if (outcome.error != 0) return outcome;
  const bool isReadOnly = (request.flags & media::kReadOnly) != 0;
  *mapping = std::make_shared<Mapping>(
      std::make_shared<AddressRange>(result.base, result.size, result.isRegistered, openMapped(request, result.size)),
      result.isPmem, isReadOnly);
  return {};
}

Napi::Value describe(Napi::Env env, const std::shared_ptr<Mapping>& mapping) {
  const auto handle = std::make_shared<Handle>(env, mapping);
  const Napi::Object object = Napi::Object::New(env);
  object.Set("size", Napi::Number::New(env, static_cast<double>(handle->size)));
  object.Set("isPmem", Napi::Boolean::New(env, handle->isPmem));
  object.Set("isForced", Napi::Boolean::New(env, media::medium().isForced()));
  object.Set("isReadOnly", Napi::Boolean::New(env, handle->isReadOnly));
  napi_value slots = nullptr;
  if (makeSlots(env, handle, &slots) != napi_ok) throw Napi::Error::New(env);
  object.Set("slots", Napi::Value(env, slots));
  if (defineHotFunctions(env, object, handle) != napi_ok) throw Napi::Error::New(env);
  defineColdFunctions(env, object, handle);
  return object;
}

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "a path is expected");
  Request request{info[0].As<Napi::String>().Utf8Value(),
                  sizeArgument(info, 1),
                  static_cast<int>(sizeArgument(info, 2) & 31),
                  static_cast<mode_t>(sizeArgument(info, 3) & 07777),
                  {}};
  if (!info[4].IsUndefined()) {
    request.file = std::make_shared<Descriptor>(static_cast<int>(sizeArgument(info, 4) & INT32_MAX));
  }
  // Written by the pool's thread before the reply reads it.
  const auto mapping = std::make_shared<std::shared_ptr<Mapping>>();
  return Task::start(
      info.Env(), [request = std::move(request), mapping] { return mapShared(request, mapping.get()); },
      [=](Napi::Env env) { return describe(env, *mapping); });
}

}  // namespace

void exportMapping(Napi::Env env, Napi::Object exports) { exports.Set("mapFile", Napi::Function::New(env, mapFile, "mapFile")); }

}  // namespace bedrock
