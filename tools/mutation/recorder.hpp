// Part of main() in a mutation build: says which test runs, and which mutants each test reached.
// MUTATION_TRACE names a file that holds the test begun last, MUTATION_REACHED one that gets a line
// for each test: "<seconds>\t<file>\t<name>\t<number> <number> ..."
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

struct mutation_recorder : selection_counter {
  using selection_counter::selection_counter;

  void test_case_start(const doctest::TestCaseData& test) override {
    name_ = test.m_name;
    file_ = test.m_file.c_str();
    if (const char* path = std::getenv("MUTATION_TRACE")) {
      std::ofstream(path) << name_;
    }
    if (std::getenv("MUTATION_REACHED") != nullptr) {
      if (first_) write("0", "", "");  // before any test
      first_ = false;
      began_ = std::chrono::steady_clock::now();
    }
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    if (std::getenv("MUTATION_REACHED") == nullptr) return;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    write(std::to_string(took.count()), file_, name_);
  }
  void test_run_end(const doctest::TestRunStats&) override {}

 private:
  static void write(const std::string& seconds, const std::string& file, const std::string& name) {
    std::ofstream out(std::getenv("MUTATION_REACHED"), std::ios::app);
    out << seconds << '\t' << file << '\t' << name << '\t';
    for (int number = 0; number < mutation::most; ++number) {
      if (std::exchange(mutation::reached[number], 0) != 0) out << number << ' ';
    }
    out << '\n';
  }

  bool first_ = true;
  std::string file_;
  std::string name_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace

DOCTEST_REGISTER_LISTENER("mutation_recorder", 2, mutation_recorder);
