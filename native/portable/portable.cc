// A part of binaries for other machines only (BEDROCK_PORTABLE): without it they would need the glibc that they were built with.
//
// glibc gives functions a new version now and then, and the linker takes the newest. What is defined here is used instead, also by
// the C++ library inside. Each does the same as glibc's. scripts/prebuild.js checks what is still needed.
#include <features.h>

#ifdef __GLIBC__

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define BEDROCK_FIRST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define BEDROCK_FIRST "GLIBC_2.17"
#else
#error "the first version of glibc on this processor is not known here"
#endif

// 2.34 moved these from libdl into libc. Node.js is linked with both.
__asm__(".symver first_dlopen,dlopen@" BEDROCK_FIRST);
__asm__(".symver first_dlsym,dlsym@" BEDROCK_FIRST);
__asm__(".symver first_dladdr,dladdr@" BEDROCK_FIRST);
__asm__(".symver first_dlerror,dlerror@" BEDROCK_FIRST);

extern "C" {

void* first_dlopen(const char* file, int mode);
void* first_dlsym(void* library, const char* name);
int first_dladdr(const void* address, Dl_info* info);
char* first_dlerror();

#define BEDROCK_HIDDEN __attribute__((visibility("hidden")))

BEDROCK_HIDDEN void* dlopen(const char* file, int mode) noexcept(noexcept(::dlopen(file, mode))) {
  return first_dlopen(file, mode);
}
BEDROCK_HIDDEN void* dlsym(void* library, const char* name) noexcept { return first_dlsym(library, name); }
BEDROCK_HIDDEN int dladdr(const void* address, Dl_info* info) noexcept { return first_dladdr(address, info); }
BEDROCK_HIDDEN char* dlerror() noexcept { return first_dlerror(); }

// Functions since 2.33; before, a header had them call others. The system call fills the same structure.
BEDROCK_HIDDEN int fstat(int fd, struct stat* status) noexcept { return static_cast<int>(syscall(SYS_fstat, fd, status)); }
BEDROCK_HIDDEN int stat(const char* path, struct stat* status) noexcept {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}

// Since 2.32: whether the C++ library may count references without atomic operations. Node.js has threads.
BEDROCK_HIDDEN char __libc_single_threaded = 0;

// Since 2.36, for std::random_device, which is linked in and not used.
BEDROCK_HIDDEN unsigned arc4random() noexcept {
  unsigned value = 0;
  while (getrandom(&value, sizeof(value), 0) != sizeof(value)) {
  }
  return value;
}

}  // extern "C"

#endif
