// System calls that Node's FileHandle lacks: allocation, holes, locks, the page cache, many writes in one job. Each works on a
// duplicate of the descriptor.
#include "addon.h"
#include "descriptor.h"
#include "space.h"
#include "task.h"

#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace bedrock {

namespace {

using Share = std::shared_ptr<Descriptor>;
using Call = std::function<int(int fd)>;

// Marks objects that hold a duplicate: callers may pass objects of any other kind.
constexpr napi_type_tag kHeldTag = {0x3a5c1f0e9b274d68, 0x8e21b7d4c0f963a5};

Share* shareOf(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kHeldTag)) return nullptr;
  void* share = nullptr;
  return napi_unwrap(value.Env(), value, &share) == napi_ok ? static_cast<Share*>(share) : nullptr;
}

Share duplicate(const Napi::CallbackInfo& info) {
  const uint64_t number = sizeArgument(info, 0);
  return std::make_shared<Descriptor>(number > INT32_MAX ? -1 : static_cast<int>(number));
}

// `call` returns 0 or errno. It is repeated after a signal.
Napi::Promise onFile(const Napi::CallbackInfo& info, const char* name, Call call, Task::Reply reply = nullptr) {
  const Share* const held = shareOf(info[0]);
  const Share file = held == nullptr ? duplicate(info) : *held ? *held : std::make_shared<Descriptor>(-1);
  return Task::start(
      info.Env(),
      [=]() -> Outcome {
        int error = file->error();
        if (error == 0) {
          do error = call(file->get());
          while (error == EINTR);
        }
        if (error == 0) return {};
        return {error, std::string(name) + ": " + std::strerror(error)};
      },
      std::move(reply));
}

int errorOf(int result) { return result == 0 ? 0 : errno; }

// hold(fd): an object with its own duplicate. Calls in flight keep it, even after `drop`.
Napi::Value hold(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Share file = duplicate(info);
  if (file->error() != 0) {
    const Napi::Error error = Napi::Error::New(env, std::string("fcntl: ") + std::strerror(file->error()));
    error.Set("errno", Napi::Number::New(env, file->error()));
    throw error;
  }
  const Napi::Object object = Napi::Object::New(env);
  object.TypeTag(&kHeldTag);
  auto* const share = new Share(std::move(file));
  const napi_finalize end = [](napi_env, void* data, void*) { delete static_cast<Share*>(data); };
  if (napi_wrap(env, object, share, end, nullptr, nullptr) != napi_ok) {
    delete share;
    throw Napi::Error::New(env);
  }
  return object;
}

// The file is closed when the last call in flight on it has ended.
Napi::Value drop(const Napi::CallbackInfo& info) {
  if (Share* const share = shareOf(info[0]); share != nullptr) share->reset();
  return info.Env().Undefined();
}

Napi::Value allocate(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<off_t>(sizeArgument(info, 1));
  const auto size = static_cast<off_t>(sizeArgument(info, 2));
  const bool emulates = info[3].ToBoolean();
  return onFile(info, emulates ? "posix_fallocate" : "fallocate",
                [=](int fd) { return allocateSpace(fd, offset, size, emulates); });
}

Napi::Value unshare(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<off_t>(sizeArgument(info, 1));
  const auto size = static_cast<off_t>(sizeArgument(info, 2));
  return onFile(info, "fallocate", [=](int fd) { return unshareSpace(fd, offset, size); });
}

// fallocate(2) with a mode that does not change the size.
template <int kMode>
Napi::Value withinFile(const Napi::CallbackInfo& info) {
  const auto offset = static_cast<off_t>(sizeArgument(info, 1));
  const auto size = static_cast<off_t>(sizeArgument(info, 2));
  return onFile(info, "fallocate", [=](int fd) { return errorOf(fallocate(fd, kMode | FALLOC_FL_KEEP_SIZE, offset, size)); });
}

