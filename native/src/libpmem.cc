// Loads libpmem.so.1 with dlopen(3). It is never unloaded.
#include "libpmem.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <cstring>

#if defined(__has_include)
#if __has_include(<libpmem.h>)
#include <libpmem.h>

#include <type_traits>
#define BEDROCK_SAME(name) static_assert(std::is_same_v<decltype(&pmem_##name), decltype(bedrock::Libpmem::name)>)
// Without the header nothing is different; with it, what is declared here is checked against it.
BEDROCK_SAME(map_file);
BEDROCK_SAME(unmap);
BEDROCK_SAME(msync);
BEDROCK_SAME(deep_persist);
BEDROCK_SAME(persist);
BEDROCK_SAME(flush);
BEDROCK_SAME(memmove_persist);
BEDROCK_SAME(memmove_nodrain);
BEDROCK_SAME(memset_persist);
BEDROCK_SAME(memset_nodrain);
#endif
#endif

namespace bedrock::libpmem {

Libpmem calls;

namespace {

constexpr const char* kName = "libpmem.so.1";
// It writes this with its version into its log, and so has it among its constants.
constexpr char kVersionMark[] = "src version: ";

template <typename Function>
bool find(void* library, const char* name, Function* function, std::string* missing) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) *missing = name;
  return *function != nullptr;
}

// @returns the name of a function that is missing; empty if all are there
std::string findAll(void* library, Libpmem* found) {
  std::string missing;
  static_cast<void>(
      find(library, "pmem_unmap", &found->unmap, &missing) && find(library, "pmem_msync", &found->msync, &missing) &&
      find(library, "pmem_deep_persist", &found->deep_persist, &missing) &&
      find(library, "pmem_persist", &found->persist, &missing) && find(library, "pmem_flush", &found->flush, &missing) &&
      find(library, "pmem_drain", &found->drain, &missing) &&
      find(library, "pmem_memmove_persist", &found->memmove_persist, &missing) &&
      find(library, "pmem_memmove_nodrain", &found->memmove_nodrain, &missing) &&
      find(library, "pmem_memset_persist", &found->memset_persist, &missing) &&
      find(library, "pmem_memset_nodrain", &found->memset_nodrain, &missing) &&
      find(library, "pmem_has_auto_flush", &found->has_auto_flush, &missing) &&
      find(library, "pmem_has_hw_drain", &found->has_hw_drain, &missing) &&
      find(library, "pmem_map_file", &found->map_file, &missing));
  return missing;
}

struct VersionSearch {
  const void* base;
  std::string version;
};

std::string versionIn(const char* bytes, size_t size) {
  const size_t length = sizeof(kVersionMark) - 1;
  const auto* found = static_cast<const char*>(memmem(bytes, size, kVersionMark, length));
  if (found == nullptr) return {};
  const char* const end = bytes + size;
  const char* const start = found + length;
  const char* at = start;
  while (at < end && *at > ' ' && *at <= '~') at++;
  return std::string(start, at);
}

// Reads the constants of the library, as it has no function that tells its version.
int findVersion(dl_phdr_info* library, size_t, void* data) {
  auto* search = static_cast<VersionSearch*>(data);
  if (reinterpret_cast<const void*>(library->dlpi_addr) != search->base) return 0;
  for (int i = 0; i < library->dlpi_phnum && search->version.empty(); i++) {
    const auto& segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_R) == 0 || (segment.p_flags & PF_W) != 0) continue;
    search->version = versionIn(reinterpret_cast<const char*>(library->dlpi_addr + segment.p_vaddr), segment.p_memsz);
  }
  return 1;
}

LibpmemSearch search() {
  LibpmemSearch result;
  const char* wanted = std::getenv("BEDROCK_LIBPMEM");
  if (wanted != nullptr && std::strcmp(wanted, "off") == 0) {
    result.reason = "BEDROCK_LIBPMEM is off";
    return result;
  }
  const char* name = wanted == nullptr || *wanted == '\0' ? kName : wanted;
  void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* message = dlerror();
    result.reason = message == nullptr ? std::string(name) + " does not load" : message;
    return result;
  }
  Libpmem found;
  if (const std::string missing = findAll(library, &found); !missing.empty()) {
    result.reason = std::string(name) + " has no function " + missing + ": libpmem 1.8 or later is needed";
    return result;
  }
  result.isFound = true;
  result.path = name;
  result.version = "1";
  Dl_info info = {};
  if (dladdr(reinterpret_cast<const void*>(found.map_file), &info) != 0 && info.dli_fname != nullptr) {
    result.path = info.dli_fname;
    VersionSearch version{info.dli_fbase, {}};
    dl_iterate_phdr(findVersion, &version);
    if (!version.version.empty()) result.version = version.version;
  }
  calls = found;
  return result;
}

}  // namespace

const LibpmemSearch& load() {
  // Never destroyed: threads may outlive main().
  static const auto* const result = new LibpmemSearch(search());
  return *result;
}

}  // namespace bedrock::libpmem
