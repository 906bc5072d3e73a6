// Space of files: taken whole, or not at all.
#pragma once

#include <sys/types.h>

namespace bedrock {

// Gives a range of a file its space, and the file at least the size that ends it. If that fails, what was taken is given back, and what
// had its space before keeps it: a file system that is full keeps what it could give otherwise. Nobody else may write to the range, or
// extend the file, meanwhile.
// @param emulates whether a byte is written into every block where the file system cannot allocate
// @returns 0 or errno
int allocateSpace(int fd, off_t offset, off_t size, bool emulates);

// Gives what a range of a file shares with others (FS_IOC_FIEMAP, FIEMAP_EXTENT_SHARED) space of its own; the bytes stay. What was unshared
// before it fails stays so. Where the file system does not tell, nothing is done.
// @returns 0 or errno
int unshareSpace(int fd, off_t offset, off_t size);

// Creates a file, or opens one that is there, makes it `size` bytes long and gives it its space. Unless `keep` is called it ends as it
// was: a new one is gone, one that was there has its former size and its former space. (What was cut off is lost.)
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
