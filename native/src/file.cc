// What Node's FileHandle lacks: allocation, holes, locks, the cache. Each works on a duplicate of the descriptor, so that a file which is closed
// meanwhile cannot have its number taken over by another file under the call.
#include "addon.h"
#include "task.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bedrock {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fcntl(fd, F_DUPFD_CLOEXEC, 0)), error_(fd_ < 0 ? errno : 0) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  int error() const { return error_; }

 private:
  const int fd_;
  const int error_;
};

using Call = std::function<int(int fd)>;

// `call` answers 0 or errno. A signal is no reason to give up.
Napi::Promise onFile(const Napi::CallbackInfo& info, const char* name, Call call) {
  const uint64_t number = sizeArgument(info, 0);
  const auto file = std::make_shared<Descriptor>(number > INT32_MAX ? -1 : static_cast<int>(number));
  return Task::start(info.Env(), [=]() -> Outcome {
    int error = file->error();
    if (error == 0) {
      do error = call(file->get());
      while (error == EINTR);
    }
    if (error == 0) return {};
    return {error, std::string(name) + ": " + std::strerror(error)};
  });
}

int errorOf(int result) { return result == 0 ? 0 : errno; }

Napi::Value allocate(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<off_t>(sizeArgument(info, 1));
  const auto size = static_cast<off_t>(sizeArgument(info, 2));
  const bool emulates = info[3].ToBoolean();
  if (emulates) return onFile(info, "posix_fallocate", [=](int fd) { return posix_fallocate(fd, offset, size); });
  return onFile(info, "fallocate", [=](int fd) { return errorOf(fallocate(fd, 0, offset, size)); });
}

Napi::Value punchHole(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<off_t>(sizeArgument(info, 1));
  const auto size = static_cast<off_t>(sizeArgument(info, 2));
  return onFile(info, "fallocate", [=](int fd) {
    return errorOf(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size));
  });
}

// Only pages that are durable already go; the others stay.
Napi::Value dropCache(const Napi::CallbackInfo& info) {
  return onFile(info, "posix_fadvise", [](int fd) { return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); });
}

template <int kOperation>
Napi::Value lock(const Napi::CallbackInfo& info) {
  return onFile(info, "flock", [](int fd) { return errorOf(flock(fd, kOperation | LOCK_NB)); });
}

}  // namespace

void exportFile(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New(env, allocate, "allocate"));
  exports.Set("punchHole", Napi::Function::New(env, punchHole, "punchHole"));
  exports.Set("dropCache", Napi::Function::New(env, dropCache, "dropCache"));
  exports.Set("lockExclusive", Napi::Function::New(env, lock<LOCK_EX>, "lockExclusive"));
  exports.Set("lockShared", Napi::Function::New(env, lock<LOCK_SH>, "lockShared"));
  exports.Set("unlock", Napi::Function::New(env, lock<LOCK_UN>, "unlock"));
}

}  // namespace bedrock
