// Says something if the program crashes, whatever crashes it.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_LAST_WORDS_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_LAST_WORDS_HPP

#include <functional>
#include <string>

namespace interleaving {

class last_words {
 public:
  explicit last_words(std::function<std::string()> words);
  last_words(const last_words&) = delete;
  last_words& operator=(const last_words&) = delete;
  ~last_words();
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_LAST_WORDS_HPP
