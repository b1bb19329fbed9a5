// The kernel's own: a timerfd for each timer, and epoll.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "frame.hpp"

namespace {

class timerfd_epoll final : public bench::contestant_base {
 public:
  explicit timerfd_epoll(bench::load& work) : work_(work) {
    work_.skips = true;
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ = checked(epoll_create1(0), "epoll_create1");
  }
  ~timerfd_epoll() override { close(epoll_); }

  void set_up() override {
    files_.reserve(work_.timers);
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      const int file = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), "timerfd_create");
      files_.push_back(file);
      const itimerspec times{as_timespec(work_.period),
                             as_timespec(work_.first_due(i).time_since_epoch())};
      checked(timerfd_settime(file, TFD_TIMER_ABSTIME, &times, nullptr), "timerfd_settime");
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      wanted.data.u64 = i;
      checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &wanted), "epoll_ctl");
    }
  }
  void run() override {
    std::array<epoll_event, 64> ready{};
    for (;;) {
      const int n = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), -1);
      for (int at = 0; at < n; ++at) {
        const std::uint64_t i = ready[static_cast<std::size_t>(at)].data.u64;
        std::uint64_t expired = 0;
        if (read(files_[i], &expired, sizeof expired) != sizeof expired) continue;
        if (work_.tick(i)) return;
      }
    }
  }
  void tear_down() override {
    for (const int file : files_) close(file);
    files_.clear();
  }

 private:
  static int checked(int result, const char* call) {
    if (result < 0) {
      std::perror(call);
      std::exit(1);
    }
    return result;
  }
  static timespec as_timespec(bench::nanoseconds time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {seconds.count(), (time - seconds).count()};
  }

  bench::load& work_;
  int epoll_ = -1;
  std::vector<int> files_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::main_of<timerfd_epoll>(argc, argv, "timerfd_epoll");
}
