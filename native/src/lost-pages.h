// Lost pages are pages of a mapped file that the system cannot provide: those after the end of a truncated file, those that a
// full copy-on-write file system has no room for, those with memory errors. A load or store there raises SIGBUS, which ends a
// process that does not handle it.
//
// The handler replaces the lost page with zeros that belong to no file, marks the mapping, and lets the instruction continue.
// Loads then give zeros, and stores are lost. The mark turns that into an error: from then on every call on the mapping is
// refused, including the one that touched the page.
//
// The handler does not jump out (siglongjmp), though that would make the zeros unnecessary: the instruction may belong to
// JavaScript in a window, or to a thread that compresses from one, and there is no safe place in V8 or zlib to jump to. The
// mark works in all cases.
//
// A fault outside the mappings goes to the previous handler of the signal, as does a signal that a process has sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bedrock::lost_pages {

struct Watch;

// Watches a range from now on. The thread that touches a lost page sets `mark` to 1. `file` is a descriptor for asking the
// file's length (O_PATH is enough), or -1. Both must stay valid until `forget`, and `forget` must come before the range is
// unmapped.
Watch* watch(uint8_t* base, size_t size, int file, double* mark);
void forget(Watch* watch);

}  // namespace bedrock::lost_pages
