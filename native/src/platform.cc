// Properties of the machine and of libpmem, and CRC32C over JavaScript's own memory.
#include "addon.h"
#include "crc32c.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace bedrock {

namespace {

Napi::Value triState(Napi::Env env, int value) {
  if (value < 0) return env.Null();
  return Napi::Boolean::New(env, value != 0);
}

#if defined(__x86_64__)

bool isOne(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

// libpmem does not report its choice; this repeats the order in which it chooses (libpmem(7), ENVIRONMENT).
const char* flushInstruction() {
  if (isOne("PMEM_NO_FLUSH")) return nullptr;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    if ((b & (1u << 24)) != 0 && !isOne("PMEM_NO_CLWB")) return "clwb";
    if ((b & (1u << 23)) != 0 && !isOne("PMEM_NO_CLFLUSHOPT")) return "clflushopt";
  }
  return "clflush";
}

#elif defined(__aarch64__) && defined(__linux__)

const char* flushInstruction() {
#ifdef HWCAP_DCPOP
  if ((getauxval(AT_HWCAP) & HWCAP_DCPOP) != 0) return "dc cvap";
#endif
  return "dc cvac";
}

#else

const char* flushInstruction() { return nullptr; }

#endif

long cacheLine() {
#ifdef _SC_LEVEL1_DCACHE_LINESIZE
  const long size = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
  if (size > 0) return size;
#endif
  return 64;
}

Napi::Value text(Napi::Env env, const char* value) {
  if (value == nullptr) return env.Null();
  return Napi::String::New(env, value);
}

Napi::Value attributes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const LibpmemSearch& libpmem = libpmem::load();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("libpmem", text(env, libpmem.isFound ? libpmem.version.c_str() : nullptr));
  result.Set("libpmemPath", text(env, libpmem.isFound ? libpmem.path.c_str() : nullptr));
  result.Set("libpmemReason", text(env, libpmem.isFound ? nullptr : libpmem.reason.c_str()));
  result.Set("hasAutoFlush", triState(env, media::medium().hasAutoFlush()));
  result.Set("hasHardwareDrain", triState(env, media::medium().hasHardwareDrain()));
  result.Set("flushInstruction", text(env, libpmem.isFound ? flushInstruction() : nullptr));
  result.Set("cacheLineBytes", Napi::Number::New(env, static_cast<double>(cacheLine())));
  result.Set("pageBytes", Napi::Number::New(env, static_cast<double>(sysconf(_SC_PAGESIZE))));
  result.Set("powerFailAtomicBytes", Napi::Number::New(env, 8));
  result.Set("crc32c", text(env, crc32cMethod()));
  return result;
}

// peerCredentials(fd): the user and the group of the process that connected to a unix socket, as they were then; undefined if the
// system does not say so.
Napi::Value peerCredentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
#ifdef SO_PEERCRED
  if (info.Length() < 1 || !info[0].IsNumber()) return env.Undefined();
  struct ucred peer = {};
  socklen_t size = sizeof(peer);
  const int fd = info[0].As<Napi::Number>().Int32Value();
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof(peer)) return env.Undefined();
  // A socket of another family gives a peer that does not exist.
  if (peer.pid == 0 && peer.uid == static_cast<uid_t>(-1)) return env.Undefined();
  const Napi::Object result = Napi::Object::New(env);
  result.Set("uid", Napi::Number::New(env, static_cast<double>(peer.uid)));
  result.Set("gid", Napi::Number::New(env, static_cast<double>(peer.gid)));
  return result;
#else
  return env.Undefined();
#endif
}

// @returns 0 or errno
int send(const std::string& path, const std::string& message) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return EINVAL;
  std::memcpy(address.sun_path, path.data(), path.size());
  // An abstract name is as long as it says, and begins with a zero.
  const bool isAbstract = path[0] == '@';
  if (isAbstract) address.sun_path[0] = '\0';
  const size_t length = offsetof(sockaddr_un, sun_path) + path.size() + (isAbstract ? 0 : 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const ssize_t sent = sendto(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return error;
}

// sendDatagram(path, message), for the notifications of sd_notify(3).
Napi::Value sendDatagram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsString()) return Napi::Number::New(env, EINVAL);
  return Napi::Number::New(env, send(info[0].As<Napi::String>(), info[1].As<Napi::String>()));
}

// crc32c(bytes, seed), or undefined if the arguments are invalid. Raw Node-API, as it is used with reads of 64 bytes.
napi_value crc32cOfBytes(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  Bytes bytes;
  uint64_t seed = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || !toBytes(env, arguments[0], &bytes) ||
      !toSize(env, arguments[1], &seed) || seed > UINT32_MAX) {
    return nullptr;
  }
  napi_value result = nullptr;
  napi_create_uint32(env, crc32c(static_cast<uint32_t>(seed), bytes.data, bytes.size), &result);
  return result;
}

}  // namespace

void exportPlatform(Napi::Env env, Napi::Object exports) {
  exports.Set("attributes", Napi::Function::New(env, attributes, "attributes"));
  exports.Set("peerCredentials", Napi::Function::New(env, peerCredentials, "peerCredentials"));
  exports.Set("sendDatagram", Napi::Function::New(env, sendDatagram, "sendDatagram"));
  napi_value function = nullptr;
  if (napi_create_function(env, "crc32c", NAPI_AUTO_LENGTH, crc32cOfBytes, nullptr, &function) != napi_ok) {
    throw Napi::Error::New(env);
  }
  exports.Set("crc32c", Napi::Value(env, function));
}

}  // namespace bedrock
