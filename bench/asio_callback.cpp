// The hand-written loop on steady_timer, with callbacks: what the others are compared with.
#include "asio_callback_loop.hpp"

int main(int argc, char** argv) {
  return bench::main_of<bench::asio_callback_loop<1>>(argc, argv, "asio_callback");
}
