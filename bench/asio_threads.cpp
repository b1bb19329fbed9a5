// The hand-written callback loop on a context run by two threads.
#include "asio_callback_loop.hpp"

int main(int argc, char** argv) {
  return bench::main_of<bench::asio_callback_loop<2>>(argc, argv, "asio_threads");
}
