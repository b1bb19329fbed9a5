#include "both/use.hpp"

probe probe_boost() { return run_probe(); }
