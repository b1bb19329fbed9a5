// The ring buffer against a std::deque, with elements that own memory, so that a sanitizer sees one
// that is destroyed twice, or never.
#include <async_timer/core/ring_buffer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "fuzz/input.hpp"

namespace {

using fuzz::require;
using owner = std::unique_ptr<std::uint32_t>;

class pair {
 public:
  void push_back(std::uint32_t value) {
    tested_.push_back(std::make_unique<std::uint32_t>(value));
    model_.push_back(value);
  }
  void push_front(std::uint32_t value) {
    tested_.push_front(std::make_unique<std::uint32_t>(value));
    model_.push_front(value);
  }
  void pop_front() {
    if (model_.empty()) return;
    require(*tested_.front() == model_.front(), "front");
    tested_.pop_front();
    model_.pop_front();
  }
  void swap_elements(std::size_t i, std::size_t j) {
    if (model_.empty()) return;
    std::swap(tested_[i % model_.size()], tested_[j % model_.size()]);
    std::swap(model_[i % model_.size()], model_[j % model_.size()]);
  }
  void move_away_and_back() {
    async_timer::core::ring_buffer<owner> away(std::move(tested_));
    require(tested_.empty() && away.size() == model_.size(), "moved");
    tested_ = std::move(away);
  }
  void clear() {
    tested_.clear();
    require(tested_.capacity() == 0, "gives the memory back");
    model_.clear();
  }
  void check() const {
    require(tested_.size() == model_.size() && tested_.empty() == model_.empty(), "size");
    require(tested_.capacity() >= model_.size(), "capacity");
    for (std::size_t i = 0; i < model_.size(); ++i) require(*tested_[i] == model_[i], "element");
  }

 private:
  async_timer::core::ring_buffer<owner> tested_;
  std::deque<std::uint32_t> model_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size < 512 ? size : 512);  // each step looks at all elements
  pair both;
  for (std::uint32_t count = 0; in.more(); ++count) {
    const auto choice = in.byte();
    switch (choice % 16) {
      case 0:
        both.clear();
        break;
      case 1:
        both.move_away_and_back();
        break;
      case 2:
        both.swap_elements(choice / 16, in.byte());
        break;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        both.pop_front();
        break;
      case 8:
      case 9:
      case 10:
        both.push_front(count);
        break;
      default:
        both.push_back(count);
    }
    both.check();
  }
  return 0;
}
