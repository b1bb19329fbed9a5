// The public API: the bytes are a program, and the model tells whether the library does as it must.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "fuzz/input.hpp"
#include "model/generator.hpp"
#include "model/runner.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto program = model::make_program(std::span(data, size));
  if (model::run(program).is_well()) return 0;
  std::fprintf(stderr, "%s\n", model::report(program, "fuzz: api").c_str());
  std::abort();
}
