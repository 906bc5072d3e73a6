// The handler of SIGBUS, and the ranges that it watches. It runs on the thread that touched the lost page, at any instruction.
// It calls only what a signal handler may call (sigaction(2), fstat(2), and mmap(2) by its number, since sanitizers wrap the
// function), and takes no lock.
#include "lost-pages.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>

namespace bedrock::lost_pages {

// An element of a list that only grows, since the handler may be reading it. An element with `end` 0 watches nothing, and is
// reused.
struct Watch {
  std::atomic<uintptr_t> base{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<int> file{-1};
  std::atomic<double*> mark{nullptr};
  Watch* next = nullptr;
};

namespace {

std::atomic<Watch*> watches{nullptr};
std::mutex changes;
uintptr_t pageBytes = 4096;
struct sigaction previous{};

bool isWatching(const Watch& watch, uintptr_t address) {
  // `end` is written last and cleared first. So a range is consistent if `end` is set both before and after it is read.
  const uintptr_t end = watch.end.load(std::memory_order_acquire);
  return address < end && address >= watch.base.load(std::memory_order_acquire) &&
         watch.end.load(std::memory_order_acquire) == end;
}

bool putZeros(uintptr_t from, uintptr_t to) {
  const long placed =
      syscall(SYS_mmap, from, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return static_cast<uintptr_t>(placed) == from;
}

// Everything after the end of a file is lost together, so that sequential reads do not fault on each page. Elsewhere a single
// page is lost, or as many as the machine reports.
bool replace(const Watch& watch, uintptr_t address, uintptr_t lostBytes) {
  const uintptr_t base = watch.base.load(std::memory_order_relaxed);
  const uintptr_t end = (watch.end.load(std::memory_order_relaxed) + pageBytes - 1) & ~(pageBytes - 1);
  struct stat file;
  if (fstat(watch.file.load(std::memory_order_relaxed), &file) == 0) {
    const uintptr_t fileEnd = (base + static_cast<uintptr_t>(file.st_size) + pageBytes - 1) & ~(pageBytes - 1);
    if (address >= fileEnd) return putZeros(fileEnd, end);
  }
  const uintptr_t from = address & ~(lostBytes - 1);
  if (putZeros(std::max(from, base), std::min(from + lostBytes, end))) return true;
  // The kernel limits the number of ranges; very many single lost pages can exhaust it.
  return putZeros(address & ~(pageBytes - 1), end);
}

// @returns whether the fault was in a watched range, so that the instruction may continue
bool mend(const siginfo_t& fault) {
  // A signal sent by a process has no address.
  if (fault.si_code != BUS_ADRERR && fault.si_code != BUS_OBJERR
#ifdef BUS_MCEERR_AR
      && fault.si_code != BUS_MCEERR_AR && fault.si_code != BUS_MCEERR_AO
#endif
  ) {
    return false;
  }
  const auto address = reinterpret_cast<uintptr_t>(fault.si_addr);
  for (const Watch* watch = watches.load(std::memory_order_acquire); watch != nullptr; watch = watch->next) {
    if (!isWatching(*watch, address)) continue;
    double lost = 1;
    __atomic_store(watch->mark.load(std::memory_order_relaxed), &lost, __ATOMIC_RELEASE);
    uintptr_t lostBytes = pageBytes;
#ifdef BUS_MCEERR_AR
    // Found by the machine in the background: no thread is waiting for the page.
    if (fault.si_code == BUS_MCEERR_AO) return true;
    if (fault.si_code == BUS_MCEERR_AR) lostBytes = std::max(pageBytes, uintptr_t{1} << fault.si_addr_lsb);
#endif
    return replace(*watch, address, lostBytes);
  }
  return false;
}

void passOn(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(signal, info, context);
  const bool wasSent = info->si_code <= 0;
  if (previous.sa_handler == SIG_IGN && wasSent) return;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  // Ends the process: the instruction faults again, or the signal is sent again, when this returns.
  struct sigaction byDefault{};
  byDefault.sa_handler = SIG_DFL;
  sigaction(signal, &byDefault, nullptr);
  if (wasSent) raise(signal);
}

void onBusError(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  if (!mend(*info)) passOn(signal, info, context);
  errno = error;
}

void install() {
  pageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  // Keeps the library loaded: the handler outlives a worker thread that was the only one to load it.
  Dl_info own;
  if (dladdr(reinterpret_cast<const void*>(&onBusError), &own) != 0) {
    dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
  struct sigaction handler{};
  handler.sa_sigaction = onBusError;
  // On the thread's signal stack, if it has one.
  handler.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&handler.sa_mask);
  sigaction(SIGBUS, nullptr, &previous);
  sigaction(SIGBUS, &handler, nullptr);
}

}  // namespace

Watch* watch(uint8_t* base, size_t size, int file, double* mark) {
  static const bool isInstalled = (install(), true);
  static_cast<void>(isInstalled);
  const std::lock_guard<std::mutex> guard(changes);
  Watch* place = watches.load(std::memory_order_relaxed);
  while (place != nullptr && place->end.load(std::memory_order_relaxed) != 0) place = place->next;
  const bool isNew = place == nullptr;
  if (isNew) place = new Watch;
  const auto start = reinterpret_cast<uintptr_t>(base);
  place->base.store(start, std::memory_order_relaxed);
  place->file.store(file, std::memory_order_relaxed);
  place->mark.store(mark, std::memory_order_relaxed);
  place->end.store(start + size, std::memory_order_release);
  if (isNew) {
    place->next = watches.load(std::memory_order_relaxed);
    watches.store(place, std::memory_order_release);
  }
  return place;
}

void forget(Watch* watch) {
  const std::lock_guard<std::mutex> guard(changes);
  watch->end.store(0, std::memory_order_release);
}

}  // namespace bedrock::lost_pages
