// CRC32C: the processor's instruction, one per word, or eight tables if there is none.
#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
// clang counts the instruction apart from SSE 4.2.
#ifdef __clang__
#define BEDROCK_CRC32 __attribute__((target("sse4.2,crc32")))
#else
#define BEDROCK_CRC32 __attribute__((target("sse4.2")))
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace bedrock {

namespace {

using Update = uint32_t (*)(uint32_t crc, const uint8_t* data, size_t size);

uint64_t loadWord(const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[n][b]: the remainder of byte b with n zero bytes behind it.
constexpr Tables makeTables() {
  // 0x1EDC6F41 with its bits reversed
  constexpr uint32_t kPolynomial = 0x82F63B78;
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < 8; n++) {
    for (size_t byte = 0; byte < 256; byte++) {
      const uint32_t crc = tables[n - 1][byte];
      tables[n][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = makeTables();

uint32_t updateByTables(uint32_t crc, const uint8_t* data, size_t size) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; size >= 8; data += 8, size -= 8) {
    const uint64_t word = loadWord(data) ^ crc;
    crc = kTables[7][word & 0xFF] ^ kTables[6][(word >> 8) & 0xFF] ^ kTables[5][(word >> 16) & 0xFF] ^
          kTables[4][(word >> 24) & 0xFF] ^ kTables[3][(word >> 32) & 0xFF] ^ kTables[2][(word >> 40) & 0xFF] ^
          kTables[1][(word >> 48) & 0xFF] ^ kTables[0][word >> 56];
  }
#endif
  for (; size > 0; data++, size--) crc = (crc >> 8) ^ kTables[0][(crc ^ *data) & 0xFF];
  return crc;
}

#if defined(__x86_64__)

BEDROCK_CRC32 uint32_t updateByInstruction(uint32_t crc, const uint8_t* data, size_t size) {
  uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) wide = _mm_crc32_u64(wide, loadWord(data));
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; data++, size--) crc = _mm_crc32_u8(crc, *data);
  return crc;
}

bool hasInstruction() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
}
constexpr const char* kInstruction = "sse4.2";

#elif defined(__aarch64__) && defined(__linux__)

__attribute__((target("+crc"))) uint32_t updateByInstruction(uint32_t crc, const uint8_t* data, size_t size) {
  for (; size >= 8; data += 8, size -= 8) crc = __crc32cd(crc, loadWord(data));
  for (; size > 0; data++, size--) crc = __crc32cb(crc, *data);
  return crc;
}

bool hasInstruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
constexpr const char* kInstruction = "armv8";

#else

constexpr Update updateByInstruction = nullptr;
bool hasInstruction() { return false; }
constexpr const char* kInstruction = "table";

#endif

const bool kHasInstruction = hasInstruction();
const Update kUpdate = kHasInstruction ? Update{updateByInstruction} : Update{updateByTables};

}  // namespace

uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t size) {
  if (size == 0) return crc;
  return ~kUpdate(~crc, data, size);
}

const char* crc32cMethod() { return kHasInstruction ? kInstruction : "table"; }

}  // namespace bedrock
