// Space of files: allocated completely or not at all.
#pragma once

#include <sys/types.h>

namespace bedrock {

// Allocates space for a range of a file, and extends the file to the end of the range if it is shorter. If that fails, it frees
// what it allocated; otherwise a full file system would keep the part that it could allocate. Space that was allocated before
// stays. Nobody else may write to the range, or extend the file, meanwhile.
// @param emulates whether to write a byte into every block if the file system cannot allocate
// @returns 0 or errno
int allocateSpace(int fd, off_t offset, off_t size, bool emulates);

// Allocates separate space for the parts of a range that other files share (FS_IOC_FIEMAP, FIEMAP_EXTENT_SHARED); the bytes
// stay. If it fails, parts that are already unshared stay so. If the file system does not report sharing, nothing is done.
// @returns 0 or errno
int unshareSpace(int fd, off_t offset, off_t size);

// Creates or opens a file, sets its size to `size` bytes and allocates its space. Unless `keep` is called, the destructor
// restores the former state: a new file is deleted, an existing one gets its former size and space back. (Bytes that were
// truncated are lost.)
class CreatedFile {
 public:
  // @returns 0 or errno
  int create(const char* path, size_t size, mode_t mode, bool isSparse);
  // The call that failed, for a message.
  const char* failedCall() const { return failedCall_; }
  void keep() { isKept_ = true; }

  CreatedFile() = default;
  ~CreatedFile();
  CreatedFile(const CreatedFile&) = delete;
  CreatedFile& operator=(const CreatedFile&) = delete;

 private:
  int open(const char* path, mode_t mode);

  const char* path_ = nullptr;
  const char* failedCall_ = "open";
  int fd_ = -1;
  bool isNew_ = false;
  bool isKept_ = false;
  off_t sizeBefore_ = 0;
};

}  // namespace bedrock
