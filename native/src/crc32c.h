// CRC32C (Castagnoli; RFC 3720, appendix B.4). Uses the processor's instruction if there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bedrock {

// Continues from `crc`, the checksum of the preceding bytes (0 at the start).
uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t size);

// "sse4.2", "armv8" or "table"
const char* crc32cMethod();

}  // namespace bedrock
