#include "model/seed_on_crash.hpp"

#include <unistd.h>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>

// The sanitizers end the process by themselves, and call this before.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace model {

namespace {

volatile std::sig_atomic_t running = 0;
std::array<char, 64> message{};
std::size_t message_size = 0;

void tell() {
  if (running != 0) {
    const auto written = write(STDERR_FILENO, message.data(), message_size);
    static_cast<void>(written);
  }
}

void crashed(int signal) {
  tell();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

bool listen() {
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) std::signal(signal, crashed);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell);
  return true;
}

}  // namespace

seed_on_crash::seed_on_crash(std::uint64_t seed) {
  [[maybe_unused]] static const bool listening = listen();
  constexpr const char* text = "\nmodel: crashed in the program of seed ";
  const std::size_t length = std::strlen(text);
  std::memcpy(message.data(), text, length);
  char* const end = std::to_chars(message.data() + length, message.data() + 63, seed).ptr;
  *end = '\n';
  message_size = static_cast<std::size_t>(end - message.data()) + 1;
  running = 1;
}

seed_on_crash::~seed_on_crash() { running = 0; }

}  // namespace model
