// Pages of a mapped file that the system cannot give: those behind the end of a file that somebody has cut off, those that a full
// copy-on-write file system has no room for, memory with errors. A load or store there raises SIGBUS, which ends a process that does
// not handle it.
//
// The handler here puts zeros that belong to no file in the lost page's place, marks the mapping, and lets the instruction go on. What
// is loaded then is zeros, what is stored goes nowhere, and the mark turns that into an error: every call on the mapping is refused
// from then on, the one that met the page included.
//
// No jump out of the handler (siglongjmp), though that would spare the zeros: the instruction may be one of JavaScript in a window, or
// of a thread that compresses from one, and there is no place in V8 or zlib that it would be safe to jump to. The mark is for all alike.
//
// A fault outside of the mappings goes to whoever handled the signal before; the same for a signal that somebody has sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bedrock::lost_pages {

struct Watch;

// Watches a range from now on. `mark` becomes 1 when a page is lost, by the thread that meets it; `file` is a descriptor to ask for the
// file's length (O_PATH will do), or -1. Both must stay until `forget`, and `forget` must come before the range is unmapped.
Watch* watch(uint8_t* base, size_t size, int file, double* mark);
void forget(Watch* watch);

}  // namespace bedrock::lost_pages
