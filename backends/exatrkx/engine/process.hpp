// What holds for the whole process that the engine runs in: its threads, and the memory that it keeps.
#pragma once

namespace exatrkx {

// How many threads each operation of a network uses. Holds for every engine of the process.
void use_threads(int threads);

// Tells glibc to keep freed blocks for the next event; exatrkx/arrays.py says why. False where it takes no such advice.
bool retain_freed_memory();

}  // namespace exatrkx
