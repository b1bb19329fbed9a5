#include "both/use.hpp"

probe probe_standalone() { return run_probe(); }