// Drops only clean pages; the others stay.
Napi::Value dropCache(const Napi::CallbackInfo& info) {
  return onFile(info, "posix_fadvise", [](int fd) { return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); });
}

// Bytes for one position in the file, and where they are in the copy.
struct Piece {
  uint64_t offset;
  size_t from;
  size_t size;
};

struct Pieces {
  std::vector<uint8_t> bytes;
  std::vector<Piece> places;
};

// @returns 0 or errno
int writeWhole(int fd, const uint8_t* bytes, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    bytes += written;
    size -= static_cast<size_t>(written);
    offset += static_cast<uint64_t>(written);
  }
  return 0;
}

// The bytes are copied here: their owner may change or transfer the memory while the thread pool works.
std::shared_ptr<Pieces> copyPieces(const Napi::CallbackInfo& info, const Napi::Array& sources, const Napi::Float64Array& offsets) {
  const auto pieces = std::make_shared<Pieces>();
  try {
    pieces->places.reserve(sources.Length());
    for (uint32_t i = 0; i < sources.Length(); i++) {
      Bytes source;
      uint64_t offset = 0;
      const Napi::Value value = sources[i];
      if (i >= offsets.ElementLength() || !toSize(offsets[i], &offset) || !toBytes(info.Env(), value, &source)) {
        throw Napi::TypeError::New(info.Env(), "bytes and an offset for each are expected");
      }
      const size_t from = pieces->bytes.size();
      if (source.size > 0) pieces->bytes.insert(pieces->bytes.end(), source.data, source.data + source.size);
      Piece* const last = pieces->places.empty() ? nullptr : &pieces->places.back();
      // A piece that continues the previous one in the file also follows it in the copy.
      if (last != nullptr && last->offset + last->size == offset) {
        last->size += source.size;
      } else {
        pieces->places.push_back({offset, from, source.size});
      }
    }
  } catch (const std::bad_alloc&) {
    const Napi::Error error = Napi::Error::New(info.Env(), "no memory for a copy of the bytes");
    error.Set("errno", Napi::Number::New(info.Env(), ENOMEM));
    throw error;
  }
  return pieces;
}

// @returns 0 or errno
int writePieces(int fd, const Pieces& pieces) {
  for (const Piece& piece : pieces.places) {
    const int error = writeWhole(fd, pieces.bytes.data() + piece.from, piece.size, piece.offset);
    if (error != 0) return error;
  }
  return 0;
}

Napi::Value writeMany(const Napi::CallbackInfo& info) {
  const auto pieces = copyPieces(info, info[1].As<Napi::Array>(), info[2].As<Napi::Float64Array>());
  return onFile(info, "pwrite", [pieces](int fd) { return writePieces(fd, *pieces); });
}

// Fills the bytes with what the page cache has, in the caller's thread, which never waits for the disk. The number of bytes that were
// there, or the negative errno: EAGAIN if the first one is not there, EOPNOTSUPP if the file system cannot tell.
Napi::Value readNow(const Napi::CallbackInfo& info) {
  const Share* const held = shareOf(info[0]);
  Bytes into;
  if (!toBytes(info.Env(), info[1], &into)) throw Napi::TypeError::New(info.Env(), "bytes are expected");
  const auto offset = static_cast<off_t>(sizeArgument(info, 2));
  // No duplicate is needed, as nobody can close the file during the call.
  const int fd = held == nullptr ? info[0].ToNumber().Int32Value() : *held ? (*held)->get() : -1;
  ssize_t size = 0;
#ifdef RWF_NOWAIT
  const struct iovec place = {into.data, into.size};
  do size = preadv2(fd, &place, 1, offset, RWF_NOWAIT);
  while (size < 0 && errno == EINTR);
#else
  errno = EOPNOTSUPP;
  size = -1;
#endif
  return Napi::Number::New(info.Env(), size < 0 ? -errno : static_cast<double>(size));
}

