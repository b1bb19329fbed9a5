#include "interleavings/explorer/last_words.hpp"

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <utility>

// The sanitizers end the program without a signal.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace interleaving {

namespace {

constexpr std::array deadly{SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};

std::function<std::string()> say;
std::array<struct sigaction, deadly.size()> before{};

// Not what a signal handler may do, but the program is lost anyway, and this is what helps.
void speak() {
  if (const auto words = std::exchange(say, nullptr)) {
    std::printf("%s\n", words().c_str());
    std::fflush(stdout);
  }
}

void on_signal(int signal) {
  speak();
  for (std::size_t i = 0; i < deadly.size(); ++i) sigaction(deadly[i], &before[i], nullptr);
  raise(signal);
}

}  // namespace

last_words::last_words(std::function<std::string()> words) {
  say = std::move(words);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(&speak);
  struct sigaction action {};
  action.sa_handler = &on_signal;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (std::size_t i = 0; i < deadly.size(); ++i) sigaction(deadly[i], &action, &before[i]);
}

last_words::~last_words() {
  for (std::size_t i = 0; i < deadly.size(); ++i) sigaction(deadly[i], &before[i], nullptr);
  say = nullptr;
}

}  // namespace interleaving
