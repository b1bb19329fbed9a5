// What one thread waits for and another one gives.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_BATON_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_BATON_HPP

#include <semaphore.h>

namespace interleaving {

class baton {
 public:
  baton() { sem_init(&semaphore_, 0, 0); }
  baton(const baton&) = delete;
  baton& operator=(const baton&) = delete;
  ~baton() { sem_destroy(&semaphore_); }

  void give() { sem_post(&semaphore_); }
  void take() {
    while (sem_wait(&semaphore_) != 0) {
    }
  }

 private:
  // Not of the standard library, whose waiting is what the explorer gets hold of.
  sem_t semaphore_;
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_BATON_HPP