// Through /proc, as AT_EMPTY_PATH needs a capability.
Napi::Value linkFile(const Napi::CallbackInfo& info) {
  if (!info[1].IsString()) throw Napi::TypeError::New(info.Env(), "a path is expected");
  const std::string path = info[1].As<Napi::String>().Utf8Value();
  return onFile(info, "linkat", [path](int fd) {
    const std::string open = "/proc/self/fd/" + std::to_string(fd);
    return errorOf(linkat(AT_FDCWD, open.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
  });
}

// Whether the known facts about a file still hold: it has become shorter, or its name leads elsewhere. A name that cannot be
// looked up, for example in a folder that we can no longer read, proves nothing.
int verifyFile(int fd, const std::string& path, uint64_t size) {
  struct stat own;
  if (fstat(fd, &own) != 0) return errno;
  if (static_cast<uint64_t>(own.st_size) < size || own.st_nlink == 0) return ESTALE;
  struct stat named;
  if (stat(path.c_str(), &named) != 0) return errno == ENOENT || errno == ENOTDIR ? ESTALE : 0;
  return named.st_dev == own.st_dev && named.st_ino == own.st_ino ? 0 : ESTALE;
}

Napi::Value verify(const Napi::CallbackInfo& info) {
  const std::string path = info[1].ToString().Utf8Value();
  const uint64_t size = sizeArgument(info, 2);
  return onFile(info, "stat", [=](int fd) { return verifyFile(fd, path, size); });
}

template <size_t kBytes>
bool isZero(const std::array<uint8_t, kBytes>& bytes, size_t size) {
  return size == 0 || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, size - 1) == 0);
}

// Offset of the first byte from `at` on, before `end`, that is not zero; -1 if there is none. Holes are not read, if the system
// reports them. @returns 0 or errno
int findNonZero(int fd, off_t at, off_t end, off_t* found) {
  // On the stack, as the thread pool has no good way to report a failed allocation.
  std::array<uint8_t, 1 << 16> piece;
  *found = -1;
  while (at < end) {
    const off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return 0;
    // A file system without holes reports data everywhere.
    if (data > at) at = data;
    const auto wanted = std::min<off_t>(piece.size(), end - at);
    if (wanted <= 0) return 0;
    const ssize_t size = pread(fd, piece.data(), static_cast<size_t>(wanted), at);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size < 0 ? errno : 0;
    if (!isZero(piece, static_cast<size_t>(size))) {
      *found = at + (std::find_if(piece.begin(), piece.end(), [](uint8_t byte) { return byte != 0; }) - piece.begin());
      return 0;
    }
    at += size;
  }
  return 0;
}

Napi::Value firstNonZero(const Napi::CallbackInfo& info) {
  const auto from = static_cast<off_t>(sizeArgument(info, 1));
  const auto end = static_cast<off_t>(sizeArgument(info, 2));
  const auto found = std::make_shared<off_t>(-1);
  return onFile(
      info, "pread", [=](int fd) { return findNonZero(fd, from, end, found.get()); },
      [found](Napi::Env env) { return Napi::Number::New(env, static_cast<double>(*found)); });
}

// fdatasync first: then the file that is checked afterwards is the one that has the durable bytes, or the check fails.
Napi::Value commit(const Napi::CallbackInfo& info) {
  const std::string path = info[1].ToString().Utf8Value();
  const uint64_t size = sizeArgument(info, 2);
  const auto isSame = std::make_shared<bool>(false);
  return onFile(
      info, "fdatasync",
      [=](int fd) {
        if (fdatasync(fd) != 0) return errno;
        const int error = verifyFile(fd, path, size);
        *isSame = error == 0;
        return error == ESTALE ? 0 : error;
      },
      [isSame](Napi::Env env) { return Napi::Boolean::New(env, *isSame); });
}

