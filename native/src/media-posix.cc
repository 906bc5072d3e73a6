// The same without libpmem: mmap(2) and msync(2) map files and make them durable. So no mapping is persistent memory, and the
// functions that flush processor caches are never called.
#include "media.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bedrock::media {

namespace {

MapResult systemFailure(int error, const std::string& call) {
  MapResult result;
  result.error = error;
  result.message = call + ": " + std::strerror(error);
  return result;
}

int openFile(const char* path, int flags, mode_t mode) {
  int openFlags = O_RDWR | O_CLOEXEC;
  if (flags & kExclusive) openFlags |= O_EXCL;
  if (flags & kTmpfile) return open(path, openFlags | O_TMPFILE, 0600);
  if (flags & kCreate) openFlags |= O_CREAT;
  return open(path, openFlags, mode);
}

// @returns 0 or errno
int resize(int fd, size_t size, int flags) {
  const auto length = static_cast<off_t>(size);
  if (ftruncate(fd, length) != 0) return errno;
  return (flags & kSparse) != 0 ? 0 : posix_fallocate(fd, 0, length);
}

MapResult mapFile(const char* path, size_t size, int flags, mode_t mode) {
  const bool creates = (flags & kCreate) != 0;
  const int fd = openFile(path, flags, mode);
  if (fd < 0) return systemFailure(errno, "open");

  MapResult result;
  if (creates) {
    if (const int error = resize(fd, size, flags); error != 0) {
      result = systemFailure(error, "allocate");
      if ((flags & kExclusive) != 0 && (flags & kTmpfile) == 0) unlink(path);
    }
  } else {
    struct stat status;
    if (fstat(fd, &status) != 0) {
      result = systemFailure(errno, "stat");
    } else {
      size = static_cast<size_t>(status.st_size);
    }
  }
  if (result.error == 0) {
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
      result = systemFailure(errno, "mmap");
      if (creates && (flags & kExclusive) != 0 && (flags & kTmpfile) == 0) unlink(path);
    } else {
      result.base = static_cast<uint8_t*>(base);
      result.size = size;
    }
  }
  close(fd);
  return result;
}

bool isPmemFile(int) { return false; }

void unregister(uint8_t* base, size_t size) { munmap(base, size); }

int msync(const uint8_t* address, size_t size) {
  if (size == 0) return 0;
  // msync(2) accepts only the start of a page.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(address);
  const uintptr_t past = start & (page - 1);
  return ::msync(reinterpret_cast<void*>(start - past), size + past, MS_SYNC) == 0 ? 0 : errno;
}

int deepPersist(const uint8_t* address, size_t size, bool) { return msync(address, size); }

bool isForced() { return false; }

int hasAutoFlush() { return -1; }

int hasHardwareDrain() { return -1; }

}  // namespace

const Medium kPosix = {mapFile, isPmemFile, unregister, msync, deepPersist, isForced, hasAutoFlush, hasHardwareDrain};

}  // namespace bedrock::media
