#include "space.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

namespace bedrock {

namespace {

int errorOf(int result) { return result == 0 ? 0 : errno; }

struct Range {
  off_t start;
  off_t end;
  // Whether another file shares it, so that a write needs new space.
  bool isShared = false;
};

// The allocated parts of a range, in order, including those never written to (FS_IOC_FIEMAP).
// @returns false if the file system does not report them
bool listAllocated(int fd, off_t offset, off_t end, std::vector<Range>* allocated) {
  constexpr uint32_t kExtents = 128;
  std::vector<uint64_t> memory((sizeof(fiemap) + kExtents * sizeof(fiemap_extent)) / sizeof(uint64_t));
  auto* const map = reinterpret_cast<fiemap*>(memory.data());
  for (off_t at = offset; at < end;) {
    *map = {};
    map->fm_start = static_cast<uint64_t>(at);
    map->fm_length = static_cast<uint64_t>(end - at);
    map->fm_extent_count = kExtents;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0) return false;
    if (map->fm_mapped_extents == 0) return true;
    for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
      const fiemap_extent& extent = map->fm_extents[i];
      const auto start = static_cast<off_t>(extent.fe_logical);
      const bool isShared = (extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0;
      allocated->push_back({start, start + static_cast<off_t>(extent.fe_length), isShared});
      if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return true;
    }
    if (allocated->back().end <= at) return false;
    at = allocated->back().end;
  }
  return true;
}

// The parts of a range that are not in `kept`, in order.
std::vector<Range> rangesBeside(Range range, const std::vector<Range>& kept) {
  std::vector<Range> beside;
  const auto isBefore = [](const Range& each, off_t place) { return each.end <= place; };
  off_t at = range.start;
  for (auto next = std::lower_bound(kept.begin(), kept.end(), at, isBefore); at < range.end; ++next) {
    const bool isLast = next == kept.end() || next->start >= range.end;
    const off_t stop = isLast ? range.end : next->start;
    if (stop > at) beside.push_back({at, stop});
    at = isLast ? stop : next->end;
  }
  return beside;
}

// Space that is allocated but was never written still counts as a hole (lseek(2), SEEK_HOLE), on every file system that
// distinguishes the two. So the leftovers of a failed allocation are among the holes, apart from what was allocated before, and
// freeing them loses no data.
void giveBackHoles(int fd, off_t offset, off_t end, const std::vector<Range>& kept) {
  const off_t position = lseek(fd, 0, SEEK_CUR);
  for (off_t at = offset; at < end;) {
    const off_t hole = lseek(fd, at, SEEK_HOLE);
    if (hole < 0 || hole >= end) break;
    off_t data = lseek(fd, hole, SEEK_DATA);
    if (data < 0 && errno != ENXIO) break;
    data = data < 0 ? end : std::min(data, end);
    for (const Range& left : rangesBeside({hole, data}, kept)) {
      if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, left.start, left.end - left.start) != 0) break;
    }
    at = data;
  }
  if (position >= 0) lseek(fd, position, SEEK_SET);
}

}  // namespace

int allocateSpace(int fd, off_t offset, off_t size, bool emulates) {
  struct stat before;
  if (fstat(fd, &before) != 0) return errno;
  // Space that was allocated before stays: somebody may rely on being able to write there. If the file system does not report
  // allocation, nothing is freed.
  const off_t end = std::min(offset + size, before.st_size);
  std::vector<Range> kept;
  const bool isKnown = S_ISREG(before.st_mode) && listAllocated(fd, offset, end, &kept);
  // Only the missing parts are requested: XFS refuses a range larger than its free space even if it is already allocated.
  std::vector<Range> missing;
  if (isKnown && size > 0) missing = rangesBeside({offset, end}, kept);
  const off_t rest = isKnown && size > 0 ? std::max(offset, end) : offset;
  if (rest < offset + size || size <= 0) missing.push_back({rest, offset + size});
  int error = 0;
  for (const Range& range : missing) {
    const off_t length = range.end - range.start;
    do error = emulates ? posix_fallocate(fd, range.start, length) : errorOf(fallocate(fd, 0, range.start, length));
    while (error == EINTR);
    if (error != 0) break;
  }
  if (error == 0 || !S_ISREG(before.st_mode)) return error;
  struct stat after;
  if (fstat(fd, &after) == 0 && after.st_size > before.st_size) {
    // Report the original error.
    if (ftruncate(fd, before.st_size) != 0) return error;
  }
  // A call that was refused for its arguments has allocated nothing.
  if (isKnown && error != EINVAL && error != EBADF) giveBackHoles(fd, offset, end, kept);
  return error;
}

int unshareSpace(int fd, off_t offset, off_t size) {
  const off_t end = offset + size;
  std::vector<Range> allocated;
  if (!listAllocated(fd, offset, end, &allocated)) return 0;
  for (const auto& [start, stop, isShared] : allocated) {
    if (!isShared) continue;
    const off_t from = std::max(start, offset);
    const off_t to = std::min(stop, end);
    int error = 0;
    do error = errorOf(fallocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, from, to - from));
    while (error == EINTR);
    if (error != 0) return error;
  }
  return 0;
}

int CreatedFile::open(const char* path, mode_t mode) {
  // Exclusively first: only then is it known who created the file.
  for (int attempt = 0; attempt < 8; attempt++) {
    fd_ = ::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    isNew_ = fd_ >= 0;
    if (fd_ >= 0 || errno != EEXIST) break;
    fd_ = ::open(path, O_RDWR | O_CLOEXEC);
    if (fd_ >= 0 || errno != ENOENT) break;
    // A dangling link neither exists as a file nor leaves the name free: its destination is created, as without O_EXCL.
    fd_ = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    if (fd_ >= 0 || errno != ENOENT) break;
  }
  return fd_ >= 0 ? 0 : errno;
}

int CreatedFile::create(const char* path, size_t size, mode_t mode, bool isSparse) {
  path_ = path;
  if (const int error = open(path, mode); error != 0) return error;
  const auto length = static_cast<off_t>(size);
  struct stat before;
  failedCall_ = "stat";
  if (fstat(fd_, &before) != 0) return errno;
  // A device has a size of its own.
  if (!S_ISREG(before.st_mode)) return 0;
  sizeBefore_ = before.st_size;
  failedCall_ = "truncate";
  if (ftruncate(fd_, length) != 0) return errno;
  failedCall_ = "allocate";
  return isSparse ? 0 : allocateSpace(fd_, 0, length, true);
}

CreatedFile::~CreatedFile() {
  if (fd_ < 0) return;
  if (!isKept_ && isNew_) unlink(path_);
  struct stat now;
  if (!isKept_ && !isNew_ && fstat(fd_, &now) == 0 && now.st_size > sizeBefore_) {
    // Nothing more can be done if this fails.
    if (ftruncate(fd_, sizeBefore_) != 0) errno = 0;
  }
  close(fd_);
}

}  // namespace bedrock
