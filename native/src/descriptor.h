// A duplicate of an open file's descriptor. If the file is closed during a call on the thread pool, its number may be reused
// for another file; the duplicate is not affected.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace bedrock {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fcntl(fd, F_DUPFD_CLOEXEC, 0)), error_(fd_ < 0 ? errno : 0) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  // 0 or errno
  int error() const { return error_; }

 private:
  const int fd_;
  const int error_;
};

}  // namespace bedrock