// Durable when it returns, and nothing else is. @returns 0 or errno
int writeDurably(int fd, const uint8_t* bytes, size_t size, uint64_t offset) {
#ifdef RWF_DSYNC
  while (size > 0) {
    const struct iovec part = {const_cast<uint8_t*>(bytes), size};
    const ssize_t written = pwritev2(fd, &part, 1, static_cast<off_t>(offset), RWF_DSYNC);
    if (written < 0 && errno == EINTR) continue;
    // A kernel, or a sandbox, without the flag.
    if (written < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) break;
    if (written <= 0) return written < 0 ? errno : EIO;
    bytes += written;
    size -= static_cast<size_t>(written);
    offset += static_cast<uint64_t>(written);
  }
  if (size == 0) return 0;
#endif
  const int error = writeWhole(fd, bytes, size, offset);
  return error != 0 || fdatasync(fd) == 0 ? error : errno;
}

// writeThrough(fd, path, size, bytes, offset, sources, offsets): first the bytes, durably, then the pieces, then the check of `commit`.
Napi::Value writeThrough(const Napi::CallbackInfo& info) {
  const std::string path = info[1].ToString().Utf8Value();
  const uint64_t size = sizeArgument(info, 2);
  Bytes source;
  if (!toBytes(info.Env(), info[3], &source)) throw Napi::TypeError::New(info.Env(), "bytes are expected");
  const auto bytes = std::make_shared<std::vector<uint8_t>>(source.data, source.data + source.size);
  const uint64_t offset = sizeArgument(info, 4);
  const auto pieces = copyPieces(info, info[5].As<Napi::Array>(), info[6].As<Napi::Float64Array>());
  const auto isSame = std::make_shared<bool>(false);
  return onFile(
      info, "pwritev2",
      [=](int fd) {
        int error = writeDurably(fd, bytes->data(), bytes->size(), offset);
        if (error == 0) error = writePieces(fd, *pieces);
        if (error != 0) return error;
        error = verifyFile(fd, path, size);
        *isSame = error == 0;
        return error == ESTALE ? 0 : error;
      },
      [isSame](Napi::Env env) { return Napi::Boolean::New(env, *isSame); });
}

template <int kOperation>
Napi::Value lock(const Napi::CallbackInfo& info) {
  return onFile(info, "flock", [](int fd) { return errorOf(flock(fd, kOperation | LOCK_NB)); });
}

}  // namespace

void exportFile(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New(env, allocate, "allocate"));
  exports.Set("punchHole", Napi::Function::New(env, withinFile<FALLOC_FL_PUNCH_HOLE>, "punchHole"));
  exports.Set("zeroRange", Napi::Function::New(env, withinFile<FALLOC_FL_ZERO_RANGE>, "zeroRange"));
  exports.Set("unshare", Napi::Function::New(env, unshare, "unshare"));
  exports.Set("hold", Napi::Function::New(env, hold, "hold"));
  exports.Set("drop", Napi::Function::New(env, drop, "drop"));
  exports.Set("writeMany", Napi::Function::New(env, writeMany, "writeMany"));
  exports.Set("readNow", Napi::Function::New(env, readNow, "readNow"));
  exports.Set("linkFile", Napi::Function::New(env, linkFile, "linkFile"));
  exports.Set("firstNonZero", Napi::Function::New(env, firstNonZero, "firstNonZero"));
  exports.Set("verify", Napi::Function::New(env, verify, "verify"));
  exports.Set("commit", Napi::Function::New(env, commit, "commit"));
  exports.Set("writeThrough", Napi::Function::New(env, writeThrough, "writeThrough"));
  exports.Set("dropCache", Napi::Function::New(env, dropCache, "dropCache"));
  exports.Set("lockExclusive", Napi::Function::New(env, lock<LOCK_EX>, "lockExclusive"));
  exports.Set("lockShared", Napi::Function::New(env, lock<LOCK_SH>, "lockShared"));
  exports.Set("unlock", Napi::Function::New(env, lock<LOCK_UN>, "unlock"));
}

}  // namespace bedrock
